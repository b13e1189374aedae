"""What a contact sheet of data shows: samples as they lie there, or conversations as a recipe's stages see them."""

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from blip3o.errors import DataError

if TYPE_CHECKING:
    from blip3o.cli.contact_sheet import Section, Tile
    from blip3o.data.sources.source import Source
    from blip3o.train.recipe import Recipe, Stage

TRIES = 20
"""Samples that are looked at for each tile: where all are faulty, the sheet has fewer tiles."""


def scenes(count: int, seed: int) -> list["Tile"]:
    """Scenes of the picture book and their captions."""
    from PIL import Image

    from blip3o.picturebook.world.captions import caption
    from blip3o.picturebook.world.draw import draw
    from blip3o.picturebook.world.stories import sample_scene

    rng = random.Random(f"preview/{seed}")
    drawn = [sample_scene(rng) for _ in range(count)]
    return [(Image.fromarray(draw(scene)), caption(scene)) for scene in drawn]


def samples(source: "Source", count: int, seed: int) -> list["Tile"]:
    """Samples with pictures in random order: a picture and its first caption, or a conversation with its pictures."""
    from blip3o.data.sample import SampleError
    from blip3o.data.transcript import transcript
    from blip3o.processing.picture_files import tile

    tiles: list[Tile] = []
    for index in random.Random(f"preview/{seed}").sample(range(len(source)), len(source)):
        try:
            sample = source[index]
        except SampleError:
            continue
        if sample.pictures:
            text = transcript(sample.conversation) if sample.conversation else sample.captions[0]
            tiles.append((tile(sample.pictures), text))
        if len(tiles) == count:
            break
    return tiles


def stages(recipe: "Recipe", source: "Source", count: int) -> list["Section"]:
    """Of each stage of a recipe the first samples that it learns from, a section for each kind of batch."""
    return [section for stage in recipe.stages for section in _sections(recipe, stage, source, count)]


def _sections(recipe: "Recipe", stage: "Stage", source: "Source", count: int) -> Iterator["Section"]:
    from blip3o.data.address import StepAddresses
    from blip3o.train.objectives.unified import UnifiedObjectiveConfig

    objective, step = stage.objective, StepAddresses(f"train/{recipe.seed}/{stage.name}", 0, count)
    if not isinstance(objective, UnifiedObjectiveConfig):
        yield f"{stage.name}: pictures", _pictures(source, step)
        return
    for kind, weights in (("draw", objective.draw), ("text", objective.text)):
        if weights:
            yield f"{stage.name}: {_shares(weights)}", _conversations(source, weights, step.of(kind, count), kind)


def _shares(weights: Mapping[str, float]) -> str:
    total = sum(weights.values())
    return ", ".join(f"{task} {weight / total:.0%}" for task, weight in weights.items() if weight)


def _conversations(source: "Source", weights: Mapping[str, float], part: Any, kind: str) -> list["Tile"]:
    """Prompt and target of the first samples, as `UnifiedObjective` takes them."""
    from blip3o.data.mixture import Mixture
    from blip3o.data.sample import SampleError
    from blip3o.data.transcript import transcript
    from blip3o.processing.conversation import Picture
    from blip3o.processing.picture_files import tile

    mixture, tiles = Mixture(source, weights, part.run, drawing=kind == "draw"), []
    for number in range(TRIES * part.count):
        try:
            conversation = mixture[number]
        except SampleError:
            continue
        pictures = [one for turn in conversation for one in turn.content if isinstance(one, Picture)]
        tiles.append((tile(pictures), transcript(conversation)))
        if len(tiles) == part.count:
            break
    return tiles


def _pictures(source: "Source", step: Any) -> list["Tile"]:
    """The first pictures, as objectives of pictures alone take them."""
    from blip3o.data.order import Order
    from blip3o.data.sample import SampleError
    from blip3o.processing.picture_files import tile

    order, tiles = Order({"all": len(source)}, {"all": 1.0}, step.run), []
    for number in range(TRIES * step.count):
        try:
            tiles.append((tile([source.picture(order[number][1])]), ""))
        except SampleError:
            continue
        if len(tiles) == step.count:
            break
    return tiles


def check_shown(sections: list["Section"], name: str) -> None:
    """Raise DataError for a sheet without a tile."""
    if not any(tiles for _, tiles in sections):
        raise DataError(f"{name} holds no sample with a picture that can be read: see `blip3o data check {name}`")
