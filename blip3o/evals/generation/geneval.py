"""GenEval's official rules: given what a detector saw in a picture, does the picture show what the prompt asked for?

Follows `evaluation/evaluate_images.py` and `summary_scores.py` of https://github.com/djghosh13/geneval, quirks
included; the parity test compares every rule with the answers of the official code. Pure values: no network, no
files.

Boxes are (x0, y0, x1, y1, score) in px. The arithmetic keeps the boxes' own dtype, as the official code does: float32
from a detector, so that a float32 0.3 does not pass a threshold of 0.3.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TASKS = {"single_object": 80, "two_object": 99, "counting": 80, "colors": 94, "position": 100, "color_attr": 100}
"""Task -> the number of its prompts in the official set of 553."""

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, parking
meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie,
suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis
racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog,
pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, computer mouse, tv remote,
computer keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""
CLASSES = tuple(" ".join(name.split()) for name in _NAMES.split(","))
"""The 80 COCO classes in COCO's order under GenEval's names; a detector's classes are mapped by index."""

Box = Sequence[float | int] | np.ndarray


@dataclass(frozen=True, kw_only=True)
class Clause:
    """Wanted (or, as an exclusion, unwanted): at least `count` objects of `kind`.

    `position` is (relation, index of the including clause that it relates to).
    """

    kind: str
    count: int = 1
    color: str | None = None
    position: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        """An object cannot be asked for less than once."""
        if self.count < 1:
            raise ValueError(f"clause for {self.kind!r} has count {self.count}: expected 1 or more")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One line of GenEval's prompt set: the words and what the picture must and must not show."""

    tag: str
    text: str
    include: tuple[Clause, ...] = ()
    exclude: tuple[Clause, ...] = ()

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "Prompt":
        """From a line of the official `evaluation_metadata.jsonl`; further keys are ignored."""
        clauses = {name: tuple(_clause(item) for item in metadata.get(name, ())) for name in ("include", "exclude")}
        return cls(tag=metadata["tag"], text=metadata["prompt"], include=clauses["include"], exclude=clauses["exclude"])


def _clause(item: Mapping[str, Any]) -> Clause:
    position = item.get("position")
    relation = None if position is None else (position[0], position[1])
    return Clause(kind=item["class"], count=item["count"], color=item.get("color"), position=relation)


@dataclass(frozen=True, kw_only=True)
class GenEvalRules:
    """The numbers of the official defaults. `max_overlap` 1 switches the suppression of doubles off."""

    threshold: float = 0.3
    counting_threshold: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    margin: float = 0.1


OFFICIAL = GenEvalRules()


class KeptBox(NamedTuple):
    """A box that was kept; `row` is its row among the detector's boxes of its class."""

    box: Box
    row: int


Objects = Mapping[str, Sequence[KeptBox]]
ColorsOf = Callable[[str, Sequence[KeptBox]], Sequence[str]]
"""The colour classifier: class and boxes -> one colour for each box. Asked only where a clause names a colour."""


@dataclass(frozen=True)
class ImageVerdict:
    """Whether the picture is right, and one line for each thing that is not."""

    correct: bool
    reason: str
    objects: Objects


def compute_iou(a: Box, b: Box) -> float:
    """Intersection over union, each side counted one pixel longer; 0 where both are empty."""
    first, second = np.asarray(a)[:4], np.asarray(b)[:4]
    common = np.concatenate([np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])])
    overlap = _area(common)
    union = _area(first) + _area(second) - overlap
    return float(overlap / union) if union else 0.0


def _area(box: np.ndarray) -> np.number:
    width, height = np.maximum(box[2:] - box[:2] + 1, 0)
    return width * height


def relative_position(a: Box, b: Box, margin: float = GenEvalRules.margin) -> frozenset[str]:
    """How `a` stands to `b`: none, one or two of "left of", "right of", "above", "below".

    Each axis' distance of the centres is shortened by `margin` x (the two sizes along it); a relation holds where
    what is left exceeds half of the unshortened distance.
    """
    corners = np.array([a[:4], b[:4]]).reshape(2, 2, 2)
    centers = corners.mean(axis=1)
    sizes = np.abs(corners[:, 1] - corners[:, 0])
    offset = centers[0] - centers[1]
    shortened = np.maximum(np.abs(offset) - margin * (sizes[0] + sizes[1]), 0) * np.sign(offset)
    if np.all(np.abs(shortened) < 1e-3):
        return frozenset()
    dx, dy = shortened / np.linalg.norm(offset)
    named = (("left of", -dx), ("right of", dx), ("above", -dy), ("below", dy))
    return frozenset(name for name, share in named if share > 0.5)


def keep(boxes: np.ndarray, threshold: float, rules: GenEvalRules = OFFICIAL) -> list[KeptBox]:
    """The boxes [n, 5] of one class that count, most certain first: those with a score above `threshold`."""
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 5)
    order = np.argsort(boxes[:, 4], kind="stable")[::-1]
    order = order[boxes[order, 4] > np.float32(threshold)][: rules.max_objects]
    kept: list[KeptBox] = []
    for index in order:
        if rules.max_overlap == 1 or all(compute_iou(other.box, boxes[index]) < rules.max_overlap for other in kept):
            kept.append(KeptBox(boxes[index], int(index)))
    return kept


def evaluate(
    prompt: Prompt, objects: Objects, colors_of: ColorsOf, margin: float = GenEvalRules.margin
) -> tuple[bool, str]:
    """Whether every including clause holds and no excluding one does, and the reasons why not.

    Clauses are independent: two can share an object. Colour and position look only at the first `count` objects.
    """
    reasons: list[str] = []
    groups: list[Sequence[KeptBox] | None] = []
    for clause in prompt.include:
        found = objects.get(clause.kind, ())[: clause.count]
        reason = (
            _missing(clause, found)
            or _wrong_color(clause, found, colors_of)
            or _misplaced(clause, found, groups, margin)
        )
        groups.append(None if reason else found)
        reasons += [reason] if reason else []
    for clause in prompt.exclude:
        number = len(objects.get(clause.kind, ()))
        if number >= clause.count:
            reasons.append(f"expected {clause.kind}<{clause.count}, found {number}")
    return not reasons, "\n".join(reasons)


def _missing(clause: Clause, found: Sequence[KeptBox]) -> str | None:
    return f"expected {clause.kind}>={clause.count}, found {len(found)}" if len(found) < clause.count else None


def _wrong_color(clause: Clause, found: Sequence[KeptBox], colors_of: ColorsOf) -> str | None:
    if clause.color is None:
        return None
    colors = list(colors_of(clause.kind, found))
    number = colors.count(clause.color)
    if number >= clause.count:
        return None
    seen = ", ".join(f"{colors.count(color)} {color}" for color in COLORS if color in colors)
    return f"expected {clause.color} {clause.kind}>={clause.count}, found {number} {clause.color}; and {seen}"


def _misplaced(
    clause: Clause, found: Sequence[KeptBox], groups: Sequence[Sequence[KeptBox] | None], margin: float
) -> str | None:
    if clause.position is None:
        return None
    relation, target = clause.position
    others = groups[target]
    if others is None:
        return f"no target for {clause.kind} to be {relation}"
    for one in found:
        for other in others:
            seen = relative_position(one.box, other.box, margin)
            if relation not in seen:
                return f"expected {clause.kind} {relation} target, found {' and '.join(sorted(seen))} target"
    return None


def evaluate_image(
    prompt: Prompt, detections: Mapping[str, np.ndarray], colors_of: ColorsOf, rules: GenEvalRules = OFFICIAL
) -> ImageVerdict:
    """From a detector's raw boxes, class -> [n, 5], to the verdict on one picture."""
    threshold = rules.counting_threshold if prompt.tag == "counting" else rules.threshold
    objects = {kind: keep(boxes, threshold, rules) for kind, boxes in detections.items()}
    objects = {kind: found for kind, found in objects.items() if found}
    correct, reason = evaluate(prompt, objects, colors_of, rules.margin)
    return ImageVerdict(correct, reason, objects)


def crop(
    image: Image.Image, box: Box, mask: np.ndarray | None = None, *, background: str = "#999", cut: bool = True
) -> Image.Image:
    """What the colour classifier looks at: the object, with all that its mask [height, width] leaves out painted over.

    `background` "original" paints nothing over; `cut` False keeps the whole picture.
    """
    image = image.convert("RGB")
    if mask is not None and mask.shape != (image.height, image.width):
        raise ValueError(
            f"mask is {mask.shape} but the picture is {(image.height, image.width)}: expected the same size"
        )
    if mask is not None and background != "original":
        blank = Image.new("RGB", image.size, color=background)
        image = Image.composite(image, blank, Image.fromarray(mask))
    x0, y0, x1, y1 = (float(side) for side in box[:4])
    return image.crop((x0, y0, x1, y1)) if cut else image  # type: ignore[arg-type]


def color_prompts(kind: str) -> tuple[str, str, str]:
    """The templates, `{c}` being the colour, whose mean text feature stands for a colour of this class."""
    return (f"a photo of a {{c}} {kind}", f"a photo of a {{c}}-colored {kind}", "a photo of a {c} object")


class Score(NamedTuple):
    """One image's line in the results: its task, what identifies its prompt, and whether it is right."""

    tag: str
    prompt: str
    correct: bool


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`tasks`: task -> (right, total) images, in order of appearance. Shares are 0..1."""

    tasks: Mapping[str, tuple[int, int]]
    num_images: int
    num_prompts: int
    image_share: float
    prompt_share: float

    @property
    def overall(self) -> float:
        """The headline number: the unweighted mean over the tasks."""
        return float(np.mean([right / total for right, total in self.tasks.values()]))


def summarise(scores: Iterable[Score]) -> Summary:
    """Task scores are means over images; a prompt counts as right where any of its images is."""
    scores = list(scores)
    if not scores:
        raise ValueError("no image was scored: expected one result or more")
    tasks: dict[str, tuple[int, int]] = {}
    prompts: dict[str, bool] = {}
    for score in scores:
        right, total = tasks.get(score.tag, (0, 0))
        tasks[score.tag] = (right + score.correct, total + 1)
        prompts[score.prompt] = prompts.get(score.prompt, False) or score.correct
    return Summary(
        tasks=tasks,
        num_images=len(scores),
        num_prompts=len(prompts),
        image_share=sum(score.correct for score in scores) / len(scores),
        prompt_share=sum(prompts.values()) / len(prompts),
    )
