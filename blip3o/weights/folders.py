"""Where models lie on this machine, what the files in their folders are called, and what the files' headers say."""

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from blip3o.errors import CheckpointError

SHIPPED = Path(__file__).parents[1] / "checkpoints"
CONFIG, PUBLISHED_CONFIG = "config.yaml", "config.json"
"""Of a checkpoint of ours, and of a published one."""
DECODER_FOLDER, TOWER_FOLDER = "diffusion-decoder", "eva_clip_vision_tower"
"""In the folder of a published model."""
METADATA, MOST_HEADER_BYTES = "__metadata__", 100_000_000
"""In headers of safetensors files, as the format has them."""
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

    Raises CheckpointError where the file is missing, cut, or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist, but the checkpoint needs it: copy it from the same source")
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, MOST_HEADER_BYTES)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != METADATA]
        if 8 + size + max(ends, default=0) != path.stat().st_size:
            raise ValueError("its header tells another size")
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}): copy it again") from error
    return header


def shapes_in(paths: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of these files; no tensor is read for it. Raises CheckpointError."""
    headers = [read_header(path) for path in paths]
    return {name: tuple(entry["shape"]) for header in headers for name, entry in header.items() if name != METADATA}
