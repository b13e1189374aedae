"""Tensors in one or many safetensors files, read one at a time and put straight where they belong."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from blip3o.errors import CheckpointError
from blip3o.weights.folders import Shapes, opened, shapes_in, tensor_files

Rename = Callable[[str], str | None]
"""A tensor's name in the files -> its name in the network; None where the network has no use for it."""
Put = Callable[[str, Tensor], bool]
"""Takes a tensor by its name in the network and puts it there in a way of its own; False where it does not."""


@runtime_checkable
class Restores(Protocol):
    """A network with buffers that no file holds."""

    def restore_buffers(self) -> None:
        """Compute them."""


@dataclass(frozen=True, kw_only=True)
class Shards:
    """The files of a checkpoint, by what they hold."""

    files: Mapping[Path, Shapes]
    """File -> the names of its tensors and their shapes."""

    @classmethod
    def find(cls, folder: Path, stem: str = "model") -> "Shards":
        """The files of a folder (weights/folders.py, `tensor_files`).

        Raises CheckpointError for files that are missing or broken.
        """
        return cls(files={path: shapes_in([path]) for path in tensor_files(folder, stem)})

    @property
    def shapes(self) -> Shapes:
        """Name -> shape of every tensor; no tensor is read for it."""
        return {name: shape for held in self.files.values() for name, shape in held.items()}

    def read(self, names: Iterable[str], device: torch.device | str = "cpu") -> Iterable[tuple[str, Tensor]]:
        """These tensors, file by file, on a device."""
        requested = set(names)
        for path, held in self.files.items():
            here = [name for name in held if name in requested]
            with opened(path, "pt", device) as file:
                for name in here:
                    yield name, file.get_tensor(name)

    def fill(
        self,
        network: nn.Module,
        rename: Rename,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        put: Put | None = None,
    ) -> None:
        """Give a network (built on the meta device, say) its tensors; `put` goes first.

        Raises CheckpointError that lists what is missing, unknown or misshapen.
        """
        new_names = {old: new for new, old in self.match(network, rename).items()}
        held = network.state_dict()
        for old, tensor in self.read(new_names, device):
            new = new_names[old]
            if tensor.is_floating_point() != held[new].is_floating_point() or tensor.itemsize < 2:
                raise CheckpointError(
                    f"{self.folder} does not fit its config: {old} is of type {tensor.dtype}, not {held[new].dtype}: "
                    "use the files of one checkpoint"
                )
            if strange(tensor):
                complain(self.folder, {}, {}, [old])
            value = tensor.to(dtype=dtype if tensor.is_floating_point() else None).view(held[new].shape)
            if put is None or not put(new, value):
                place(network, new, value)
        restore_buffers(network)
        network.to(device)

    def match(self, network: nn.Module, rename: Rename) -> dict[str, str]:
        """The name of every tensor of a network -> its name in the files; no tensor is read for it.

        Raises CheckpointError that lists what is missing, unknown or misshapen.
        """
        shapes = self.shapes
        old_names = {new: name for name in shapes if (new := rename(name)) is not None}
        renamed = {new: shapes[old] for new, old in old_names.items()}
        complain(self.folder, shapes_of(network.state_dict()), renamed)
        return old_names

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return next(iter(self.files)).parent


Files = Mapping[str, tuple[Shards, Rename]]
"""Module of a network ("" is the whole) -> its files, and what their names are in it."""


class TensorReader:
    """Files that stay open, to read one tensor after the other."""

    def __init__(self, shards: Shards) -> None:
        self.paths = {name: path for path, held in shards.files.items() for name in held}
        self.files: dict[Path, Any] = {}

    def read(self, name: str) -> Tensor:
        """One tensor, on the CPU; its memory is the file's where it can be."""
        path = self.paths[name]
        if path not in self.files:
            self.files[path] = safe_open(path, "pt")  # pyright: ignore[reportGeneralTypeIssues]
        return self.files[path].get_tensor(name)


class _Unwritten(TorchFunctionMode):
    """Leaves out the numbers that networks begin with. Frequencies are computed, for arithmetic on the meta device
    opens the compiler of torch, which takes a second."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.randn:
            return torch.empty(*args, **{key: value for key, value in kwargs.items() if key != "generator"})
        if func is torch.arange:
            return func(*args, **kwargs | {"device": "cpu"})
        if getattr(func, "__module__", None) == "torch.nn.init" or func in (Tensor.normal_, Tensor.uniform_):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func is Tensor.mul and args[0].is_meta:
            return args[0]
        return func(*args, **kwargs)


@contextmanager
def hollow() -> Iterator[None]:
    """Networks that are built here have shapes and no numbers; to draw these would take longer than all the rest."""
    with torch.device("meta"), _Unwritten():
        yield


def restore_buffers(network: nn.Module) -> None:
    """Compute the buffers that no file holds."""
    for module in network.modules():
        if isinstance(module, Restores):
            module.restore_buffers()


def place(network: nn.Module, name: str, value: Tensor) -> None:
    """Put a tensor in the place of the one of this name; `load_state_dict` would go through all modules for each."""
    module, _, last = name.rpartition(".")
    owner = network.get_submodule(module)
    old = getattr(owner, last)
    setattr(owner, last, nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value)


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """Name -> shape."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def strange(tensor: Tensor) -> bool:
    """Whether some value is not finite: then the least or the greatest is not, either. Nothing of its size is made."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return False
    if tensor.itemsize == 1:  # float8, of which there is neither order nor arithmetic
        tensor = tensor.to(torch.bfloat16)
    return not all(bool(bound.isfinite()) for bound in tensor.aminmax())


def complain(source: Path, expected: Shapes, shapes: Shapes, not_finite: Iterable[str] = ()) -> None:
    """Raise CheckpointError where tensors are missing, unknown, misshapen or not finite; a leading axis of one does not
    count."""
    faults = {
        "missing": [f"{name} {list(expected[name])}" for name in sorted(expected.keys() - shapes.keys())],
        "unknown": [f"{name} {list(shapes[name])}" for name in sorted(shapes.keys() - expected.keys())],
        "wrong shape": [
            f"{name} is {list(shapes[name])}, not {list(expected[name])}"
            for name in sorted(expected.keys() & shapes.keys())
            if shapes[name] not in (expected[name], (1, *expected[name]))
        ],
        "not finite": sorted(not_finite),
    }
    misfits = [f"{what}: {_some(names)}" for what, names in faults.items() if names]
    if misfits:
        raise CheckpointError(
            f"{source} does not fit its config: {'; '.join(misfits)}: use the files of one checkpoint"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
