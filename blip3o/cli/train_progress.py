"""What a run shows while it trains: a bar, lines, sample sheets and scores."""

import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column

from blip3o.api import BLIP3o
from blip3o.cli.contact_sheet import Section, sheet
from blip3o.cli.files import write_picture
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture, Turn
from blip3o.train import log
from blip3o.train.trainer import Trainer

DRAWN, EDITED, RECONSTRUCTED = 6, 3, 12
"""Prompts and edits on a sheet."""
WIDE = 120
"""Columns of a terminal from which on it shows every loss."""
SEED = 1000
"""Of the questions asked while training: others than those of the final scores."""
LIMIT = 20
"""Questions in each group, or in all of a benchmark without groups."""
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


class Watch(Progress):
    """Shows progress: a bar where stderr is a terminal; elsewhere a line on stdout every `every_s` seconds and
    at the end of a stage."""

    def __init__(self, every_s: float) -> None:
        console = Console(stderr=True, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(12), MofNCompleteColumn())
        facts = TextColumn("{task.fields[facts]}", table_column=Column(no_wrap=True))
        super().__init__(*columns, facts, console=console, disable=not console.is_terminal)
        self.every_s = every_s
        self.last = -every_s
        self.stages: dict[str, TaskID] = {}

    def see(self, progress: log.TrainingProgress) -> None:
        """Show a step."""
        facts = describe(progress, brief=self.console.is_terminal and self.console.width < WIDE)
        if self.console.is_terminal:
            if progress.stage not in self.stages:
                self.stages[progress.stage] = self.add_task(progress.stage, total=progress.steps, facts="")
            self.update(self.stages[progress.stage], completed=progress.step, facts=facts)
        elif progress.step == progress.steps or time.monotonic() - self.last >= self.every_s:
            self.last = time.monotonic()
            print(f"{progress.stage} {progress.step}/{progress.steps} {facts}".strip(), flush=True)

    def say(self, line: str) -> None:
        """Show a line above the bar."""
        if self.console.is_terminal:
            self.console.print(line, markup=False)
        else:
            print(line, flush=True)


def describe(progress: log.TrainingProgress, *, brief: bool = False) -> str:
    """Losses (in brief: what is minimised), speed and time left in words."""
    if not progress.losses:
        return ""
    losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items() if not brief or name == "total")
    minutes, seconds = divmod(round(progress.left_s), 60)
    return f"{losses}  {progress.samples_per_s:.0f} samples/s  {minutes}:{seconds:02d} left"


def score_in(trainer: Trainer, watch: Watch) -> Callable[[Pipeline, Path], dict[str, float]]:
    """What the trainer calls to draw samples and to score: by what the stage, named in the folder, has learned."""
    recipe, source = trainer.recipe, trainer.source
    stages = {stage.name: stage for stage in recipe.stages}

    def score(pipeline: Pipeline, folder: Path) -> dict[str, float]:
        stage = stages[folder.name.rpartition("-")[0]]
        model = BLIP3o(pipeline, {"stage": folder.name})
        if any(part.startswith("space") for part in stage.trains):
            reconstruct(model, source, folder)
        if any(part == "unified" or part.startswith("unified.head") for part in stage.trains):
            draw(model, folder, *examples(source, stage.objective.tasks))
        scores = benchmark_scores(model, recipe.benchmark, stage.objective.tasks)
        if scores:
            watch.say(f"{folder.name}: " + "  ".join(f"{name} {value:.2f}" for name, value in scores.items()))
        return scores

    return score


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


def reconstruct(model: BLIP3o, source: Source, folder: Path) -> None:
    """Write a sheet of pictures and what the image space keeps of them."""
    pictures, captions = [], []
    for index in range(min(RECONSTRUCTED, len(source))):
        with suppress(SampleError):
            pictures.append(Image.fromarray(source.picture(index).pixels))
            captions.append(next(iter(source[index].captions), ""))
    if not pictures:
        return
    decoded = model.reconstruct(pictures)
    originals = list(zip(pictures, captions, strict=True))
    page = sheet([("pictures", originals), ("encoded and decoded again", [(image, "") for image in decoded])])
    write_picture(page, folder / "reconstructed.png")


def draw(model: BLIP3o, folder: Path, prompts: Sequence[str], edits: Sequence[tuple[np.ndarray, str]]) -> None:
    """Write a sheet of drawn prompts, two pictures each, and of edits."""
    if not prompts:
        return
    twice = [prompt for prompt in prompts for _ in range(2)]
    images = model.generate(twice, seed=[0, 1] * len(prompts))
    sections: list[Section] = [("drawn", list(zip(images, twice, strict=True)))]
    if edits:
        pictures, instructions = zip(*edits, strict=True)
        edited = model.edit(pictures, instructions)
        pairs = zip(pictures, instructions, edited, strict=True)
        tiles = [((Image.fromarray(before), ""), (after, text)) for before, text, after in pairs]
        sections.append(("edited", [tile for pair in tiles for tile in pair]))
    write_picture(sheet(sections), folder / "drawn.png")
