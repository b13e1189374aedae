"""How much a decoder works with, counted by letting it paint without numbers (memory.py tells the rest)."""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from blip3o.config import from_dict
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.weights.safetensors_files import hollow


def count_numbers(decoder: Mapping[str, Any]) -> int:
    """What a decoder of this config works with, in numbers."""
    config = from_dict(SpaceConfig, {"encoder": None, "decoder": decoder})
    with hollow():
        space = ImageSpace(config, channels=1)
    return working_bytes(space.decoder.measure_memory, torch.int8)


def working_bytes(work: Callable[[], object], dtype: torch.dtype) -> int:
    """Bytes of all tensors that `work` on the meta device has at a time, at most, if they are of this dtype."""
    with torch.inference_mode(), _Counted() as counted:
        work()
    return counted.most * dtype.itemsize


class _Counted(TorchDispatchMode):
    """Counts the numbers of the tensors that operations give, until they are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return outputs

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
