"""The SANA decoder: a linear diffusion transformer that reads features where SANA reads words, and DC-AE's decoder.

Networks are those of `diffusers`; the connector from features to SANA's captions is BLIP3-o's. Parameters bear the
names of the published file (`BLIP3o/SigLIP2_SANA`).

Source: SANA, arXiv 2410.10629; DC-AE, arXiv 2410.10733.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blip3o.config import check, sizes
from blip3o.flow.guidance import guided
from blip3o.flow.noise import draw_noise
from blip3o.flow.path import point, velocity
from blip3o.flow.sampler import solve
from blip3o.flow.time import draw_times, solver_times
from blip3o.model.decoders.decoder import Decoder, Features, Null, Pixels, Rngs
from blip3o.model.layers.norm import RMSNorm
from blip3o.model.loss import WeightedLoss

SCALE = sqrt(5.5)
"""What the connector's norm starts at: the size of the words that SANA was trained on."""


@dataclass(frozen=True, kw_only=True)
class SanaConfig:
    """The configs of its parts, as their config.json files have them, its channels and the size of its pictures."""

    kind: Literal["sana"] = "sana"
    transformer: dict[str, Any]
    vae: dict[str, Any]
    channels: int
    """Channels of the features."""
    size: int = 512
    """Height and width of the picture in px."""
    guidance: float = 3.0
    """1 is none."""
    shift: float = 1.0
    """Shift of its times towards noise (flow/time.py)."""

    def __post_init__(self) -> None:
        check(
            *sizes(self),
            (self.guidance >= 0, f"guidance is {self.guidance}, expected 0 or more"),
            (self.shift > 0, f"shift is {self.shift}, expected more than 0"),
        )


class SanaDecoder(Decoder):
    """Features -> latents by flow matching -> pixels."""

    guided = True

    def __init__(self, config: SanaConfig) -> None:
        from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
        from diffusers.models.transformers.sana_transformer import SanaTransformer2DModel

        super().__init__()
        self.config, self.size = config, config.size
        self.transformer = cast("SanaTransformer2DModel", SanaTransformer2DModel.from_config(config.transformer))
        self.vae = cast("AutoencoderDC", AutoencoderDC.from_config(config.vae))
        self.shrinks_by = 2 ** (len(self.vae.config["encoder_block_out_channels"]) - 1)
        """Pixels of the picture along the side of a latent."""
        self.size_multiple = self.shrinks_by
        width = int(config.transformer["caption_channels"])
        self.connector = nn.Sequential(
            nn.Linear(config.channels, width), nn.GELU("tanh"), nn.Linear(width, width), RMSNorm(width, eps=1e-5)
        )
        norm = self.connector[3]
        assert isinstance(norm, RMSNorm)
        nn.init.constant_(norm.weight, SCALE)

    def captions(self, features: Features) -> Float[Tensor, "batch seq dim"]:
        """What the transformer reads: a token for every grid point, computed once for all times."""
        return self.connector(features.flatten(2).mT.to(self.transformer.dtype))

    def velocity(
        self,
        x: Float[Tensor, "batch latent tall wide"],
        time: Float[Tensor, " batch"],
        captions: Float[Tensor, "batch seq dim"],
    ) -> Float[Tensor, "batch latent tall wide"]:
        """Velocity of latents at a time (0 noise, 1 data); SANA counts 1000 (1 - t), and points the other way."""
        return -self.transformer(x.to(self.transformer.dtype), captions, 1000 * (1 - time), return_dict=False)[0].to(
            x.dtype
        )

    def forward(self, features: Features, pixels: Pixels, rngs: Rngs) -> WeightedLoss:
        """Mean squared error of the velocity, at times drawn evenly."""
        with torch.no_grad():
            latents = self.vae.encode(pixels, return_dict=False)[0] * self.vae.config["scaling_factor"]
        noise = draw_noise(latents.shape[1:], rngs).to(latents)
        time = draw_times(self.config.shift, rngs).to(latents)
        guess = self.velocity(point(latents, noise, time), time, self.captions(features))
        return WeightedLoss.of_rows((guess.float() - velocity(latents, noise)).square().flatten(1).mean(1))

    def decode(
        self, features: Features, rngs: Rngs, *, steps: int, null: Null | None = None, size: int | None = None
    ) -> Pixels:
        """Pictures in [-1, 1], row k with the noise of generator k, away from `null` features where there are any."""
        side = self.output_size(size) // self.shrinks_by
        noise = draw_noise((int(self.transformer.config["in_channels"]), side, side), rngs).to(features)
        both = features if null is None else torch.cat([features, null.expand_as(features).to(features)])
        captions = self.captions(both)

        def field(
            x: Float[Tensor, "batch latent tall wide"], time: Float[Tensor, " batch"]
        ) -> Float[Tensor, "batch latent tall wide"]:
            sides = len(captions) // len(x)
            moved = self.velocity(x.repeat(sides, 1, 1, 1), time.repeat(sides), captions)
            if null is None:
                return moved
            prompt, null_side = moved.chunk(2)
            return guided(prompt, null_side, self.config.guidance)

        latents = solve(field, noise, solver_times(steps, self.config.shift))
        return self.decode_latents(latents)

    def measure_memory(self) -> None:
        """Decode the latents of one picture."""
        side = self.config.size // self.shrinks_by
        self.decode_latents(next(self.parameters()).new_empty(1, self.vae.config["latent_channels"], side, side))

    def decode_latents(self, latents: Float[Tensor, "batch latent tall wide"]) -> Pixels:
        """The pictures of latents, in [-1, 1]."""
        scaled = (latents / self.vae.config["scaling_factor"]).to(self.vae.dtype)
        return self.vae.decode(scaled, return_dict=False)[0].clamp(-1, 1)
