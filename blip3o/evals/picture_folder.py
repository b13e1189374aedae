"""The pictures of a data set, found once: a look through the folder for each of thousands of names takes hours."""

import os
from functools import cached_property
from pathlib import Path

from blip3o.errors import DataError


class PictureFolder:
    """All files below a folder, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for place, folders, names in os.walk(self.folder):
            folders.sort()
            for name in names:
                found.setdefault(name, Path(place) / name)
        return found

    def __getitem__(self, name: str) -> Path:
        """The file of this name. Raises DataError where it is missing."""
        if name not in self._paths:
            raise DataError(f"{self.folder} holds no picture {name}: put the pictures of the data set there")
        return self._paths[name]
