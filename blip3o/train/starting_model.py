"""What a run begins with: the weights of a whole model or of parts of it, and the tokenizer that comes along."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from blip3o import config as configs
from blip3o.config import check
from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.backbones.text_backbone import TextBackboneConfig
from blip3o.pipeline.pipeline import ModelConfig, Pipeline
from blip3o.processing.tokenizer import Tokenizer, adopt
from blip3o.weights import hub
from blip3o.weights.deferred import ON_CPU
from blip3o.weights.folders import CONFIG, Part, Shapes, is_ours, is_published
from blip3o.weights.published import BACKBONES
from blip3o.weights.published import model as published
from blip3o.weights.published.siglip_backbones import NAMES as SIGLIP_NAMES
from blip3o.weights.safetensors_files import Rename, Shards, complain, shapes_of

_PARTS: tuple[Part, ...] = ("encoder", "decoder")
WORDS, EXPERTS = "unified.backbone.language_model", "unified.backbone.image_experts"
ROWS = ("language_model.embed_tokens.weight", "lm_head.weight")
"""Tensors with a row for each token."""


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Where the first weights come from: each a shipped model, a folder or an id on the Hub; empty is random ones."""

    model: str = ""
    """A whole model, ours or a published BLIP3-o. Its sizes are taken, too, where the recipe has no `model`."""
    backbone: str = ""
    """A Qwen2.5-VL, Qwen3 or Llama 3 in its own published layout, or that of a model of ours; and its tokenizer. Image
    experts begin as copies of its layers."""
    vision: str = ""
    """A SigLIP or SigLIP 2, for backbones that read by one and bring none."""
    tokenizer: str = ""
    """A folder with a tokenizer.json, in place of the one that comes along or is learned from the captions."""

    def __post_init__(self) -> None:
        check(
            (
                not (self.model and (self.backbone or self.vision)),
                "start.model is a whole model, backbone and vision would take its parts' places: name either",
            ),
            (not (self.model and self.tokenizer), "start.model brings its tokenizer: leave start.tokenizer out"),
        )


def config_of(model: str) -> ModelConfig:
    """The sizes of a model, ours or published; no tensor is read. Raises CheckpointError."""
    folder = hub.find(model)
    if is_published(folder):
        return published.gather(folder)[0]
    return configs.load(ModelConfig, folder / CONFIG)


def tokenizer_of(start: StartConfig) -> Tokenizer | None:
    """The tokenizer that a run begins with; None where one is yet to be made."""
    if start.model:
        return Tokenizer.load(hub.find(start.model))
    if start.tokenizer or start.backbone:
        folder = hub.find(start.tokenizer or start.backbone, ())
        return Tokenizer.load(folder) if is_ours(folder) else adopt(folder)
    return None


def fill(pipeline: Pipeline, start: StartConfig) -> None:
    """Give a new pipeline the weights that a run begins with, in float32.

    Raises CheckpointError for what is missing or broken, ConfigError for weights of other sizes.
    """
    if start.model:
        _fill_whole(pipeline, start.model)
    if start.backbone:
        folder = hub.find(start.backbone, ())
        if is_ours(folder):
            if start.tokenizer:
                raise ConfigError(f"start.backbone {start.backbone} brings its tokenizer: leave start.tokenizer out")
            _fill_own_backbone(pipeline, folder)
        else:
            _fill_backbone(pipeline, folder, tokenizer=bool(start.tokenizer))
        copy_parts(pipeline, {EXPERTS: WORDS} if pipeline.unified.backbone.image_experts is not None else {})
    if start.vision:
        _fill_vision(pipeline, hub.find(start.vision, ()))


def fill_space(pipeline: Pipeline, model: str) -> None:
    """Copy encoder, decoder and statistics from another model of the same sizes; of a published one those parts alone
    that the pipeline has."""
    space = pipeline.config.space
    other = hub.open_model(model, needs=[part for part in _PARTS if getattr(space, part) is not None])
    if other.pipeline.config.space != pipeline.config.space:
        raise ConfigError(f"the image space of {model} has other sizes than the recipe's: take model.space from it")
    if "" in other.files:
        pipeline.space.load_state_dict(other.load(ON_CPU).space.state_dict())
        return
    for place, (shards, rename) in other.files.items():
        if place.startswith("space."):
            shards.fill(pipeline.get_submodule(place), rename, dtype=torch.float32)


def _fill_whole(pipeline: Pipeline, model: str) -> None:
    start = hub.open_model(model)
    own, held = shapes_of(pipeline.state_dict()), shapes_of(start.pipeline.state_dict())
    strange = sorted(name for name in own.keys() | held.keys() if own.get(name) != held.get(name))
    if strange:
        name = strange[0]
        raise ConfigError(
            f"start.model {model} does not fit the recipe's model: {name} is {list(held.get(name, ()))} there and "
            f"{list(own.get(name, ()))} here: leave model out to take its sizes"
        )
    start.check_tensors()
    for place, (shards, rename) in start.files.items():
        shards.fill(pipeline.get_submodule(place), rename, dtype=torch.float32)


def _fill_backbone(pipeline: Pipeline, folder: Path, *, tokenizer: bool) -> None:
    """Language model, output head and, where the folder has it, the vision tower. Rows of tokens that the tokenizer did
    not have begin as the mean of the others, as in the published training; with another `tokenizer` all rows do."""
    backbone, words = pipeline.unified.backbone, pipeline.template.words
    adapter = next(one for one in BACKBONES if isinstance(pipeline.config.unified.backbone, one.kind))
    tensors = _read(folder, adapter.names)
    own = _without_experts(shapes_of(backbone.state_dict()))
    if "lm_head.weight" in own and "lm_head.weight" not in tensors:  # one that is tied there begins alike
        tensors["lm_head.weight"] = tensors[ROWS[0]]
    tensors = {name: value for name, value in tensors.items() if name in own or name.startswith("language_model.")}
    sees = any(name.startswith("visual.") for name in tensors)
    expected = {name: shape for name, shape in own.items() if sees or not name.startswith("visual.")}
    kept = {name: value for name, value in tensors.items() if name not in ROWS}
    complain(folder, {name: shape for name, shape in expected.items() if name not in ROWS}, shapes_of(kept))
    known = set() if tokenizer else set(words.tokens_of(folder))
    for name in ROWS:
        if name in own:
            kept[name] = _rows(tensors[name], own[name], known, folder)
    _put(backbone, kept)


def _fill_own_backbone(pipeline: Pipeline, folder: Path) -> None:
    """The backbone of a model of ours, with the sizes and the tokenizer of this one."""
    backbone, place = pipeline.unified.backbone, "unified.backbone."
    hub.open_model(folder).check_tensors()
    tensors = _read(folder, lambda name: name.removeprefix(place) if name.startswith(place) else None)
    tensors = {name: value for name, value in tensors.items() if not name.startswith(EXPERTS.removeprefix(place))}
    complain(folder, _without_experts(shapes_of(backbone.state_dict())), shapes_of(tensors))
    _put(backbone, tensors)


def _without_experts(shapes: Shapes) -> Shapes:
    """The tensors of a backbone but for those that begin as copies of others."""
    return {name: shape for name, shape in shapes.items() if not f"unified.backbone.{name}".startswith(f"{EXPERTS}.")}


@torch.no_grad()
def copy_parts(pipeline: Pipeline, copies: Mapping[str, str]) -> None:
    """Give parts of the model the weights of other parts: the name of a part -> that of the part it is to begin as.

    Raises ConfigError as `check_copies` does.
    """
    check_copies(pipeline, copies)
    parameters = dict(pipeline.named_parameters())
    for part, other in copies.items():
        for name, parameter in parameters.items():
            if name.startswith(f"{part}."):
                parameter.copy_(parameters[other + name.removeprefix(part)])


def check_copies(pipeline: Pipeline, copies: Mapping[str, str]) -> None:
    """Raise ConfigError where a part has no parameters, or other ones than the part that it is to begin as."""
    shapes = {name: parameter.shape for name, parameter in pipeline.named_parameters()}
    for part, other in copies.items():
        own = [name for name in shapes if name.startswith(f"{part}.")]
        if not own:
            raise ConfigError(f"copies: the model has no part {part}")
        lacking = [name for name in own if shapes.get(other + name.removeprefix(part)) != shapes[name]]
        if lacking:
            raise ConfigError(f"copies: {part} cannot begin as {other}, which has nothing of the shape of {lacking[0]}")


def _rows(rows: Tensor, shape: tuple[int, ...], known: set[int], folder: Path) -> Tensor:
    """A row for each token of ours: that of the folder where its tokenizer has the token, else their mean."""
    if rows.shape[1] != shape[1]:
        raise CheckpointError(f"{folder} has embeddings of {rows.shape[1]}, the recipe of {shape[1]}: make them equal")
    taken = [token for token in sorted(known) if token < min(len(rows), shape[0])]
    mean = (rows[taken] if taken else rows).float().mean(0)
    new = mean.repeat(shape[0], 1)
    new[taken] = rows[taken].float()
    return new


def _fill_vision(pipeline: Pipeline, folder: Path) -> None:
    """The tower of a SigLIP; the projector behind it begins with random weights."""
    if not isinstance(pipeline.config.unified.backbone, TextBackboneConfig):
        raise ConfigError("start.vision has an effect only on backbones that read by SigLIP: leave it out")
    tower = pipeline.get_submodule("unified.backbone.visual.tower")
    tensors = _read(folder, lambda name: SIGLIP_NAMES(f"model.vision_tower.{name}"))
    named = {name.removeprefix("visual.tower."): value for name, value in tensors.items()}
    expected = shapes_of(tower.state_dict())
    held = {name: value for name, value in named.items() if name in expected or name.startswith("encoder.")}
    complain(folder, expected, shapes_of(held))
    _put(tower, held)


def _read(folder: Path, rename: Rename) -> dict[str, Tensor]:
    shards = Shards.find(folder)
    return {name: value for old, value in shards.read(shards.shapes) if (name := rename(old)) is not None}


@torch.no_grad()
def _put(network: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    held = network.state_dict()
    for name, value in tensors.items():
        held[name].copy_(value.view(held[name].shape))
