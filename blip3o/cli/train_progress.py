"""What a run shows while it trains: a bar, lines, sample sheets and scores."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column

from blip3o.api import BLIP3o
from blip3o.cli.contact_sheet import Section, Tile, sheet
from blip3o.cli.files import write_picture
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train import log
from blip3o.train.recipe import Recipe

if TYPE_CHECKING:
    import PIL.Image

PROMPTS = (
    *("a photo of a red dog", "a photo of three yellow balloons", "a photo of a cat left of a tree"),
    *("a red car and a blue umbrella", "a castle in the snow at night", "a photo of a bird above a house"),
)
INSTRUCTIONS = ("make it night", "add a red ball", "make it a winter day")
WIDE = 120
"""Columns of a terminal from which on it shows every loss."""
SEED = 1000
"""Of the questions asked while training: others than those of the final scores."""
LIMIT = 20
"""Questions in each group."""
GROUPS_OF_TASKS = {
    "draw": ("generation", "composition"),
    "question": ("vqa",),
    "caption_short": ("caption",),
    "edit": ("edit",),
    "dialogue": ("dialogue",),
    "riddle": ("riddle",),
}
"""A task that a stage trains -> the groups of the suite that ask for it."""


class Watch:
    """Shows progress: a bar where stderr is a terminal; elsewhere a line on stdout every `every_s` seconds and
    at the end of a stage."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.last = -every_s
        self.console = Console(stderr=True, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(12), MofNCompleteColumn())
        facts = TextColumn("{task.fields[facts]}", table_column=Column(no_wrap=True))
        self.bar = Progress(*columns, facts, console=self.console, disable=not self.console.is_terminal)
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> "Watch":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def see(self, progress: log.Progress) -> None:
        """Show a step."""
        facts = told(progress, brief=self.console.is_terminal and self.console.width < WIDE)
        if self.console.is_terminal:
            if progress.stage not in self.tasks:
                self.tasks[progress.stage] = self.bar.add_task(progress.stage, total=progress.steps, facts="")
            self.bar.update(self.tasks[progress.stage], completed=progress.step, facts=facts)  # pyright: ignore
        elif progress.step == progress.steps or time.monotonic() - self.last >= self.every_s:
            self.last = time.monotonic()
            print(f"{progress.stage} {progress.step}/{progress.steps} {facts}".strip(), flush=True)

    def say(self, line: str) -> None:
        """Show a line above the bar."""
        if self.console.is_terminal:
            self.console.print(line, markup=False)
        else:
            print(line, flush=True)


def told(progress: log.Progress, *, brief: bool = False) -> str:
    """Losses (in brief: what is minimised), speed and time left in words."""
    if not progress.losses:
        return ""
    losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items() if not brief or name == "total")
    minutes, seconds = divmod(round(progress.left_s), 60)
    return f"{losses}  {progress.samples_per_s:.0f} samples/s  {minutes}:{seconds:02d} left"


def score_in(recipe: Recipe, watch: Watch) -> Callable[[Pipeline, Path], dict[str, float]]:
    """What the trainer calls to draw samples and to score: by what the stage, named in the folder, has learnt."""
    stages = {stage.name: stage for stage in recipe.stages}

    def score(pipeline: Pipeline, folder: Path) -> dict[str, float]:
        stage = stages[folder.name.rpartition("-")[0]]
        model = BLIP3o(pipeline, {"stage": folder.name})
        if stage.objective in ("space", "decoder"):
            reconstruct(model, folder)
        tasks = {*stage.draw, *stage.text}
        if stage.draw:
            draw(model, folder, edits="edit" in tasks)
        scores = asked(model, [group for task, groups in GROUPS_OF_TASKS.items() if task in tasks for group in groups])
        if scores:
            watch.say(f"{folder.name}: " + "  ".join(f"{name} {value:.2f}" for name, value in scores.items()))
        return scores

    return score


def asked(model: BLIP3o, groups: list[str]) -> dict[str, float]:
    """Scores of a few held-out questions of these groups; of drawings the shares of exact ones, too."""
    from blip3o.evals.evaluate import evaluate

    if not groups:
        return {}
    (result,) = evaluate(model, ["picturebook"], seed=SEED, limit=LIMIT, groups=groups)
    return values(result["metrics"])


def values(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested metrics by their full names."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        found |= {prefix + name: value["value"]} if "value" in value else {}
        found |= values({key: part for key, part in value.items() if isinstance(part, dict)}, f"{prefix}{name}/")
    return found


def scenes(count: int) -> list[tuple["PIL.Image.Image", str]]:
    """Pictures of the world that no training shows, with their captions."""
    from PIL import Image

    from blip3o.picturebook.world.captions import caption
    from blip3o.picturebook.world.draw import draw
    from blip3o.picturebook.world.stories import sample_scene

    rng = random.Random("watching")
    return [(Image.fromarray(draw(scene)), caption(scene)) for scene in (sample_scene(rng) for _ in range(count))]


def reconstruct(model: BLIP3o, folder: Path) -> None:
    """Write a sheet of pictures and what the image space keeps of them."""
    given = scenes(12)
    back = model.reconstruct([image for image, _ in given])
    before = Section("pictures", [Tile(image, text) for image, text in given])
    after = Section("encoded and painted again", [Tile(image, "") for image in back])
    write_picture(sheet([before, after]), folder / "reconstructed.png")


def draw(model: BLIP3o, folder: Path, *, edits: bool) -> None:
    """Write a sheet of drawn prompts, two pictures each, and of edits."""
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    images = model.generate(prompts, seed=[0, 1] * len(PROMPTS))
    sections = [Section("drawn", [Tile(image, prompt) for image, prompt in zip(images, prompts, strict=True)])]
    if edits:
        given = [image for image, _ in scenes(len(INSTRUCTIONS))]
        changed = model.edit(given, INSTRUCTIONS)
        pairs = [
            tile
            for before, text, after in zip(given, INSTRUCTIONS, changed, strict=True)
            for tile in (Tile(before, ""), Tile(after, text))
        ]
        sections.append(Section("edited", pairs))
    write_picture(sheet(sections), folder / "drawn.png")
