"""A model told by its config and by the headers of its files: no tensor is read for it, no network is built, and for a
model of ours torch is not even opened."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from blip3o import __version__
from blip3o.config import from_dict, read_yaml, to_dict
from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.weights import digest
from blip3o.weights.folders import CONFIG, Shapes, about_in, is_published, shapes_in, tensor_files

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
STATISTICS = ("space.mean", "space.deviation")
"""Tensors that are no parameters."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is known of a model before anything is built."""

    name: str
    shapes: Shapes
    """Of its parameters."""
    sampling: SamplingConfig
    decoder: Mapping[str, Any] | None
    """Its config, as plain values."""
    words: tuple[str, ...] | None
    """Of a closed vocabulary."""
    about: Mapping[str, object]
    """The facts written with the tensors."""

    def facts(self) -> dict[str, Any]:
        """What `BLIP3o.info` tells of the model, and its peaks of memory."""
        parts = sizes(self.shapes)
        total = sum(parts.values())
        return {
            "name": self.name,
            "version": __version__,
            "weights": dict(self.about),
            "sampling": asdict(self.sampling),
            "parts": parts,
            "parameters": total,
            "bytes": {dtype: size * total for dtype, size in BYTES.items()},
            "picture_size": None if self.decoder is None else self.decoder["size"],
            "words": self.words,
            "peak": peaks(self.shapes, working_numbers(self.decoder)),
        }


def read(folder: Path, decoder: Path | None = None, *, verify: bool = True) -> Outline:
    """The outline of a model in a folder; `decoder` is the folder of a published model's decoder, where it lies apart.

    Raises CheckpointError for a folder that holds no whole model or, where it is to `verify`, one that changed since it
    was saved; ConfigError for a config that cannot be read.
    """
    words = folder / "words.txt"
    try:
        known = tuple(sorted(set(words.read_text(encoding="utf-8").split()))) if words.is_file() else None
    except (OSError, UnicodeError) as error:
        raise CheckpointError(f"{words} is no list of words ({error}): copy it again from its source") from error
    if is_published(folder):
        return _published(folder, decoder, known)
    if decoder is not None:
        raise ConfigError(f"{folder.name} holds its own decoder, {decoder} would not be used: leave it out")
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} holds no {CONFIG}: name the folder of a whole checkpoint")
    outline = _ours(folder, known)
    if verify:
        digest.check(folder)
    return outline


def _ours(folder: Path, words: tuple[str, ...] | None) -> Outline:
    config, files = read_yaml(folder / CONFIG), tensor_files(folder)
    try:
        check_sizes(str(config["name"]), config, shapes_in(files))
        working_numbers(config["space"]["decoder"])  # of sizes that make no decoder nothing can be counted
        return Outline(
            name=str(config["name"]),
            shapes={name: shape for name, shape in shapes_in(files).items() if name not in STATISTICS},
            sampling=from_dict(SamplingConfig, config["sampling"], "sampling"),
            decoder=config["space"]["decoder"],
            words=words,
            about=about_in(files[0]),
        )
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, CheckpointError | ConfigError):
            raise
        raise CheckpointError(f"{folder / CONFIG} is no config of a model ({error}): copy it again") from error


def _published(folder: Path, decoder: Path | None, words: tuple[str, ...] | None) -> Outline:
    from blip3o.weights.published import model as published  # opens torch

    config, files = published.gather(folder, decoder=decoder)
    shapes = {
        f"{place}.{new}": shape
        for place, (shards, rename) in files.items()
        for old, shape in shards.shapes.items()
        if (new := rename(old)) is not None
    }
    paints = config.space.decoder
    return Outline(
        name=config.name,
        shapes=shapes,
        sampling=config.sampling,
        decoder=None if paints is None else to_dict(paints),
        words=words,
        about=published.ABOUT,
    )


# --- the config and the tensors -------------------------------------------------------------------------------------


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


# --- parameters -----------------------------------------------------------------------------------------------------


def sizes(shapes: Shapes) -> dict[str, int]:
    """Parameters of each part; an output head is told where there is one."""
    found = {
        part: sum(prod(shape) for name, shape in shapes.items() if name.startswith(start))
        for part, start in PARTS.items()
    }
    return {part: count for part, count in found.items() if count or part != "output head"}


def is_rounded(name: str, shape: tuple[int, ...], kind: str) -> bool:
    """Whether a parameter is rounded to this kind of numbers: the matrices of repeated blocks are, which make up nearly
    all of a large model; what stands before and after the blocks is few and delicate."""
    if len(shape) != 2 or not STACK.search(name):
        return False
    return all(size % multiple == 0 for size, multiple in zip(shape, ROUNDED_MULTIPLES[kind], strict=True))


# --- memory ---------------------------------------------------------------------------------------------------------


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
    moving = [_tree(shapes, f"{part}.") for part in movable(shapes)]
    most = max(map(_numbers if memory == "balanced" else _on_the_way, moving), default=0)
    return total - sum(map(_numbers, moving)) + most


def movable(shapes: Shapes) -> list[str]:
    """The modules that need not be on the device while others work. What is used outside of a forward (embeddings,
    queries) is in none of them."""
    names = ["unified.backbone.language_model.layers", "unified.backbone.visual", "space.encoder"]
    for start in (PARTS["head"], PARTS["decoder"]):
        inside = (name.removeprefix(start) for name in shapes if name.startswith(start))
        names += sorted({f"{start}{name.partition('.')[0]}" for name in inside if "." in name})
    return names


def _tree(shapes: Shapes, start: str) -> dict[str, Any]:
    """The modules within the one of this name, at whose ends are the numbers of parameters."""
    root: dict[str, Any] = {}
    for name, shape in shapes.items():
        if not name.startswith(start):
            continue
        *modules, last = name.removeprefix(start).split(".")
        node = root
        for module in modules:
            node = node.setdefault(module, {})
        node[last] = prod(shape)
    return root


def _numbers(node: Any) -> int:
    return sum(map(_numbers, node.values())) if isinstance(node, dict) else node


def _on_the_way(node: dict[str, Any]) -> int:
    """Numbers that are there at most where each module brings its own: those of a layer and of all it stands in."""
    own = sum(value for value in node.values() if not isinstance(value, dict))
    return own + max((_on_the_way(value) for value in node.values() if isinstance(value, dict)), default=0)


def working_numbers(decoder: Mapping[str, Any] | None) -> int:
    """Numbers of the tensors that a decoder of this config has at a time, at most, while it paints one picture of its
    own size (weights/placement/memory.py counts them by doing it)."""
    if decoder is None:
        return 0
    if "sketch_widths" in decoder:
        return _pixel_numbers(decoder)
    if "unet" in decoder:
        return _sdxl_numbers(decoder)
    from blip3o.weights.placement.memory import count_numbers  # opens torch, and builds the decoder

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
