"""The memory that a model takes on a device, told by the shapes of its tensors and its decoder's config.

Torch is opened only for a decoder that no formula stands for.
"""

import re
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from math import prod
from typing import Any

from blip3o.pipeline.parts import PARTS
from blip3o.weights.folders import Shapes

MEMORIES = ("full", "balanced", "low")
"""How much is on the device at a time: the whole model, one part (the language model, say), or one layer."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Dtype of weights -> bytes of one."""
ROUNDED_BYTES = {"int8": 1.0, "nf4": 0.5 + 4 / 64}
"""Kind of numbers that the matrices of repeated blocks may be rounded to -> bytes of one; nf4 adds a float32 for 64."""
ROUNDED_MULTIPLES = {"int8": (1, 1), "nf4": (32, 64)}
"""Rows and columns of a matrix that is rounded are multiples of these: the others are held by some processors only."""
STACK = re.compile(r"\.(layers|blocks|\w+_blocks|resnets|attentions)\.\d+\..*weight$")
"""A tensor in one of the repeated blocks."""


def is_rounded(name: str, shape: tuple[int, ...], kind: str) -> bool:
    """Whether a parameter is rounded to this kind of numbers: the matrices of repeated blocks are, which make up nearly
    all of a large model; what stands before and after the blocks is few and delicate."""
    if len(shape) != 2 or not STACK.search(name):
        return False
    return all(size % multiple == 0 for size, multiple in zip(shape, ROUNDED_MULTIPLES[kind], strict=True))


def peak(shapes: Shapes, working: int, size: int, memory: str = "full", rounded: str | None = None) -> int:
    """Bytes on the device, at most, while one picture is drawn, where a number takes `size` bytes: the weights that are
    there at a time, and the `working` numbers of the decoder, which needs most; `rounded` is the kind of the matrices,
    None leaves them as they are."""
    saved = 0 if rounded is None else saved_bytes(shapes, rounded, size)
    return size * (held(shapes, memory) + working) - saved


def peaks(shapes: Shapes, working: int) -> dict[str, dict[str, int]]:
    """Dtype, or kind of rounded matrices (what is not rounded in bfloat16) -> memory mode -> its `peak`."""
    rounded = {kind: {"full": peak(shapes, working, BYTES["bfloat16"], rounded=kind)} for kind in ROUNDED_BYTES}
    return {
        dtype: {memory: peak(shapes, working, size, memory) for memory in MEMORIES} for dtype, size in BYTES.items()
    } | rounded


def saved_bytes(shapes: Shapes, kind: str, size: int) -> int:
    """Bytes that rounding saves where a number takes `size` bytes."""
    numbers = sum(prod(shape) for name, shape in shapes.items() if is_rounded(name, shape, kind))
    return int(numbers * (size - ROUNDED_BYTES[kind]))


def held(shapes: Shapes, memory: str = "full") -> int:
    """Numbers of the weights that are on the device at a time."""
    total = sum(map(prod, shapes.values()))
    if memory == "full":
        return total
    moving = [
        {name: prod(shape) for name, shape in shapes.items() if name.startswith(f"{part}.")} for part in movable(shapes)
    ]
    whole = [sum(part.values()) for part in moving]
    return total - sum(whole) + max(whole if memory == "balanced" else map(_on_the_way, moving), default=0)


def movable(shapes: Shapes) -> list[str]:
    """The modules that need not be on the device while others work. What is used outside of a forward (embeddings,
    queries) is in none of them."""
    names = ["unified.backbone.language_model.layers", "unified.backbone.visual", "space.encoder"]
    experts = "unified.backbone.image_experts.layers"
    names += [experts] if any(name.startswith(f"{experts}.") for name in shapes) else []
    for start in (PARTS["head"], PARTS["decoder"]):
        inside = (name.removeprefix(start) for name in shapes if name.startswith(start))
        names += sorted({f"{start}{name.partition('.')[0]}" for name in inside if "." in name})
    return names


def _on_the_way(part: Mapping[str, int]) -> int:
    """Numbers that are there at most where each module brings its own: those of a layer and of all it stands in."""
    own: Counter[str] = Counter()
    for name, count in part.items():
        own[name.rpartition(".")[0]] += count
    ways = (accumulate(module.split("."), "{}.{}".format) for module in own)  # a, a.b, a.b.c
    return max((sum(own[module] for module in way) for way in ways), default=0)


def working_numbers(decoder: Mapping[str, Any] | None) -> int:
    """Numbers of the tensors that a decoder of this config has at a time, at most, while it paints one picture of its
    own size (working_memory.py counts them by doing it)."""
    if decoder is None:
        return 0
    if "sketch_widths" in decoder:
        return _pixel_numbers(decoder)
    if "unet" in decoder:
        return _sdxl_numbers(decoder)
    from blip3o.weights.placement.working_memory import count_numbers  # opens torch, and builds the decoder

    return count_numbers(decoder)


def _pixel_numbers(config: Mapping[str, Any]) -> int:
    """Where the UNet goes up: what it was given, the maps that wait, and a block's input, normalised and activated; or,
    if that is little, where the velocity is made of what came out."""
    widths, blocks, fold = list(config["widths"]), config.get("blocks", 1), config["fold"]
    positions, folded = (config["size"] // fold) ** 2, 3 * fold**2
    given = 2 * folded + config["sketch_widths"][-1]
    most, waiting = 0, 0
    for level, width in enumerate(widths):
        before, coming = widths[max(level - 1, 0)], widths[min(level + 1, len(widths) - 1)]
        here = positions // 4**level
        most = max(most, waiting + here * (before + (blocks - 1) * width + coming + 3 * (coming + width)))
        waiting += here * (before + blocks * width)
    return max(3 * positions * given + most + 4 * widths[0], positions * (2 * given + 4 * folded)) + 2


def _sdxl_numbers(config: Mapping[str, Any]) -> int:
    """Where the autoencoder comes to the picture's size: a block's input, normalised and activated, or the input beside
    what is added up to the output; and the latents, as they were drawn, scaled and mixed."""
    widths, size = config["vae"]["block_out_channels"], config["size"]
    first, second = widths[0], widths[min(1, len(widths) - 1)]
    latents = config["vae"].get("latent_channels", 4) * (size // 2 ** (len(widths) - 1)) ** 2
    return max(3 * second, second + 4 * first) * size**2 + 3 * latents
