"""What a detector saw in pictures: asked here, or read from the files that one left somewhere else.

The files are JSON, so that GenEval's own mmdet (or any other detector) can be run where it runs best:

    {"00000/samples/00000.png": {"dog": [[x0, y0, x1, y1, score], [x0, y0, x1, y1, score, "brown"]], "cat": []}, ...}

A picture goes by its file name, led by as many of its folders as tell it from others; a picture in which nothing was
seen has {}. Classes have GenEval's names. All boxes belong there, weak ones too. The colour that ends a box may be
missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from blip3o.errors import DataError, PictureError
from blip3o.evals import tables
from blip3o.evals.generation.geneval import CLASSES, COLORS

Boxes = Mapping[str, np.ndarray]
"""Class -> [n, 5]: corners in px, and score."""
Masks = Mapping[str, np.ndarray]
"""Class -> [n, height, width], of the same objects; a class without masks is known by its boxes alone."""


class Detections(NamedTuple):
    """What is in a picture. `colors`: class -> row of a box -> its colour, where one is told."""

    boxes: Boxes
    masks: Masks
    colors: Mapping[str, Mapping[int, str]]


@runtime_checkable
class DetectionSource(Protocol):
    """A detector, or what one has left."""

    def see(self, path: Path) -> Detections:
        """The objects of GenEval's 80 classes in the file of a picture, whatever their score, with their colours where
        they are known. Raises DataError for a file that is no picture."""
        ...


class StoredDetections:
    """What was found before: a file, a folder of files, or what they hold. Raises DataError for something else."""

    def __init__(self, source: Path | Mapping[str, Any]) -> None:
        parts = [source] if isinstance(source, Mapping) else [tables.read_json(path) for path in _files(source)]
        name = "the mapping" if isinstance(source, Mapping) else str(source)
        self._pictures: dict[str, Mapping[str, Any]] = {}
        for part in parts:
            if not isinstance(part, Mapping) or not all(isinstance(value, Mapping) for value in part.values()):
                raise DataError(
                    f"the detections of {name} are no object of objects: expected picture -> class -> boxes"
                )
            self._pictures |= {key.removeprefix("./"): value for key, value in part.items()}
        strange = {kind for value in self._pictures.values() for kind in value} - set(CLASSES)
        if strange:
            raise DataError(
                f"the detections of {name} have the class {min(strange)!r}: "
                "expected GenEval's names, such as 'tv remote' for COCO's 'remote'"
            )

    def see(self, path: Path) -> Detections:
        """What the files say of a picture. Raises DataError where they say nothing, or nonsense."""
        found = self._of(path)
        try:
            boxes = {
                kind: np.array([box[:5] for box in rows], np.float32).reshape(len(rows), 5)
                for kind, rows in found.items()
            }
            colors = {
                kind: {row: box[5] for row, box in enumerate(rows) if len(box) > 5} for kind, rows in found.items()
            }
        except (TypeError, ValueError) as error:
            raise DataError(f"the detections of {path} hold a box that is not [x0, y0, x1, y1, score]") from error
        strange = {str(color) for rows in colors.values() for color in rows.values()} - set(COLORS)
        if strange:
            raise DataError(f"the detections of {path} name the colour {min(strange)!r}: expected one of GenEval's ten")
        return Detections(boxes, {}, colors)

    def _of(self, path: Path) -> Mapping[str, Any]:
        for start in range(len(path.parts)):
            name = Path(*path.parts[start:]).as_posix()
            if name in self._pictures:
                return self._pictures[name]
        raise DataError(f"the detections hold nothing of the picture {path}: expected {{}} where nothing was seen")


def _files(source: Path) -> list[Path]:
    found = sorted(source.rglob("*.json")) if source.is_dir() else [source]
    if not found:
        raise DataError(f"{source} holds no .json: put the detections there")
    return found


def opened(path: Path) -> Image.Image:
    """A drawn picture. Raises DataError where there is none."""
    try:
        return tables.opened(path)
    except PictureError as error:
        raise DataError(f"{path} is no picture that can be judged ({error}): draw it again") from error
