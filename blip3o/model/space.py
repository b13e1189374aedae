"""ImageSpace: an encoder into features, a decoder back to pixels, and the statistics that give features unit size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.model.decoders.pixel import PixelDecoder, PixelDecoderConfig
from blip3o.model.encoders.convolutional import ConvolutionalEncoder, ConvolutionalEncoderConfig


@dataclass(frozen=True, kw_only=True)
class SpaceConfig:
    """The encoder and the decoder of the space."""

    encoder: ConvolutionalEncoderConfig
    decoder: PixelDecoderConfig


class ImageSpace(nn.Module):
    """Where images are imagined: features whose every channel has mean 0 and deviation 1 over the training pictures."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: SpaceConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ConvolutionalEncoder(config.encoder)
        self.decoder = PixelDecoder(config.decoder)
        self.register_buffer("mean", torch.zeros(config.encoder.channels))
        self.register_buffer("deviation", torch.ones(config.encoder.channels))

    def encode(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        """Normalised features of pictures in [-1, 1]."""
        return (self.encoder(pixels) - self.mean[:, None, None]) / self.deviation[:, None, None]

    def decode(
        self, features: Float[Tensor, "batch channel rows columns"], rngs: Sequence[Generator], *, steps: int
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures in [-1, 1] of normalised features, row k with the noise of generator k."""
        return self.decoder.paint(features, rngs, steps=steps)

    def measure(self, features: Float[Tensor, "batch channel rows columns"]) -> None:
        """Set the statistics from raw features of the encoder."""
        flat = features.movedim(1, -1).flatten(0, -2)
        self.mean.copy_(flat.mean(0))
        self.deviation.copy_(flat.std(0))
