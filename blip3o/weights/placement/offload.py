"""Models larger than the device: what is not at work waits in its files, and hooks of accelerate bring it when it is.

Before a layer's forward either the layer itself is read (`low`) or, where it is not there yet, the whole part that it
stands in, in the place of another one (`balanced`). The files are mapped into memory: what is read often and fits stays
there by itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module, attach_align_device_hook
from accelerate.utils import set_module_tensor_to_device
from torch import Tensor, nn

from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights.placement.device import DevicePlacement
from blip3o.weights.placement.memory import movable
from blip3o.weights.safetensors_files import Files, TensorReader, place, restore_buffers, shapes_of


class OffloadedWeights(Mapping[str, Tensor]):
    """The tensors of a pipeline, by their names in it, each read from its file when it is looked up."""

    def __init__(self, pipeline: Pipeline, files: Files, dtype: torch.dtype | None) -> None:
        self.dtype = dtype
        self.shapes = shapes_of(pipeline.state_dict())
        self.readers: dict[str, tuple[TensorReader, str]] = {}
        for module, (shards, rename) in files.items():
            reader = TensorReader(shards)
            for new, old in shards.match(pipeline.get_submodule(module), rename).items():
                self.readers[f"{module}.{new}" if module else new] = (reader, old)

    def __getitem__(self, name: str) -> Tensor:
        reader, old = self.readers[name]
        value = reader.read(old).view(self.shapes[name])
        return value.to(self.dtype) if value.is_floating_point() else value

    def __iter__(self) -> Iterator[str]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)


def offload(pipeline: Pipeline, files: Files, placement: DevicePlacement) -> None:
    """Put on its device what always stays there, and hook everything else. `pipeline` is on the meta device.

    Raises CheckpointError for files that do not fit it.
    """
    weights, device = OffloadedWeights(pipeline, files, placement.dtype), placement.device
    parts = {name: pipeline.get_submodule(name) for name in movable(shapes_of(dict(pipeline.named_parameters())))}
    for name, parameter in pipeline.named_parameters():  # buffers that no file holds keep their type, as in `fill`
        place(pipeline, name, parameter.to(placement.dtype))
    restore_buffers(pipeline)
    moving = tuple(f"{name}." for name in parts)
    resident = [name for name, _ in pipeline.named_parameters() if not name.startswith(moving)]
    for name in (*resident, *(name for name, _ in pipeline.named_buffers())):
        place(pipeline, name, (weights[name] if name in weights else pipeline.get_buffer(name)).to(device))
    scheduler = PartScheduler(weights, device)
    for name, part in parts.items():
        if placement.memory == "low":
            # accelerate hooks each module inside: it brings the module's own tensors, and drops them after its forward
            attach_align_device_hook(part, device, offload=True, weights_map=weights, module_name=name)
        else:
            # whichever module with parameters is called first brings the whole part
            for module in part.modules():
                if next(module.parameters(recurse=False), None) is not None:
                    add_hook_to_module(module, LoadPartHook(scheduler, name, part))


class PartScheduler:
    """Which part is on the device."""

    def __init__(self, weights: OffloadedWeights, device: torch.device) -> None:
        self.weights, self.device = weights, device
        self.name, self.part = "", nn.Module()

    def load(self, name: str, part: nn.Module) -> None:
        """Read a part onto the device in the place of the one that is there."""
        if name == self.name:
            return
        self.name = ""  # until all of it is there, should memory run out
        for inside, _ in self.part.named_parameters():
            set_module_tensor_to_device(self.part, inside, "meta")
        for inside, _ in part.named_parameters():
            set_module_tensor_to_device(part, inside, self.device, self.weights[f"{name}.{inside}"])
        self.name, self.part = name, part


class LoadPartHook(ModelHook):
    """Before the forward of a layer, its part is there."""

    def __init__(self, scheduler: PartScheduler, name: str, part: nn.Module) -> None:
        self.scheduler, self.name, self.part = scheduler, name, part

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self.scheduler.load(self.name, self.part)
        return args, kwargs
