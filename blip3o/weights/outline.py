"""A model told by its config and by the headers of its files: no tensor is read for it, no network is built, and for a
model of ours torch is not even opened."""

from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

from blip3o import __version__
from blip3o.config import from_dict, read_yaml, to_dict
from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.parts import count_parameters
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.weights import digest
from blip3o.weights.folders import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    Shapes,
    about_in,
    existing,
    is_published,
    read_json,
    shapes_in,
    tensor_files,
)
from blip3o.weights.placement.memory import BYTES, peaks, working_numbers
from blip3o.weights.sizes import check_sizes

STATISTICS = ("space.mean", "space.deviation")
"""Tensors that are no parameters."""


def facts(
    config: Mapping[str, Any],
    about: Mapping[str, object],
    sampling: SamplingConfig,
    parts: Mapping[str, int],
    words: tuple[str, ...] | None,
) -> dict[str, Any]:
    """What is told of a model with this config, as plain values: where its weights come from (`about`), how it draws,
    the parameters of its `parts`, its picture size in px, and the words of a closed vocabulary."""
    decoder, parameters = config["space"]["decoder"], sum(parts.values())
    return {
        "name": str(config["name"]),
        "version": __version__,
        "weights": dict(about),
        "sampling": asdict(sampling),
        "parts": dict(parts),
        "parameters": parameters,
        "bytes": {dtype: size * parameters for dtype, size in BYTES.items()},
        "picture_size": None if decoder is None else decoder["size"],
        "words": words,
    }


def read(folder: Path, decoder: Path | None = None, *, verify: bool = True) -> dict[str, Any]:
    """The `facts` of the model in a folder, and its peaks of memory; `decoder` is the folder of a published model's
    decoder, where it lies apart.

    Raises CheckpointError for a folder that holds no whole model or, where it is to `verify`, one that changed since it
    was saved; ConfigError for a config that cannot be read.
    """
    words = _words(folder / "words.txt")
    try:
        config, shapes, about = headers(folder, decoder)
        sampling = from_dict(SamplingConfig, config["sampling"], "sampling")
        peak = peaks(shapes, working_numbers(config["space"]["decoder"]))
        outline = facts(config, about, sampling, count_parameters(shapes), words) | {"peak": peak}
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, CheckpointError | ConfigError):
            raise
        raise CheckpointError(f"{folder / CONFIG} is no config of a model ({error}): copy it again") from error
    if verify and not is_published(folder):
        digest.check(folder)
    return outline


def adapter(folder: Path) -> dict[str, Any]:
    """What is told of an adapter: the base it was trained on, its sizes, its new words. Raises CheckpointError."""
    path, config = folder / ADAPTER_WEIGHTS, read_json(folder / ADAPTER_CONFIG)
    shapes, about = shapes_in([path]), about_in(path)
    layers = {name.partition(".lora_")[0] for name in shapes if ".lora_" in name}
    return {
        "adapter": folder.name,
        "base": about.get("base", config.get("base_model_name_or_path")),
        "kind": "DoRA" if config.get("use_dora") else "LoRA",
        "rank": config.get("r"),
        "alpha": config.get("lora_alpha"),
        "layers": len(layers),
        "parameters": sum(prod(shape) for shape in shapes.values()),
        "size_on_disk": sum(file.stat().st_size for file in folder.glob("*") if file.is_file()),
        "words": about.get("words", []),
        "run": {key: value for key, value in about.items() if key not in ("base", "words")},
    }


def _words(path: Path) -> tuple[str, ...] | None:
    """Those of a list of words; None where there is no list."""
    try:
        return tuple(sorted(set(path.read_text(encoding="utf-8").split()))) if path.is_file() else None
    except (OSError, UnicodeError) as error:
        raise CheckpointError(f"{path} is no list of words ({error}): copy it again from its source") from error


def headers(folder: Path, decoder: Path | None = None) -> tuple[Any, Shapes, dict[str, Any]]:
    """The config of the model in a folder as plain values, the shapes of its parameters, and the facts beside them."""
    if is_published(folder):
        return _published(folder, decoder)
    if decoder is not None:
        raise ConfigError(f"{folder.name} holds its own decoder, {decoder} would not be used: leave it out")
    config, files = read_yaml(existing(folder / CONFIG)), tensor_files(folder)
    shapes = shapes_in(files)
    check_sizes(str(config["name"]), config, shapes)
    return config, {name: shape for name, shape in shapes.items() if name not in STATISTICS}, about_in(files[0])


def _published(folder: Path, decoder: Path | None) -> tuple[Any, Shapes, dict[str, Any]]:
    from blip3o.weights.published import model as published  # opens torch

    config, files = published.gather(folder, decoder=decoder)
    shapes = {
        f"{place}.{name}": shape
        for place, (shards, rename) in files.items()
        for old, shape in shards.shapes.items()
        if (name := rename(old)) is not None
    }
    return to_dict(config), shapes, published.ABOUT
