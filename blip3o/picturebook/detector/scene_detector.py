"""The judge of picture-book pictures: what stands in a picture, where, in which colour, and in what place and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch.nn import functional as F

from blip3o.evals.generation.geneval import OFFICIAL, GenEvalRules, KeptBox, Prompt, evaluate_image
from blip3o.picturebook.detector.network import CELL, HeatmapDetector, Maps
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, PLACES, SIZE
from blip3o.processing.conversation import Picture
from blip3o.processing.images import stacked, to_pixels
from blip3o.weights.checkpoint import load_strictly, read_tensors

WEIGHTS = Path(__file__).parent / "checkpoint" / "model.safetensors"
FAINTEST = 0.05
"""Boxes below this score are not reported at all; every rule's threshold lies above."""
BATCH = 128


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """An object in a picture: `box` is (x0, y0, x1, y1) in px, `score` the probability that it is of this kind."""

    kind: str
    color: str
    box: tuple[float, float, float, float]
    score: float

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box in px."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, kw_only=True)
class Sight:
    """All that the judge sees in one picture, however faint; most certain objects first."""

    objects: tuple[SceneObject, ...]
    place: str
    night: bool

    def clear(self, threshold: float = OFFICIAL.threshold) -> tuple[SceneObject, ...]:
        """The objects with a score above the threshold."""
        return tuple(thing for thing in self.objects if thing.score > threshold)

    def faults(self, prompt: Prompt, rules: GenEvalRules = OFFICIAL) -> str:
        """What the picture lacks of the prompt under GenEval's rules, one line each; empty if it is right."""
        seen = {kind: [thing for thing in self.objects if thing.kind == kind] for kind in ALL_KINDS}
        boxes = {kind: np.array([(*t.box, t.score) for t in things], np.float32) for kind, things in seen.items()}

        def colors_of(kind: str, found: Sequence[KeptBox]) -> list[str]:
            return [seen[kind][one.row].color for one in found]

        return evaluate_image(prompt, boxes, colors_of, rules).reason

    @property
    def in_words(self) -> str:
        """The clear objects with their centres in px, place and time, for people to read."""
        told = [f"{t.color} {t.kind} at ({t.center[0]:.0f}, {t.center[1]:.0f})" for t in self.clear()]
        return ", ".join([*told, self.place, "night" if self.night else "day"])


def at_size(picture: Image.Image | np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """The picture at the size the judge knows; another size is scaled down or up to it."""
    image = (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).convert("RGB")
    return np.array(image if image.size == (SIZE, SIZE) else image.resize((SIZE, SIZE), Image.Resampling.BOX))


def read_maps(maps: Maps) -> list[Sight]:
    """The peaks of the heat maps as objects, one `Sight` for each picture."""
    heat = maps.heat.sigmoid()  # saturates at 1, where neighbours tie: peaks are looked for among the logits
    peaks = (maps.heat == F.max_pool2d(maps.heat, 3, stride=1, padding=1)) & (heat > FAINTEST)
    colors = maps.color.argmax(dim=1).numpy()
    boxes, scores, places, nights = (
        tensor.numpy() for tensor in (maps.box, heat, maps.place.argmax(dim=1), maps.night.argmax(dim=1))
    )
    found: list[list[SceneObject]] = [[] for _ in range(len(places))]
    for index, kind, row, column in peaks.nonzero().tolist():
        found[index].append(
            SceneObject(
                kind=ALL_KINDS[kind],
                color=COLORS[colors[index, row, column]],
                box=_box(boxes[index, :, row, column], row, column),
                score=float(scores[index, kind, row, column]),
            )
        )
    return [
        Sight(objects=tuple(sorted(things, key=lambda t: -t.score)), place=PLACES[place], night=bool(night))
        for things, place, night in zip(found, places, nights, strict=True)
    ]


def _box(shape: np.ndarray, row: int, column: int) -> tuple[float, float, float, float]:
    right, down, width, height = (CELL * float(part) for part in shape)
    x, y = CELL * column + right, CELL * row + down
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


class SceneDetector:
    """The trained detector, frozen, in float32 on the CPU: the same picture always gets the same verdict."""

    def __init__(self, detector: HeatmapDetector) -> None:
        detector = detector.eval().requires_grad_(False)
        self.detector = detector.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> "SceneDetector":
        """The judge that comes with the package. CheckpointError where its file is missing or spoiled."""
        detector = HeatmapDetector()
        load_strictly(detector, read_tensors(WEIGHTS)[0], WEIGHTS)
        return cls(detector)

    @torch.inference_mode()
    def see(self, pictures: Sequence[Image.Image | np.ndarray]) -> list[Sight]:
        """What stands in each picture (PIL, or uint8 [height, width, 3])."""
        sights: list[Sight] = []
        for start in range(0, len(pictures), BATCH):
            seen = [Picture(at_size(picture)) for picture in pictures[start : start + BATCH]]
            pixels = to_pixels(stacked(seen))
            sights += read_maps(self.detector(pixels.contiguous(memory_format=torch.channels_last)))
        return sights
