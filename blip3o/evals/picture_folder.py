"""The pictures of a data set, found once: a look through the folder for each of thousands of names takes hours."""

import os
from pathlib import Path

from blip3o.errors import DataError


class PictureFolder(dict[str, Path]):
    """All files below a folder, by name. Raises DataError for a name that is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in names:
                self.setdefault(name, Path(place) / name)

    def __missing__(self, name: str) -> Path:
        raise DataError(f"{self.folder} holds no picture {name}: put the pictures of the data set there")
