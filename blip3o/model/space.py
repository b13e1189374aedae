"""ImageSpace: an encoder into features, a decoder back to pixels, and the statistics that give features unit size."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blip3o.model.decoders import DECODERS, DecoderConfig
from blip3o.model.decoders.decoder import NoDecoder
from blip3o.model.encoders import ENCODERS, EncoderConfig
from blip3o.model.encoders.encoder import NoEncoder


@dataclass(frozen=True, kw_only=True)
class SpaceConfig:
    """The encoder and the decoder of the space; None for one that is not there."""

    encoder: EncoderConfig | None
    decoder: DecoderConfig | None


class ImageSpace(nn.Module):
    """Where images are generated: features whose every channel has mean 0 and deviation 1 over the training pictures.

    The published models generate features as their encoder gives them: their mean here is 0, their deviation 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: SpaceConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.size = 1 if config.encoder is None else config.encoder.size
        """Height and width in px of pictures as the encoder sees them; where there is none, it will say so."""
        self.encoder = NoEncoder() if config.encoder is None else ENCODERS[config.encoder.kind](config.encoder)
        self.decoder = NoDecoder() if config.decoder is None else DECODERS[config.decoder.kind](config.decoder)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def encode(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        """Normalised features of pictures in [-1, 1]."""
        return self.normalised(self.encoder(pixels))

    def normalised(
        self, features: Float[Tensor, "batch channel rows columns"]
    ) -> Float[Tensor, "batch channel rows columns"]:
        """Features of the encoder by the statistics of the space."""
        return (features - self.mean[:, None, None]) / self.deviation[:, None, None]

    def blank(self) -> Float[Tensor, "1 channel rows columns"]:
        """Features of a picture that shows nothing."""
        pixels = 2 * self.mean.new_tensor(self.encoder.blank) - 1
        return self.encode(pixels[None, :, None, None].expand(1, -1, self.size, self.size))

    def measure(self, features: Float[Tensor, "batch channel rows columns"]) -> None:
        """Set the statistics from raw features of the encoder."""
        flat = features.movedim(1, -1).flatten(0, -2)
        self.mean.copy_(flat.mean(0))
        self.deviation.copy_(flat.std(0))
