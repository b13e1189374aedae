"""The published decoder: an SDXL-type UNet that reads the 64 feature tokens where SDXL reads words, and SDXL's VAE.

Networks and noise schedule are those of `diffusers`. What is theirs alone: the tokens enter unprojected, their mean is
the pooled embedding, and the size conditions say "1024 px, not cropped".

Source: Emu2, arXiv 2312.13286, section 2.3, whose decoder BLIP3-o uses; SDXL, arXiv 2307.01952, section 2.2.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from jaxtyping import Float, Num
from torch import Tensor

from blip3o.config import check, sizes
from blip3o.flow.guidance import guided
from blip3o.flow.noise import draw_noise, draw_uniform
from blip3o.model.decoders.decoder import Decoder, Features, Null, Pixels, Rngs
from blip3o.model.loss import WeightedLoss

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
else:  # configs are read without the library, which is opened when a network is built
    EulerDiscreteScheduler = object


@dataclass(frozen=True, kw_only=True)
class SdxlConfig:
    """The configs of its parts, as their config.json files have them, and the size of its pictures."""

    kind: Literal["sdxl"] = "sdxl"
    unet: dict[str, Any]
    vae: dict[str, Any]
    scheduler: dict[str, Any]
    size: int = 1024
    """Height and width of the picture in px."""
    original_size: int = 1024
    """Size in px of the picture before scaling, a condition of the UNet."""
    guidance: float = 3.0
    """1 is none."""

    def __post_init__(self) -> None:
        width = self.unet.get("cross_attention_dim")
        check(
            *sizes(self),
            (self.guidance >= 0, f"guidance is {self.guidance}, expected 0 or more"),
            (type(width) is int and width > 0, f"cross_attention_dim of unet is {width}, expected 1 or more"),
        )

    @property
    def channels(self) -> int:
        """Channels of the features."""
        return int(self.unet["cross_attention_dim"])


class SdxlDecoder(Decoder):
    """Features -> latents by noise prediction -> pixels."""

    guided = True

    def __init__(self, config: SdxlConfig) -> None:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        super().__init__()
        self.config, self.size = config, config.size
        self.unet = cast("UNet2DConditionModel", UNet2DConditionModel.from_config(config.unet))
        self.vae = cast("AutoencoderKL", AutoencoderKL.from_config(config.vae))
        self.shrinks_by = 2 ** (len(self.vae.config["block_out_channels"]) - 1)
        """Pixels of the picture along the side of a latent."""
        self.size_multiple = self.shrinks_by * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    def noise_of(
        self, latents: Float[Tensor, "batch latent tall wide"], step: Num[Tensor, "*batch"], features: Features
    ) -> Float[Tensor, "batch latent tall wide"]:
        """The noise that the UNet finds in latents at a step of the schedule."""
        tokens = features.flatten(2).mT.to(latents)
        original, size = self.config.original_size, latents.shape[-1] * self.shrinks_by
        sizes = latents.new_tensor([original, original, 0, 0, size, size]).expand(len(latents), -1)
        added = {"text_embeds": tokens.mean(1), "time_ids": sizes}
        return self.unet(latents, step, encoder_hidden_states=tokens, added_cond_kwargs=added, return_dict=False)[0]

    def scheduler(self) -> EulerDiscreteScheduler:
        """The noise schedule, at its first step."""
        from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

        return cast("EulerDiscreteScheduler", EulerDiscreteScheduler.from_config(self.config.scheduler))

    def forward(self, features: Features, pixels: Pixels, rngs: Rngs) -> WeightedLoss:
        """Mean squared error of the noise, at steps drawn evenly."""
        scheduler = self.scheduler()
        with torch.no_grad():
            latents = self.vae.encode(pixels, return_dict=False)[0].mean * self.vae.config["scaling_factor"]
        noise = draw_noise(latents.shape[1:], rngs).to(latents)
        chosen = (draw_uniform(rngs) * len(scheduler.timesteps)).long()
        step = scheduler.timesteps[chosen]
        noised = scheduler.add_noise(latents, noise, step)
        scale = (scheduler.sigmas[chosen].to(latents).square() + 1).sqrt().view(-1, 1, 1, 1)
        guess = self.noise_of(noised / scale, step.to(latents), features)
        return WeightedLoss.of_rows((guess.float() - noise.float()).square().flatten(1).mean(1))

    def decode(
        self, features: Features, rngs: Rngs, *, steps: int, null: Null | None = None, size: int | None = None
    ) -> Pixels:
        """Pictures in [-1, 1], row k with the noise of generator k.

        `null` are the features that guidance leads away from, the model's own for an empty prompt as published; without
        them there is no guidance.
        """
        side = self.output_size(size) // self.shrinks_by
        noise = draw_noise((self.unet.config["in_channels"], side, side), rngs).to(features.device, self.unet.dtype)
        return self.decode_latents(self.latents(features, noise, steps=steps, null=null))

    def measure_memory(self) -> None:
        """Decode the latents of one picture."""
        side = self.config.size // self.shrinks_by
        self.decode_latents(next(self.parameters()).new_empty(1, self.vae.config["latent_channels"], side, side))

    def latents(
        self,
        features: Features,
        noise: Float[Tensor, "batch latent tall wide"],
        *,
        steps: int,
        null: Null | None = None,
    ) -> Float[Tensor, "batch latent tall wide"]:
        """The latents to which standard normal noise leads in Euler steps; both sides of the guidance as one batch."""
        scheduler = self.scheduler()
        scheduler.set_timesteps(steps, device=noise.device)
        x = noise * scheduler.init_noise_sigma
        both = features if null is None else torch.cat([features, null.expand_as(features)])
        for step in scheduler.timesteps:
            seen = scheduler.scale_model_input(x.repeat(len(both) // len(x), 1, 1, 1), step)
            guess = self.noise_of(seen, step, both)
            if null is not None:
                guess = guided(*guess.chunk(2), self.config.guidance)
            x = scheduler.step(guess, step, x, return_dict=False)[0]
        return x

    def decode_latents(self, latents: Float[Tensor, "batch latent tall wide"]) -> Pixels:
        """The pictures of latents, in [-1, 1]."""
        return self.vae.decode(latents / self.vae.config["scaling_factor"], return_dict=False)[0].clamp(-1, 1)
