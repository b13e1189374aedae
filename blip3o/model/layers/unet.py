"""A small convolutional UNet with time conditioning: residual blocks at ever fewer positions, then at more, with skips.

The network of `diffusers.UNet2DModel` without attention, tensor for tensor and operation for operation.

Source: Denoising Diffusion Probabilistic Models, arXiv 2006.11239, appendix B.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.model.layers.time_embedding import TimeEmbedding

GROUPS = 8
"""Of every group normalisation."""


class TimedBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, or a 1 x 1 one; the embedded time is added between them."""

    def __init__(self, before: int, width: int, timed: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, before)
        self.conv1 = nn.Conv2d(before, width, 3, padding=1)
        self.time_emb_proj = nn.Linear(timed, width)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, width, 1) if before != width else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch channel height width"], time: Float[Tensor, "batch timed"]
    ) -> Float[Tensor, "batch out height width"]:
        h = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(time))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Zoom(nn.Module):
    """Half as many positions along each side, or twice as many."""

    def __init__(self, width: int, *, finer: bool) -> None:
        super().__init__()
        self.finer = finer
        self.conv = nn.Conv2d(width, width, 3, stride=1 if finer else 2, padding=1)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch _ _ _"]:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest") if self.finer else x)


class Level(nn.Module):
    """The residual blocks at one number of positions, and, but at the last level, the way to the next."""

    def __init__(self, widths: Sequence[tuple[int, int]], timed: int, *, zooms: str | None) -> None:
        super().__init__()
        self.resnets = cast(
            "Sequence[TimedBlock]", nn.ModuleList(TimedBlock(before, width, timed) for before, width in widths)
        )
        self.zooms = zooms
        if zooms is not None:
            self.add_module(zooms, nn.ModuleList([Zoom(widths[-1][1], finer=zooms == "upsamplers")]))

    def forward(
        self,
        x: Float[Tensor, "batch channel height width"],
        time: Float[Tensor, "batch timed"],
        beside: list[Float[Tensor, "batch _ _ _"]] | None = None,
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The maps of the level, the last at the next level's number of positions; on the way up, where each block
        takes a map of the way down from the end of `beside`, that one alone."""
        maps: list[Tensor] = []
        for block in self.resnets:
            x = block(x if beside is None else torch.cat([x, beside.pop()], dim=1), time)
            maps.append(x)
        if self.zooms is not None:
            maps.append(self.get_submodule(f"{self.zooms}.0")(x))
        return maps if beside is None else maps[-1:]


class UNet(nn.Module):
    """`widths` are the channels at each level, `blocks` the residual blocks there on the way down; one more on the way
    up, beside which stand the maps of the way down."""

    def __init__(self, channels: int, out_channels: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        first, timed = widths[0], 4 * widths[0]
        self.conv_in = nn.Conv2d(channels, first, 3, padding=1)
        self.time_embedding = TimeEmbedding(first, timed)
        pairs = list(zip((first, *widths), widths, strict=False))  # the width before, and a level's own
        down = [[(before, width)] + [(width, width)] * (blocks - 1) for before, width in pairs]
        zooms = ["downsamplers"] * (len(widths) - 1) + [None]
        self.down_blocks = cast(
            "Sequence[Level]", nn.ModuleList(Level(ws, timed, zooms=z) for ws, z in zip(down, zooms, strict=True))
        )
        self.mid_block = Level([(widths[-1], widths[-1])] * 2, timed, zooms=None)
        up, coming = [], widths[-1]
        for before, width in reversed(pairs):
            beside = [width] * blocks + [before]
            up.append([(a + b, width) for a, b in zip([coming] + [width] * blocks, beside, strict=True)])
            coming = width
        zooms = ["upsamplers"] * (len(widths) - 1) + [None]
        self.up_blocks = cast(
            "Sequence[Level]", nn.ModuleList(Level(ws, timed, zooms=z) for ws, z in zip(up, zooms, strict=True))
        )
        self.conv_norm_out = nn.GroupNorm(GROUPS, first)
        self.conv_out = nn.Conv2d(first, out_channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch channel height width"], time: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch out height width"]:
        """What comes out for `x` at a time, counted in 1000ths."""
        embedded = self.time_embedding(time)
        seen = [self.conv_in(x)]
        for level in self.down_blocks:
            seen += level(seen[-1], embedded)
        x = self.mid_block(seen[-1], embedded)[-1]
        for level in self.up_blocks:
            (x,) = level(x, embedded, seen)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
