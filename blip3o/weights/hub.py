"""Where checkpoints are found: shipped in the package, or in a folder of the user's."""

import os
from contextlib import suppress
from pathlib import Path

from blip3o.errors import CheckpointError
from blip3o.weights.checkpoint import CONFIG

SHIPPED = Path(__file__).parents[1] / "checkpoints"


def find(name_or_path: str | Path) -> Path:
    """The folder of a shipped checkpoint or of the user's own. Raises CheckpointError naming what is shipped."""
    own, name = Path(name_or_path), str(name_or_path)
    with suppress(OSError):  # a name that no file can have
        if isinstance(name_or_path, str) and os.sep not in name and (SHIPPED / name / CONFIG).is_file():
            return SHIPPED / name  # a folder of this name is ./name
        if own.is_dir():
            return own
    names = ", ".join(sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())) or "none"
    raise CheckpointError(f"no model {name!r}: name a checkpoint's folder, or a shipped model ({names})")
