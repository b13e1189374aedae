"""A judge of stars, trained apart from every model: what stands in each of the nine cells of a picture, and its colour.

python examples/new_noun/judge.py judge.pt     trains it on drawings of scenes of its own, and measures it on others
"""

import argparse
import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from star import NOUN, scene_with
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import ALL_KINDS, CELLS, COLORS, COLUMNS, ROWS, Object, Scene
from blip3o.picturebook.world.stories import sample_scene

LABELS = ("nothing", NOUN, *ALL_KINDS)
REACH = 15
"""Half of the side of the square about a cell's middle that the judge sees, in px."""
Seen = dict[tuple[int, int], tuple[str, str]]
"""Cell -> (kind, colour) of what stands there."""


class Judge(nn.Module):
    """Three convolutions and two layers: kind and colour of what stands in the middle of a square."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 64)
        self.trunk = nn.Sequential(
            *(
                layer
                for old, new in pairwise(widths)
                for layer in (nn.Conv2d(old, new, 3, padding=1), nn.BatchNorm2d(new), nn.ReLU(), nn.MaxPool2d(2))
            ),
            nn.Flatten(),
            nn.Linear(64 * 9, 128),
            nn.ReLU(),
        )
        self.kind, self.color = nn.Linear(128, len(LABELS)), nn.Linear(128, len(COLORS))

    def forward(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(squares)
        return self.kind(hidden), self.color(hidden)

    @torch.no_grad()
    def see(self, pictures: Sequence[Image.Image | np.ndarray]) -> list[Seen]:
        """What stands in the cells of pictures."""
        seen: list[Seen] = []
        for picture in pictures:
            kinds, colors = (scores.argmax(-1).tolist() for scores in self(squares(np.asarray(picture))))
            things = ((LABELS[kind], COLORS[color]) for kind, color in zip(kinds, colors, strict=True))
            seen.append({cell: thing for cell, thing in zip(CELLS, things, strict=True) if thing[0] != "nothing"})
        return seen


def squares(picture: np.ndarray) -> Tensor:
    """The squares about the nine cells, [9, 3, 2 REACH, 2 REACH] in [-1, 1]."""
    padded = np.pad(picture, ((REACH, REACH), (REACH, REACH), (0, 0)), "edge")
    cut = [
        padded[int(ROWS[row]) : int(ROWS[row]) + 2 * REACH, int(COLUMNS[column]) : int(COLUMNS[column]) + 2 * REACH]
        for row, column in CELLS
    ]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 127.5 - 1


def scenes(seed: str, count: int) -> list[Scene]:
    """Half with a star, half of the book alone."""
    rng = random.Random(seed)
    return [
        scene_with(rng, rng.choice(COLORS), rng.randrange(3))[0] if index % 2 else sample_scene(rng)
        for index in range(count)
    ]


def truth(scene: Scene) -> Seen:
    """What stands in a scene's cells."""
    return {thing.cell: (thing.kind, thing.color) for thing in scene.objects}


def examples(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Squares, the numbers of their kinds, and of their colours (-100 where nothing stands)."""
    things: list[Object | None] = [{one.cell: one for one in scene.objects}.get(cell) for cell in CELLS]
    kinds = [0 if thing is None else LABELS.index(thing.kind) for thing in things]
    colors = [-100 if thing is None else COLORS.index(thing.color) for thing in things]
    return squares(draw(scene)), torch.tensor(kinds), torch.tensor(colors)


def train(steps: int) -> Judge:
    """A judge after so many steps of 24 pictures."""
    torch.manual_seed(0)
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        batch = zip(*map(examples, scenes(f"judge/{step}", 24)), strict=True)
        seen, kinds, colors = map(torch.cat, batch)
        seen = seen + 0.1 * torch.rand(()) * torch.randn_like(seen)
        of_kind, of_color = judge(seen)
        loss = F.cross_entropy(of_kind, kinds) + F.cross_entropy(of_color, colors)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return judge.eval()


def measure(judge: Judge, count: int = 500) -> dict[str, float]:
    """On drawings that it was not trained on: the share of scenes of which it says all, of stars found in their colour,
    and of scenes without a star in which it sees one."""
    held_out = scenes("held out", count)
    pairs = [(truth(scene), seen) for scene, seen in zip(held_out, judge.see([*map(draw, held_out)]), strict=True)]
    with_star = [pair for pair in pairs if any(kind == NOUN for kind, _ in pair[0].values())]
    without = [pair for pair in pairs if pair not in with_star]
    stars = [{cell: thing for cell, thing in one.items() if thing[0] == NOUN} for pair in with_star for one in pair]
    return {
        "scenes_right": sum(a == b for a, b in pairs) / len(pairs),
        "stars_right": sum(a == b for a, b in zip(stars[::2], stars[1::2], strict=True)) / len(with_star),
        "stars_in_error": sum(any(kind == NOUN for kind, _ in seen.values()) for _, seen in without) / len(without),
    }


def main() -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    judge = train(options.steps)
    torch.save(judge.state_dict(), options.output)
    print(json.dumps(measure(judge)))


if __name__ == "__main__":
    main()
