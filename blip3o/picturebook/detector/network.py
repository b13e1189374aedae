"""A small convolutional detector of picture-book objects: a heat map for every kind, with colour and box beside it.

The picture is cut into a grid of CELL x CELL px. At the cell that holds an object's centre, the map of its kind is near
1, and the other maps tell the object's colour, the way from the cell's corner to the centre, and its width and height.
(After Zhou et al. 2019, "Objects as Points"; here the maps are graded by plain cross-entropy, so that a score is a
probability and GenEval's thresholds mean what they say.)
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, PLACES, SIZE

CELL = 4
"""Side of a grid cell in px."""
GRID = SIZE // CELL
RARE = 4.6
"""Minus the logit that a heat map starts from: one cell in a hundred."""


class Maps(NamedTuple):
    """What the detector says of a batch; all but `box` are logits. `box` is (right, down, width, height) in cells."""

    heat: Float[Tensor, "batch kinds rows columns"]
    color: Float[Tensor, "batch colors rows columns"]
    box: Float[Tensor, "batch 4 rows columns"]
    place: Float[Tensor, "batch places"]
    night: Float[Tensor, "batch 2"]


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class HeatmapDetector(nn.Module):
    """About 0.6 M parameters; 2 ms a picture on one core."""

    def __init__(self, width: int = 96, depth: int = 6) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 32, 2), _convolution(32, 64, 2), _convolution(64, width))
        self.body = nn.ModuleList(_convolution(width, width) for _ in range(depth))
        self.heads = nn.Conv2d(width, len(ALL_KINDS) + len(COLORS) + 4, 1)
        self.scenery = nn.Linear(width, len(PLACES) + 2)
        nn.init.constant_(self.heads.bias[: len(ALL_KINDS)], -RARE)  # type: ignore[index]

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Maps:
        """Pixels are -1..1."""
        hidden = self.stem(pixels)
        for layer in self.body:
            hidden = hidden + layer(hidden)
        heat, color, box = self.heads(hidden).float().split((len(ALL_KINDS), len(COLORS), 4), dim=1)
        place, night = self.scenery(hidden.mean(dim=(2, 3))).float().split((len(PLACES), 2), dim=1)
        return Maps(heat, color, box, place, night)
