"""The picture book as a source: stories drawn once, from which tasks make conversations without end."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from blip3o.config import check
from blip3o.data.sample import Sample
from blip3o.data.sources.source import Source, SourceConfig
from blip3o.picturebook.tasks import TASKS, vocabulary
from blip3o.picturebook.world.captions import CELL_NAMES, caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import CELLS, SIZE, Scene
from blip3o.picturebook.world.stories import Story, sample_story
from blip3o.processing.conversation import Conversation, Picture, Turn

PHRASES = 10
"""Phrases of `Scenes.phrases`: of nine cells and the whole."""


@dataclass(frozen=True, kw_only=True)
class ScenesConfig(SourceConfig):
    """Which scenes are drawn, and how many."""

    kind: Literal["picturebook.source:Scenes"] = "picturebook.source:Scenes"
    seed: str
    stories: int
    """Stories of three scenes each."""

    def __post_init__(self) -> None:
        check((self.stories > 0, f"stories is {self.stories}, expected 1 or more"))


class Scenes(Source):
    """Stories of three scenes from one seed, their pictures and, once encoded, their features."""

    config: ScenesConfig
    tasks: ClassVar[tuple[str, ...]] = tuple(TASKS)

    def __init__(self, config: ScenesConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config)
        rng = random.Random(f"train/{config.seed}")
        self.stories: list[Story] = []
        self.pixels = np.empty((3 * config.stories, SIZE, SIZE, 3), np.uint8)
        for index in range(config.stories):
            story = sample_story(rng)
            self.stories.append(story)
            for offset, scene in enumerate(story.scenes):
                self.pixels[3 * index + offset] = draw(scene)
            if progress is not None:
                progress(index + 1, config.stories)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Sample:
        return Sample(picture=Picture(self.pixels[index]), captions=(caption(self.scene(index)),))

    def groups(self) -> np.ndarray:
        """Edits and dialogues show all scenes of a story."""
        return np.arange(len(self)) // 3

    def vocabulary(self) -> tuple[str, ...]:
        """The words of all tasks."""
        return vocabulary()

    def scene(self, index: int) -> Scene:
        """The scene of picture `index`."""
        return self.stories[index // 3].scenes[index % 3]

    def phrases(self, index: int) -> list[str]:
        """What is said of each of picture `index`'s nine cells, and of the whole: "red dog", "nothing", "day snow"."""
        scene = self.scene(index)
        cells = {thing.cell: f"{thing.color} {thing.kind}" for thing in scene.objects}
        phrases = [cells.get(cell, "nothing") for cell in CELLS]
        return [*phrases, f"{'night' if scene.night else 'day'} {scene.place}"]

    def cell_words(self, index: int) -> list[str]:
        """The words that are true of each of picture `index`'s nine cells: "top left red dog day snow"."""
        *cells, whole = self.phrases(index)
        things = ["" if phrase == "nothing" else phrase for phrase in cells]
        return [f"{name} {thing} {whole}" for name, thing in zip(CELL_NAMES.values(), things, strict=True)]

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """A random conversation of this task (a key of TASKS) over the story of picture `index`, with pictures for its
        scenes."""
        number = index // 3
        story = self.stories[number]

        def picture_of(part: str | Scene) -> str | Picture:
            return part if isinstance(part, str) else self.picture(3 * number + story.scenes.index(part))

        return tuple(
            Turn(turn.role, tuple(picture_of(part) for part in turn.content))  # pyright: ignore[reportArgumentType]
            for turn in TASKS[task](rng, story)
        )
