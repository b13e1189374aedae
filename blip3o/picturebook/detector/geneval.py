"""The picture book's detector in GenEval's place: it sees the kinds that both know, in flat drawings."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from blip3o.evals.generation.detections import Detections, opened
from blip3o.evals.generation.geneval import CLASSES
from blip3o.picturebook.detector.scene_detector import SceneDetector
from blip3o.picturebook.world.scene import SIZE


class PictureBookDetections:
    """Tells objects, their boxes in px of the picture, and their colours."""

    def see(self, path: Path) -> Detections:
        """What stands in a picture. Raises DataError for a file that is none."""
        picture = opened(path)
        scale = np.array([*picture.size, *picture.size]) / SIZE
        boxes: dict[str, list[list[float]]] = defaultdict(list)
        colors: dict[str, dict[int, str]] = defaultdict(dict)
        for thing in SceneDetector.load().see([picture])[0].objects:
            if thing.kind in CLASSES:
                colors[thing.kind][len(boxes[thing.kind])] = thing.color
                boxes[thing.kind].append([*(scale * thing.box), thing.score])
        return Detections({kind: np.array(rows, np.float32) for kind, rows in boxes.items()}, {}, colors)
