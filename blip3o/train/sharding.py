"""A model dealt out to the processes of a run: weights, gradients and moments (FSDP2), and states of their parts (DCP).

Source: Zhao et al., PyTorch FSDP, arXiv 2304.11277; `fully_shard`, its second design, shards every parameter by itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from blip3o.errors import CheckpointError, OutputError
from blip3o.files import write_text
from blip3o.model.decoders.pixel import PixelDecoder
from blip3o.model.encoders.convolutional import ConvolutionalEncoder
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.parallel import ParallelConfig, Processes


@runtime_checkable
class RunsApart(Protocol):
    """A network that runs some layers of its blocks outside of them; these are gathered by themselves."""

    @property
    def apart(self) -> Sequence[Sequence[nn.Module]]:
        """Groups of such layers."""
        ...


ABOUT = "about.json"
"""The facts beside the parts of a state."""
INDEX = ".metadata"
"""The file of DCP that says which tensor lies where; it is written last."""


def shard(pipeline: Pipeline, config: ParallelConfig, processes: Processes, precision: str) -> None:
    """Deal the weights of the networks out: each block by itself, gathered while it works, and what is left of the
    vision tower, the backbone, the head and the encoder as a part each. A pixel decoder, and what is left of other
    decoders, stays whole.

    With `precision` bfloat16 blocks are gathered in it; what is dealt out, and what is optimised, is float32.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import (
        CPUOffloadPolicy,
        FSDPModule,
        MixedPrecisionPolicy,
        OffloadPolicy,
        fully_shard,
        register_fsdp_forward_method,
    )

    kind, sizes = pipeline.device.type, (processes.ranks,)
    names: tuple[str, ...] = ("shard",)
    if config.shard == "hybrid":
        sizes, names = (config.replicas, processes.ranks // config.replicas), ("replicate", "shard")
    mesh = init_device_mesh(kind, sizes, mesh_dim_names=names)
    narrow = torch.bfloat16 if precision == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)
    settings = {
        "mesh": mesh,
        "offload_policy": CPUOffloadPolicy(pin_memory=kind == "cuda") if config.offload else OffloadPolicy(),
    }
    space = pipeline.space
    for parent in (one for one in pipeline.unified.modules() if isinstance(one, RunsApart)):
        for layers in parent.apart:
            fully_shard(list(layers), mp_policy=policy, **settings)
    # levels of a pixel decoder hand a list on to each other, of which a block that is gathered gets a copy
    decoders = () if isinstance(space.decoder, PixelDecoder) else (space.decoder,)
    for block in blocks(pipeline.unified, space.encoder, *decoders):
        fully_shard(block, mp_policy=policy, **settings)
    backbone = pipeline.unified.backbone
    for network in (backbone.get_submodule("visual"), space.get_submodule("encoder")):  # which run by themselves, too
        if any(True for _ in network.parameters()):
            fully_shard(network, reshard_after_forward=True, **settings)
    fully_shard(backbone, reshard_after_forward=False, **settings)  # its embedding serves several calls
    for method in ("embed", "logits"):
        register_fsdp_forward_method(backbone, method)
    if isinstance(space.encoder, ConvolutionalEncoder):
        register_fsdp_forward_method(space.encoder, "posterior")
    root: Any = fully_shard(pipeline.unified, **settings)
    root._get_fsdp_state()._lazy_init()  # else what is below may not run before it
    for module in pipeline.modules():
        if isinstance(module, FSDPModule):  # losses are divided by the weight of the whole step, so gradients add up
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def deal_again(pipeline: Pipeline) -> None:
    """Let go of what a network has gathered to work, so that its parameters are the parts again."""
    from torch.distributed.fsdp import FSDPModule

    for module in pipeline.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def blocks(*networks: nn.Module) -> Iterator[nn.Module]:
    """The repeated parts of networks: the members of their outermost lists of modules that hold parameters."""
    for network in networks:
        for child in network.children():
            if isinstance(child, nn.ModuleList):
                yield from (block for block in child if any(True for _ in block.parameters()))
            else:
                yield from blocks(child)


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds a part of it only."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, gathered from all processes where it is dealt out."""
    return tensor.detach().full_tensor() if is_sharded(tensor) else tensor.detach()  # pyright: ignore


def part_like(like: Tensor, value: Tensor) -> Tensor:
    """What this process holds of a whole value, dealt out as `like` is."""
    if not is_sharded(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh: Any = like.device_mesh  # pyright: ignore[reportAttributeAccessIssue]
    placements: Any = like.placements  # pyright: ignore[reportAttributeAccessIssue]
    return distribute_tensor(value.to(mesh.device_type), mesh, placements, src_data_rank=None).to(like.device)


def whole_state(module: nn.Module, *, keep: bool) -> dict[str, Tensor]:
    """The state dict of a network, gathered one tensor at a time; on the CPU, and empty where not to `keep`."""
    gathered = {}
    for name, tensor in module.state_dict().items():
        value = whole(tensor)
        if keep:
            gathered[name] = value.cpu()
    return gathered


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], largest: float) -> Tensor:
    """Scale the gradients so that the norm of all of them together, parts on other processes included, is `largest` at
    most; gives the norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    parts = [gradient for gradient in gradients if is_sharded(gradient)]
    plain = [gradient for gradient in gradients if not is_sharded(gradient)]
    if not parts:
        norm = nn.utils.get_total_norm(plain, foreach=True)
    else:
        norms = [nn.utils.get_total_norm(some, foreach=True) for some in (parts, plain) if some]
        norm = torch.stack([whole(one) for one in norms]).square().sum().sqrt()
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        local_part(gradient).mul_(scale.to(gradient.device))
    return norm


def local_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, as a plain one over the same memory."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # pyright: ignore[reportAttributeAccessIssue]


def by_kind(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The groups of parameters of an optimizer, dealt-out ones and whole ones apart, which one call cannot update."""
    cut = [
        {**group, "params": [one for one in group["params"] if is_sharded(one) == sharded]}
        for group in groups
        for sharded in (False, True)
    ]
    return [group for group in cut if group["params"]]


def write_parts(folder: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object], processes: Processes) -> None:
    """Write a state into a folder that is there, each process what it holds. Raises OutputError in all of them."""
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    try:
        writer = FileSystemWriter(folder, single_file_per_rank=True, sync_files=True)
        save(dict(tensors), storage_writer=writer, no_dist=processes.ranks == 1)
    except (CheckpointException, OSError, RuntimeError) as error:
        raise OutputError(f"cannot write {folder} ({_reason(error)}): make room, or choose another place") from error
    if processes.is_main:
        write_text(folder / ABOUT, json.dumps(dict(about)))
    processes.wait()


def has_parts(folder: Path) -> bool:
    """Whether a folder holds a state in parts."""
    return (folder / INDEX).is_file()


def shapes_of_parts(folder: Path) -> dict[str, torch.Size]:
    """Name -> shape of every tensor of a state in parts."""
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    known = FileSystemReader(folder).read_metadata().state_dict_metadata
    return {name: one.size for name, one in known.items() if isinstance(one, TensorStorageMetadata)}


def read_parts(folder: Path, like: Mapping[str, Tensor], processes: Processes) -> dict[str, Tensor]:
    """Tensors of a state in parts by their names, dealt out as those of `like` are, whoever wrote them.

    Raises CheckpointError for one that is damaged or holds other tensors.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict_loader import load

    tensors = {name: torch.zeros_like(tensor, requires_grad=False) for name, tensor in like.items()}
    try:
        reader = FileSystemReader(folder)
        load(tensors, storage_reader=reader, no_dist=processes.ranks == 1)
    except (CheckpointException, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder} is damaged or of another recipe ({_reason(error)}): delete it") from error
    return tensors


def read_about(folder: Path) -> dict[str, object]:
    """The facts beside a state in parts. Raises CheckpointError where they are missing or damaged."""
    try:
        return json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / ABOUT} is missing or damaged ({error}): delete {folder}") from error


def _reason(error: BaseException) -> str:
    """The words of the innermost error: DCP tells those of all processes."""
    failures = getattr(error, "failures", None)
    if failures:
        error = next(iter(failures.values()))[0]
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())[:160]
