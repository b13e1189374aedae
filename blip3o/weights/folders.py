"""Where models lie on this machine, what the files in their folders are called, and what the files' headers say."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from blip3o.errors import CheckpointError
from blip3o.files import write_text

SHIPPED = Path(__file__).parents[1] / "checkpoints"
CONFIG, PUBLISHED_CONFIG = "config.yaml", "config.json"
"""Of a checkpoint of ours, and of a published one."""
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""Of an adapter in peft's layout."""
DECODER_FOLDER, TOWER_FOLDER = "diffusion-decoder", "eva_clip_vision_tower"
"""In the folder of a published model."""
METADATA = "__metadata__"
"""In headers of safetensors files, of which it is no tensor."""
Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
Part = Literal["encoder", "decoder"]
"""A part that lies in files of its own, without which a model can do some things and not others."""


def local(name_or_path: str | Path) -> Path | None:
    """The folder of a shipped model or of the user's own; None for what may be on the Hub.

    Raises CheckpointError for a name that is none of these.
    """
    own, name = Path(name_or_path), str(name_or_path)
    with suppress(OSError):  # a name that no file can have
        if isinstance(name_or_path, str) and os.sep not in name and (SHIPPED / name / CONFIG).is_file():
            return SHIPPED / name  # a folder of this name is ./name
        if own.is_dir():
            return own
    if isinstance(name_or_path, str) and HUB_ID.fullmatch(name):
        return None
    names = ", ".join(sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())) or "none"
    raise CheckpointError(
        f"no model {name!r}: name a checkpoint's folder, a model on the Hub (owner/name), or a shipped one ({names})"
    )


def is_published(folder: Path) -> bool:
    """Whether a folder holds a model in the published layout, and none of ours."""
    return (folder / PUBLISHED_CONFIG).is_file() and not (folder / CONFIG).is_file()


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a model in our layout."""
    return (folder / CONFIG).is_file()


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, as peft writes them."""
    return (folder / ADAPTER_CONFIG).is_file()


def existing(path: Path) -> Path:
    """A file of a model's folder. Raises CheckpointError where it is missing."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent} holds no {path.name}: name the folder of a whole checkpoint")
    return path


def tensor_files(folder: Path, stem: str = "model") -> list[Path]:
    """The files `<stem>.safetensors`, `<stem>.*.safetensors` or those that `<stem>.safetensors.index.json` lists.

    Raises CheckpointError where there are none, and for pickles, which are never read.
    """
    index = folder / f"{stem}.safetensors.index.json"
    single = folder / f"{stem}.safetensors"
    if index.is_file():
        paths = sorted({folder / name for name in _listed(index)})
    else:
        paths = [single] if single.is_file() else sorted(folder.glob(f"{stem}.*.safetensors"))
    if not paths:
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        advice = f"; {pickles[0]} is a pickle: convert it to safetensors first" if pickles else ""
        raise CheckpointError(f"{folder} holds no {stem}.safetensors{advice or ': name the folder of a checkpoint'}")
    return paths


def read_json(path: Path) -> dict[str, Any]:
    """The keys and values of a JSON file. Raises CheckpointError where it holds none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}): copy it again from its source") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is {type(values).__name__}, expected keys and values: copy it again")
    return values


def _listed(index: Path) -> list[str]:
    try:
        listed = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{index} is no index of safetensors files ({error}): copy it again") from error
    strangers = [name for name in listed if not isinstance(name, str) or Path(name).name != name]
    if strangers:
        raise CheckpointError(f"{index} lists {strangers[0]!r}, which is no file beside it: copy it again")
    return listed


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: tensor -> dtype, shape and place; `__metadata__` -> the facts beside them.

    Read without the library, which opens numpy or torch for it. Raises CheckpointError where the file is missing, cut,
    or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist, but the checkpoint needs it: copy it from the same source")
    try:
        total_bytes = path.stat().st_size
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(header_bytes, total_bytes)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != METADATA]
        if 8 + header_bytes + max(ends, default=0) != total_bytes:
            raise ValueError("its header tells another size")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}): copy it again") from error
    return header


def about_in(path: Path) -> dict[str, Any]:
    """The facts written with the tensors of a file. Raises CheckpointError."""
    try:
        facts = json.loads(read_header(path).get(METADATA, {}).get("about", "{}"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}): copy it again") from error
    return facts if isinstance(facts, dict) else {}


def shapes_in(paths: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of these files; no tensor is read for it. Raises CheckpointError."""
    headers = [read_header(path) for path in paths]
    return {name: tuple(entry["shape"]) for header in headers for name, entry in header.items() if name != METADATA}


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write keys and values, whole or not at all. Raises OutputError."""
    write_text(path, json.dumps(values, indent=1) + "\n")
