"""The latents of a variational autoencoder as features: AutoencoderKL (SDXL's or FLUX's), from `diffusers`.

Source: Latent diffusion, arXiv 2112.10752, section 3.1.
"""

from typing import cast

from jaxtyping import Float
from torch import Tensor

from blip3o.model.encoders.encoder import Encoder
from blip3o.model.layers.vae import VaeConfig


class VaeEncoder(Encoder):
    """Pictures -> the mean of their latents, scaled as its config says."""

    def __init__(self, config: VaeConfig) -> None:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        super().__init__()
        self.config = config
        self.vae = cast("AutoencoderKL", AutoencoderKL.from_config(config.vae))
        self.vae.decoder = self.vae.post_quant_conv = None  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        mean = self.vae.encode(pixels.to(self.vae.dtype), return_dict=False)[0].mean
        return (mean - (self.vae.config["shift_factor"] or 0.0)) * self.vae.config["scaling_factor"]
