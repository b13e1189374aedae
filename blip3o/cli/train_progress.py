"""What a model that is being trained has learned so far: sheets of samples, and scores."""

import json
import random
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.cli.contact_sheet import Section, sheet
from blip3o.cli.files import write_picture
from blip3o.cli.train_view import Watch
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.files import write_text, writing
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture, Turn
from blip3o.train.held_out_features import feature_sets
from blip3o.train.report import SAMPLES
from blip3o.train.trainer import Trainer

DRAWN, EDITED, RECONSTRUCTED = 6, 3, 12
"""Prompts and edits on a sheet."""
SEED = 1000
"""Of the questions asked while training: others than those of the final scores."""
LIMIT = 20
"""Questions in each group, or in all of a benchmark without groups."""
THUMBNAIL = 128
"""Of the pictures on the run's page, in px."""
DrawnSample = tuple[str, str, Image.Image]
"""What was done (drawn, edited, reconstructed), what was asked for, and the picture."""
BOOK = "picturebook"
GROUPS_OF_TASKS = {
    "draw": ("generation", "composition"),
    "question": ("vqa",),
    "caption_short": ("caption",),
    "edit": ("edit",),
    "dialogue": ("dialogue",),
    "riddle": ("riddle",),
}
"""A task that a stage trains -> the groups of the suite that ask for it."""


def score_in(trainer: Trainer, watch: Watch) -> Callable[[Pipeline, Path], dict[str, float]]:
    """What the trainer calls to draw samples and to score: by what the stage, named in the folder, has learned. Raises
    PromptError for a prompt of the recipe that the model cannot be asked."""
    recipe, source = trainer.recipe, trainer.source
    stages = {stage.name: stage for stage in recipe.stages}
    for prompt in recipe.prompts:
        trainer.pipeline.template.check(prompt)

    def score(pipeline: Pipeline, folder: Path) -> dict[str, float]:
        stage = stages[folder.name.rpartition("-")[0]]
        model = BLIP3o(pipeline, {"stage": folder.name})
        tasks, samples = stage.objective.tasks, list[DrawnSample]()
        scores: dict[str, float] = {}
        if any(part.startswith("space") for part in stage.trains):
            samples += reconstruct(model, source, folder)
        if any(part == "unified" or part.startswith("unified.head") for part in stage.trains):
            prompts, edits = examples(source, tasks)
            samples += draw(model, folder, recipe.prompts or prompts, edits)
            scores |= feature_distance(trainer, pipeline, tasks)
        write_samples(folder, samples)
        scores |= benchmark_scores(model, recipe.benchmark, tasks)
        if scores:
            watch.say(f"{folder.name}: " + "  ".join(f"{name} {value:.2f}" for name, value in scores.items()))
        return scores

    return score


def feature_distance(trainer: Trainer, pipeline: Pipeline, tasks: Collection[str]) -> dict[str, float]:
    """The Frechet distance between generated and real features of held-out requests; empty where the recipe asks for
    none, or the tasks hold none."""
    from blip3o.evals.distributions.frechet import frechet_distance

    drawn = trainer.recipe.validation.drawn
    sets = feature_sets(pipeline, trainer.held_out.source, tasks, drawn) if drawn else None
    return {} if sets is None else {"validation/feature_distance": frechet_distance(*sets)}


def benchmark_scores(model: BLIP3o, benchmark: str, tasks: Collection[str]) -> dict[str, float]:
    """Scores of the first items of a benchmark; of the picture book's, in the groups that ask for these tasks."""
    from blip3o.evals.evaluate import evaluate

    bare = {task.rpartition(".")[2] for task in tasks}  # without the names that a mixture gives its sources
    groups = [group for task, groups in GROUPS_OF_TASKS.items() if task in bare for group in groups]
    if not benchmark or (benchmark == BOOK and not groups):
        return {}
    results = evaluate(model, [benchmark], seed=SEED, limit=LIMIT, groups=groups if benchmark == BOOK else None)
    return values(results[0]["metrics"])


def values(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested metrics by their full names."""
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        numbers |= {prefix + name: value["value"]} if "value" in value else {}
        numbers |= values({key: part for key, part in value.items() if isinstance(part, dict)}, f"{prefix}{name}/")
    return numbers


def examples(source: Source, tasks: Collection[str]) -> tuple[list[str], list[tuple[np.ndarray, str]]]:
    """Prompts, and pictures with instructions, of conversations as the stage learns them; always the same ones."""
    rng = random.Random("watching")
    prompts: list[str] = []
    edits: list[tuple[np.ndarray, str]] = []
    for _ in range(400 if tasks else 0):
        try:
            task = rng.choice(sorted(tasks))
            conversation = source.conversation(task, rng.randrange(source.length(task)), rng)
        except SampleError:
            continue
        match conversation:
            case (Turn("user", (str() as prompt,)), Turn("assistant", (Picture(),))) if prompt.strip():
                prompts.append(prompt)
            case (Turn("user", (Picture() as picture, str() as instruction)), Turn("assistant", (Picture(),))):
                edits.append((picture.pixels, instruction))
    return prompts[:DRAWN], edits[:EDITED]


def reconstruct(model: BLIP3o, source: Source, folder: Path) -> list[DrawnSample]:
    """Write a sheet of pictures and what the image space keeps of them; gives some of the latter."""
    pictures, captions = [], []
    for index in range(min(RECONSTRUCTED, len(source))):
        with suppress(SampleError):
            pictures.append(Image.fromarray(source.picture(index).pixels))
            captions.append(next(iter(source[index].captions), ""))
    if not pictures:
        return []
    decoded = model.reconstruct(pictures)
    originals = list(zip(pictures, captions, strict=True))
    page = sheet([("pictures", originals), ("encoded and decoded again", [(image, "") for image in decoded])])
    write_picture(page, folder / "reconstructed.png")
    return [("reconstructed", text, image) for text, image in zip(captions, decoded, strict=True)][:DRAWN]


def draw(
    model: BLIP3o, folder: Path, prompts: Sequence[str], edits: Sequence[tuple[np.ndarray, str]]
) -> list[DrawnSample]:
    """Write a sheet of drawn prompts, two pictures each, and of edits; gives a picture of each."""
    if not prompts:
        return []
    twice = [prompt for prompt in prompts for _ in range(2)]
    images = model.generate(twice, seed=[0, 1] * len(prompts))
    sections: list[Section] = [("drawn", list(zip(images, twice, strict=True)))]
    samples: list[DrawnSample] = [("drawn", prompt, image) for prompt, image in zip(prompts, images[::2], strict=True)]
    if edits:
        pictures, instructions = zip(*edits, strict=True)
        edited = model.edit(pictures, instructions)
        pairs = list(zip(pictures, instructions, edited, strict=True))
        tiles = [((Image.fromarray(before), ""), (after, text)) for before, text, after in pairs]
        sections.append(("edited", [tile for pair in tiles for tile in pair]))
        samples += [("edited", text, after) for _, text, after in pairs]
    write_picture(sheet(sections), folder / "drawn.png")
    return samples


def write_samples(folder: Path, samples: Sequence[DrawnSample]) -> None:
    """Write small pictures for the run's page, and in the end their list."""
    listed = []
    for number, (kind, text, image) in enumerate(samples):
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        name = f"{number:02d}.webp"
        with writing(folder / name) as temporary:
            small.save(temporary, "WEBP", quality=85)
        listed.append({"kind": kind, "text": text, "file": name})
    if listed:
        write_text(folder / SAMPLES, json.dumps(listed, ensure_ascii=False))
