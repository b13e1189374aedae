"""The convolutional encoder gives features of one size at every grid point."""

import pytest
import torch

from blip3o.model.encoders.convolutional import ConvolutionalEncoder, ConvolutionalEncoderConfig

CONFIG = ConvolutionalEncoderConfig(size=32, channels=12, widths=(16, 32), blocks=1)


@torch.no_grad()
def test_the_channels_of_every_grid_point_have_mean_zero_and_variance_one(awake):
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = awake(ConvolutionalEncoder(CONFIG))(pixels)
    assert features.flatten(2).shape == (2, 12, CONFIG.positions)
    torch.testing.assert_close(features.mean(1), torch.zeros(2, 4, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.var(1, unbiased=False), torch.ones(2, 4, 4), atol=1e-2, rtol=0)


@pytest.mark.parametrize(("size", "widths", "positions"), [(64, (16, 16, 16), 16), (64, (16, 16), 64), (32, (16,), 64)])
def test_each_width_after_the_first_halves_the_grid(size, widths, positions):
    assert ConvolutionalEncoderConfig(size=size, channels=4, widths=widths, blocks=0).positions == positions
