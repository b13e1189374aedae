"""A picture book: stories drawn once, from which tasks make conversations without end."""

import random
from collections.abc import Callable

import numpy as np

from blip3o.picturebook.tasks import TASKS
from blip3o.picturebook.world.captions import CELL_NAMES
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import SIZE, Scene
from blip3o.picturebook.world.stories import Story, sample_story
from blip3o.processing.conversation import Conversation, Picture, Turn

TOLD = 10
"""Places of which `PictureBook.told` tells: nine cells and the whole."""


class PictureBook:
    """`stories` stories of three scenes from one seed, their pictures and, once encoded, their features."""

    def __init__(self, seed: str, stories: int, progress: Callable[[int, int], None] | None = None) -> None:
        rng = random.Random(seed)
        self.stories: list[Story] = []
        self.pixels = np.empty((3 * stories, SIZE, SIZE, 3), np.uint8)
        self.features: np.ndarray | None = None
        for index in range(stories):
            story = sample_story(rng)
            self.stories.append(story)
            for offset, scene in enumerate(story.scenes):
                self.pixels[3 * index + offset] = draw(scene)
            if progress is not None:
                progress(index + 1, stories)

    def __len__(self) -> int:
        return len(self.pixels)

    def scene(self, index: int) -> Scene:
        """The scene of picture `index`."""
        return self.stories[index // 3].scenes[index % 3]

    def picture(self, index: int) -> Picture:
        """Picture `index`."""
        features = None if self.features is None else self.features[index]
        return Picture(self.pixels[index], features)

    def told(self, index: int) -> list[str]:
        """What is said of each of picture `index`'s nine cells, and of the whole: "red dog", "nothing", "day snow"."""
        scene = self.scene(index)
        cells = {thing.cell: f"{thing.color} {thing.kind}" for thing in scene.objects}
        said = [cells.get((row, column), "nothing") for row in range(3) for column in range(3)]
        return [*said, f"{'night' if scene.night else 'day'} {scene.place}"]

    def labelled(self, index: int) -> list[str]:
        """The words that are true of each of picture `index`'s nine cells: "top left red dog day snow"."""
        *cells, whole = self.told(index)
        shown = ["" if told == "nothing" else told for told in cells]
        return [f"{name} {told} {whole}" for name, told in zip(CELL_NAMES.values(), shown, strict=True)]

    def conversation(self, task: str, rng: random.Random) -> Conversation:
        """A random conversation of this task (a key of TASKS) over a random story, with pictures for its scenes."""
        index = rng.randrange(len(self.stories))
        story = self.stories[index]

        def shown(part: str | Scene) -> str | Picture:
            return part if isinstance(part, str) else self.picture(3 * index + story.scenes.index(part))

        return tuple(
            Turn(turn.role, tuple(shown(part) for part in turn.content))  # pyright: ignore[reportArgumentType]
            for turn in TASKS[task](rng, story)
        )
