"""Where models lie on this machine, and what the files in their folders are called."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

from blip3o.errors import CheckpointError

SHIPPED = Path(__file__).parents[1] / "checkpoints"
CONFIG, PUBLISHED_CONFIG = "config.yaml", "config.json"
"""Of a checkpoint of ours, and of a published one."""
DECODER_FOLDER, TOWER_FOLDER = "diffusion-decoder", "eva_clip_vision_tower"
"""In the folder of a published model."""
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
