"""The sizes of a model: of its parts, by the shapes of their tensors, and those that its config may ask for."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from blip3o.errors import CheckpointError
from blip3o.weights.folders import Shapes

PARTS = {
    "language model": "unified.backbone.language_model.",
    "output head": "unified.backbone.lm_head.",
    "vision tower": "unified.backbone.visual.",
    "head": "unified.head.",
    "encoder": "space.encoder.",
    "decoder": "space.decoder.",
}
"""The parts that a user would name -> how their tensors' names begin."""
LAYERS = {
    *("num_hidden_layers", "num_layers", "depth", "blocks", "sketch_blocks", "layers_per_block"),
    *("transformer_layers_per_block", "encoder_layers_per_block", "decoder_layers_per_block"),
}
"""Fields that say how often something is built; each time it has a tensor of its own."""
HARMLESS_LAYERS, HARMLESS_SIZE = 500, 1_000_000
"""So much is built in no time, and found to be wrong by the names and the shapes of its tensors."""


def check_sizes(name: str, config: Mapping[str, Any], shapes: Shapes) -> None:
    """Raise CheckpointError for the config of a model, as plain values, that asks for more layers than there are
    tensors, or for a size beyond all numbers: before anything is built from it."""
    tensors, numbers = len(shapes), sum(map(prod, shapes.values()))
    layers, size = max(tensors, HARMLESS_LAYERS), max(numbers, HARMLESS_SIZE)
    faults = [
        f"{place} is {value}, but the files hold {tensors} tensors of {numbers:,} numbers"
        for part in ("unified", "space")
        for place, value in _whole_numbers(config.get(part), part)
        if value > (layers if LAYERS & set(place.split(".")) else size)
    ]
    if faults:
        raise CheckpointError(f"the config of {name} asks for too much: {'; '.join(faults[:4])}: use its own")


def _whole_numbers(values: Any, place: str) -> Iterator[tuple[str, int]]:
    """Every whole number among plain values, and where it stands."""
    if isinstance(values, Mapping | list):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in items:
            yield from _whole_numbers(value, f"{place}.{key}")
    elif type(values) is int:
        yield place, values


def sizes(shapes: Shapes) -> dict[str, int]:
    """Parameters of each part; an output head is told where there is one."""
    counts = {
        part: sum(prod(shape) for name, shape in shapes.items() if name.startswith(start))
        for part, start in PARTS.items()
    }
    return {part: count for part, count in counts.items() if count or part != "output head"}
