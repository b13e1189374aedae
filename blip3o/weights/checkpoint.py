"""A checkpoint is a folder: config.yaml, model.safetensors, the tokenizer's files and, where shared, a model card."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from blip3o import config as configs
from blip3o.errors import CheckpointError, OutputError
from blip3o.prompt.tokenizer import Words
from blip3o.weights.machine import Machine, ModelConfig

WEIGHTS, CONFIG = "model.safetensors", "config.yaml"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write in place of `path`, which appears there only when it is complete.

    Raises OutputError where it cannot be made, filled or put in place.
    """
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror or error}): choose another place") from error


def make_folder(folder: Path) -> None:
    """The folder and those it lies in, where they are not there yet. Raises OutputError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder} ({error.strerror}): choose a folder you may write to") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object] | None = None) -> None:
    """Write tensors, and facts `about` them, as one safetensors file that is never half there."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        try:
            save_file(held, temporary, {"about": json.dumps(dict(about or {}))})
        except SafetensorError as error:  # the library's word for a full disk, too
            raise OutputError(f"cannot write {path} ({error}): make room, or choose another place") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors of a safetensors file, the facts about them; raises CheckpointError for a missing or broken file."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist: name the folder of a whole checkpoint")
    try:
        with safe_open(path, "pt") as file:  # pyright: ignore[reportGeneralTypeIssues]
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, about if isinstance(about, dict) else {}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}): copy it again") from error


def load_strictly(model: torch.nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Put tensors into the model of their names; raises CheckpointError for missing, unknown and misshapen ones."""
    wanted = model.state_dict()
    shapes = [
        f"{name} is {list(tensors[name].shape)}, not {list(wanted[name].shape)}"
        for name in sorted(wanted.keys() & tensors.keys())
        if tensors[name].shape != wanted[name].shape
    ]
    faults = [
        *_listed("missing", sorted(wanted.keys() - tensors.keys())),
        *_listed("unknown", sorted(tensors.keys() - wanted.keys())),
        *_listed("wrong shape", shapes),
        *_listed("not finite", sorted(name for name, tensor in tensors.items() if not tensor.isfinite().all())),
    ]
    if faults:
        raise CheckpointError(f"{source} does not fit its config: {'; '.join(faults)}: use the files of one checkpoint")
    model.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()})


def _listed(what: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return [f"{what}: {', '.join(names[:4])}{more}"] if names else []


def save(
    machine: Machine,
    folder: Path,
    tensors: Mapping[str, Tensor] | None = None,
    about: Mapping[str, object] | None = None,
) -> None:
    """Write the checkpoint of a machine, in bfloat16; `tensors` in place of its own weights (an average of them, say).

    Raises OutputError where that is not possible.
    """
    make_folder(folder)
    held = dict(machine.state_dict() if tensors is None else tensors)
    stored = {name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in held.items()}
    configs.dump(machine.config, folder / CONFIG)
    machine.template.words.save(folder)
    write_tensors(folder / WEIGHTS, stored, about)


def load(folder: Path, device: torch.device | str = "cpu") -> tuple[Machine, dict[str, object]]:
    """The machine of a checkpoint in float32, ready to use, and the facts written with it."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder: name the folder of a checkpoint")
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} holds no {CONFIG}: name the folder of a whole checkpoint")
    tensors, about = read_tensors(folder / WEIGHTS)
    machine = Machine(configs.load(ModelConfig, folder / CONFIG), Words.load(folder))
    load_strictly(machine, tensors, folder / WEIGHTS)
    return machine.to(device).eval(), about
