"""The parts of a model that a user would name, and how many parameters each has. Opens no torch."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import prod

PARTS = {
    "language model": "unified.backbone.language_model.",
    "image experts": "unified.backbone.image_experts.",
    "output head": "unified.backbone.lm_head.",
    "vision tower": "unified.backbone.visual.",
    "head": "unified.head.",
    "encoder": "space.encoder.",
    "decoder": "space.decoder.",
}
"""The parts that a user would name -> how their tensors' names begin."""


def count_parameters(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Parameters of each part, by the shapes of all tensors; an output head and image experts are told where
    there are some."""
    counts = {
        part: sum(prod(shape) for name, shape in shapes.items() if name.startswith(start))
        for part, start in PARTS.items()
    }
    return {part: count for part, count in counts.items() if count or part not in ("output head", "image experts")}


def belongs(name: str, pattern: str) -> bool:
    """Whether a parameter or module lies in what a pattern names: a part by the beginning of its name, at a dot
    (`unified.head`), or a glob of such beginnings (`unified.backbone.language_model.layers.*.self_attn`)."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
