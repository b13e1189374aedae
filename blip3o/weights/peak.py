"""How much memory a model needs at most, told from the sizes of its tensors before one of them is read."""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from blip3o.weights.machine import Machine
from blip3o.weights.placement import DTYPES, MEMORIES, ROUNDED_BYTES, Placement
from blip3o.weights.quantize import matrices


def peaks(machine: Machine) -> dict[str, dict[str, int]]:
    """Dtype, or kind of rounded matrices (what is not rounded in bfloat16) -> memory mode -> bytes needed at most."""
    device = torch.device("meta")
    made = {
        name: {memory: peak_bytes(machine, Placement(device=device, dtype=dtype, memory=memory)) for memory in MEMORIES}
        for name, dtype in DTYPES.items()
    }
    for kind in ROUNDED_BYTES:
        made[kind] = {
            "full": peak_bytes(machine, Placement(device=device, dtype=torch.bfloat16, quantize=kind)),
        }
    return made


def peak_bytes(machine: Machine, placement: Placement) -> int:
    """Memory that a model on the meta device takes on its device while it draws one picture: the weights that are there
    at a time, and what the decoder, which needs most, works with."""
    dtype = placement.dtype or next(machine.parameters()).dtype
    held = _held(machine, placement.memory) * dtype.itemsize
    if placement.quantize is not None:
        numbers = sum(linear.weight.numel() for _, linear in matrices(machine))
        held -= int(numbers * (dtype.itemsize - ROUNDED_BYTES[placement.quantize]))
    return held + working_bytes(machine.space.decoder.rehearse, dtype)


def _held(machine: Machine, memory: str) -> int:
    """Numbers of the weights that are on the device at a time."""
    total = _numbers(machine)
    parts = machine.movable().values()
    if memory == "full":
        return total
    moving = sum(map(_numbers, parts))
    return total - moving + max(map(_numbers if memory == "balanced" else _on_the_way, parts))


def _on_the_way(module: nn.Module) -> int:
    """Numbers that are there at most where each module brings its own: those of a layer and of all it stands in."""
    own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return own + max(map(_on_the_way, module.children()), default=0)


def _numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def working_bytes(work: Callable[[], object], dtype: torch.dtype) -> int:
    """Bytes of all tensors that `work` on the meta device has at a time, at most, if they are of this dtype."""
    with torch.inference_mode(), _Counted() as counted:
        work()
    return counted.most * dtype.itemsize


class _Counted(TorchDispatchMode):
    """Counts the numbers of the tensors that are made, until they are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self.seen:
            return
        numbers = storage.nbytes() // tensor.itemsize
        self.seen.add(storage)
        self.now += numbers
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._drop, numbers)

    def _drop(self, numbers: int) -> None:
        self.now -= numbers
