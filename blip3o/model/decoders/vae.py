"""The decoder of a variational autoencoder, for spaces whose features are its latents (encoders/vae.py)."""

from typing import cast

from blip3o.model.decoders.decoder import Decoder, Features, Null, Pixels, Rngs
from blip3o.model.layers.vae import VaeConfig
from blip3o.model.loss import WeightedLoss


class VaeDecoder(Decoder):
    """Latents -> pixels, in one go: it draws no noise and takes no steps."""

    takes_steps = False

    def __init__(self, config: VaeConfig) -> None:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        super().__init__()
        self.config, self.size = config, config.size
        self.vae = cast("AutoencoderKL", AutoencoderKL.from_config(config.vae))
        self.vae.encoder = self.vae.quant_conv = None  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, features: Features, pixels: Pixels, rngs: Rngs) -> WeightedLoss:
        """Mean squared error of the pixels."""
        return WeightedLoss.of_rows((self.decode_latents(features).float() - pixels).square().flatten(1).mean(1))

    def decode(
        self, features: Features, rngs: Rngs, *, steps: int, null: Null | None = None, size: int | None = None
    ) -> Pixels:
        """Pictures in [-1, 1] of the size that their latents have."""
        self.output_size(size)
        return self.decode_latents(features).clamp(-1, 1)

    def measure_memory(self) -> None:
        """Decode the latents of one picture."""
        side = self.config.side
        self.decode_latents(next(self.parameters()).new_empty(1, self.config.channels, side, side))

    def decode_latents(self, features: Features) -> Pixels:
        """The pictures of latents."""
        latents = features / self.vae.config["scaling_factor"] + (self.vae.config["shift_factor"] or 0.0)
        return self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]
