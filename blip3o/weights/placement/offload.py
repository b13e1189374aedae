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
from blip3o.weights.safetensors_files import Files, TensorReader, place, restore_buffers, shapes_of


class OffloadedWeights(Mapping[str, Tensor]):
    """The tensors of a machine, by their names in it, each read from its file when it is asked for."""

    def __init__(self, pipeline: Pipeline, files: Files, dtype: torch.dtype | None) -> None:
        self.dtype = dtype
        self.shapes = shapes_of(pipeline.state_dict())
        self.shelves: dict[str, tuple[TensorReader, str]] = {}
        for module, (shards, rename) in files.items():
            shelf = TensorReader(shards)
            for new, old in shards.match(pipeline.get_submodule(module), rename).items():
                self.shelves[f"{module}.{new}" if module else new] = (shelf, old)

    def __getitem__(self, name: str) -> Tensor:
        shelf, old = self.shelves[name]
        value = shelf.read(old).view(self.shapes[name])
        return value.to(self.dtype) if value.is_floating_point() else value

    def __iter__(self) -> Iterator[str]:
        return iter(self.shelves)

    def __len__(self) -> int:
        return len(self.shelves)


def offload(pipeline: Pipeline, files: Files, placement: DevicePlacement) -> None:
    """Put on its device what always stays there, and hook everything else. `machine` is on the meta device.

    Raises CheckpointError for files that do not fit it.
    """
    waiting = OffloadedWeights(pipeline, files, placement.dtype)
    parts, device = pipeline.movable(), placement.device
    for name, parameter in pipeline.named_parameters():  # buffers that no file holds keep their type, as in `fill`
        place(pipeline, name, parameter.to(placement.dtype))
    _settle(pipeline, waiting, tuple(f"{name}." for name in parts), device)
    turns = PartScheduler(waiting, device)
    for name, part in parts.items():
        if placement.memory == "low":
            attach_align_device_hook(part, device, offload=True, weights_map=waiting, module_name=name)
        else:
            for module in part.modules():
                if next(module.parameters(recurse=False), None) is not None:
                    add_hook_to_module(module, Turn(turns, name, part))


def _settle(pipeline: Pipeline, waiting: OffloadedWeights, moving: tuple[str, ...], device: torch.device) -> None:
    restore_buffers(pipeline)
    stay = {name for name, _ in pipeline.named_buffers()}
    stay |= {name for name, _ in pipeline.named_parameters() if not name.startswith(moving)}
    for name in stay:
        place(pipeline, name, (waiting[name] if name in waiting else pipeline.get_buffer(name)).to(device))


class PartScheduler:
    """Which part is on the device."""

    def __init__(self, waiting: OffloadedWeights, device: torch.device) -> None:
        self.waiting, self.device = waiting, device
        self.name, self.part = "", nn.Module()

    def give(self, name: str, part: nn.Module) -> None:
        """Read a part onto the device in the place of the one that is there."""
        if name == self.name:
            return
        self.name = ""  # until all of it is there, should memory run out
        for inside, _ in self.part.named_parameters():
            set_module_tensor_to_device(self.part, inside, "meta")
        for inside, _ in part.named_parameters():
            set_module_tensor_to_device(part, inside, self.device, self.waiting[f"{name}.{inside}"])
        self.name, self.part = name, part


class Turn(ModelHook):
    """Before the forward of a layer, its part is there."""

    def __init__(self, turns: PartScheduler, name: str, part: nn.Module) -> None:
        self.turns, self.name, self.part = turns, name, part

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self.turns.give(self.name, self.part)
        return args, kwargs
