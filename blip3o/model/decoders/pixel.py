"""A diffusion decoder in pixels: a sketch of the picture straight from the features, and a small UNet that flows from
noise to the picture with the sketch beside it.

The sketch is a regression: cheap to learn, and blurred where features leave things open. The flow makes it sharp.

The UNet guesses the picture, not the velocity, because folded pixels have more channels than a small UNet can carry
noise through; the guess d gives the velocity at time t:

    (1)  v = (d - x_t) / max(1 - t, NEAREST)

Source: Li and He, Back to Basics: Let Denoising Generative Models Denoise, arXiv 2511.13720, section 4.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.flow.noise import draw_noise
from blip3o.flow.path import broadcast_time, point, velocity
from blip3o.flow.sampler import solve
from blip3o.flow.time import draw_times, solver_times
from blip3o.model.decoders.decoder import Decoder, Features, Null, Pixels, Rngs
from blip3o.model.layers.convolution import ResidualBlock, normalisable
from blip3o.model.layers.unet import GROUPS, UNet
from blip3o.model.loss import WeightedLoss

NEAREST = 0.1
"""Below this distance from the data, in time, equation (1) stops growing."""


@dataclass(frozen=True, kw_only=True)
class PixelDecoderConfig:
    """Sizes of the sketcher and of the UNet, and the noise it works in."""

    kind: Literal["pixel"] = "pixel"
    channels: int
    """Channels of the features."""
    size: int
    """Height and width of the picture in px."""
    fold: int
    """Both networks end in squares of this many px folded into channels."""
    sketch_widths: tuple[int, ...]
    """Channels of the sketcher's levels, from the features' resolution to 1/fold of the picture's side."""
    sketch_zooms: tuple[int, ...]
    """How much finer each level is than the one before: one fewer than sketch_widths."""
    sketch_blocks: int
    """Residual blocks at each of these."""
    widths: tuple[int, ...]
    """Channels of the UNet at 1/fold, 1/(2 fold), ... of the picture's side."""
    blocks: int = 1
    """Residual blocks at each width."""
    shift: float = 3.0
    """Shift of its times towards noise, in training and in decoding (flow/time.py)."""

    def __post_init__(self) -> None:
        sketched, zooms, coarsest = len(self.sketch_widths), len(self.sketch_zooms), 1 << max(len(self.widths) - 1, 0)
        check(
            *sizes(self),
            (self.shift > 0, f"shift is {self.shift}, expected more than 0"),
            (zooms == sketched - 1, f"{zooms} sketch_zooms lie between {sketched} sketch_widths"),
            (len(self.widths) > 0, "widths is empty, expected 1 or more"),
            *normalisable(self.sketch_widths),
            (all(width % GROUPS == 0 for width in self.widths), f"widths {self.widths} are no multiples of {GROUPS}"),
        )
        check(
            (
                self.size % (self.fold * coarsest) == 0,
                f"size {self.size} in squares of {self.fold} px cannot be halved for each of {len(self.widths)} widths",
            ),
            (
                self.size % (self.fold * prod(self.sketch_zooms)) == 0,
                f"size {self.size} in squares of {self.fold} px is no multiple of sketch_zooms {self.sketch_zooms}",
            ),
        )


class Sketcher(nn.Module):
    """Features -> the picture as well as one pass can give it, and the maps it is projected from."""

    def __init__(self, config: PixelDecoderConfig) -> None:
        super().__init__()
        widths = config.sketch_widths
        layers: list[nn.Module] = [nn.Conv2d(config.channels, widths[0], 3, padding=1)]
        before = widths[0]
        for width, zoom in zip(widths, (1, *config.sketch_zooms), strict=True):
            if zoom > 1:
                layers += [nn.Conv2d(before, width * zoom**2, 1), nn.PixelShuffle(zoom)]
            layers += [ResidualBlock(width) for _ in range(config.sketch_blocks)]
            before = width
        self.trunk = nn.Sequential(*layers, nn.SiLU())
        self.picture = nn.Conv2d(widths[-1], 3 * config.fold**2, 3, padding=1)

    def forward(
        self, features: Features
    ) -> tuple[Float[Tensor, "batch folded height width"], Float[Tensor, "batch plan height width"]]:
        """The folded picture, and the plan it was drawn from."""
        plan = self.trunk(features)
        return self.picture(plan), plan


class PixelDecoder(Decoder):
    """Works on folded pixels: few wide positions cost less than many narrow ones."""

    def __init__(self, config: PixelDecoderConfig) -> None:
        super().__init__()
        self.config, self.size = config, config.size
        self.sketcher = Sketcher(config)
        folded = 3 * config.fold**2
        self.unet = UNet(2 * folded + config.sketch_widths[-1], folded, config.widths, config.blocks)

    def sketch(self, features: Features) -> Pixels:
        """The picture at once, blurred where the features leave it open."""
        return F.pixel_shuffle(self.sketcher(features)[0].float(), self.config.fold)

    def velocity(
        self,
        x: Pixels,
        time: Float[Tensor, " batch"],
        sketched: tuple[Float[Tensor, "batch folded rows columns"], Float[Tensor, "batch plan rows columns"]],
    ) -> Pixels:
        """Velocity of the noised picture `x` at `time`, by equation (1); the UNet adds to the sketch."""
        picture, plan = sketched
        seen = torch.cat([F.pixel_unshuffle(x, self.config.fold).to(plan.dtype), picture, plan], dim=1)
        change = self.unet(seen.contiguous(memory_format=torch.channels_last), 1000 * time)
        guess = F.pixel_shuffle((picture + change).float(), self.config.fold)
        return (guess - x) / broadcast_time((1 - time).clamp(min=NEAREST), x)

    def sketch_loss(self, features: Features, pixels: Pixels) -> WeightedLoss:
        """Squared plus absolute error of the sketch."""
        error = self.sketch(features) - pixels
        return WeightedLoss.of_rows((error.square() + 0.5 * error.abs()).flatten(1).mean(1))

    def forward(self, features: Features, pixels: Pixels, rngs: Rngs) -> WeightedLoss:
        """Mean squared error of the velocity (flow/path.py, equation 2)."""
        noise = draw_noise(pixels.shape[1:], rngs).to(pixels.device)
        time = draw_times(self.config.shift, rngs).to(pixels.device)
        guess = self.velocity(point(pixels, noise, time), time, self.sketcher(features))
        return WeightedLoss.of_rows((guess.float() - velocity(pixels, noise)).square().flatten(1).mean(1))

    def measure_memory(self) -> None:
        """One step of the flow."""
        size, side = self.config.size, self.config.size // (self.config.fold * prod(self.config.sketch_zooms))
        like = next(self.parameters())
        sketched = self.sketcher(like.new_empty(1, self.config.channels, side, side))
        self.velocity(like.new_empty(1, 3, size, size), like.new_empty(1), sketched)

    def decode(
        self, features: Features, rngs: Rngs, *, steps: int, null: Null | None = None, size: int | None = None
    ) -> Pixels:
        """Pictures in [-1, 1], of its own size; each step is one pass of the UNet, without guidance."""
        self.output_size(size)
        features = features.to(next(self.parameters()).dtype)
        sketched = self.sketcher(features)
        noise = draw_noise((3, self.config.size, self.config.size), rngs).to(features)
        times = solver_times(steps, self.config.shift)
        return solve(lambda x, time: self.velocity(x, time, sketched), noise, times).clamp(-1, 1)
