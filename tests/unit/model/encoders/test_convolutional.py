"""The convolutional encoder gives features of one size at every grid point."""

from dataclasses import replace

import pytest
import torch

from blip3o.errors import ConfigError
from blip3o.model.encoders.convolutional import ConvolutionalEncoder, ConvolutionalEncoderConfig

CONFIG = ConvolutionalEncoderConfig(size=48, channels=12, widths=(16, 16, 32), strides=(2, 3), blocks=1)


def pixels(size):
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_the_channels_of_every_grid_point_have_mean_zero_and_variance_one(awake):
    features = awake(ConvolutionalEncoder(CONFIG))(pixels(CONFIG.size))
    assert features.flatten(2).shape == (2, CONFIG.channels, CONFIG.side**2)
    zeros = torch.zeros(2, CONFIG.side, CONFIG.side)
    torch.testing.assert_close(features.mean(1), zeros, atol=1e-4, rtol=0)
    torch.testing.assert_close(features.var(1, unbiased=False), zeros + 1, atol=1e-2, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "strides", "side"), [(72, (2, 3), 3), (72, (3, 2), 3), (72, (3,), 6), (64, (2, 2), 4), (32, (), 8)]
)
def test_each_stride_divides_the_grid(size, strides, side):
    config = replace(CONFIG, size=size, widths=(16,) * (len(strides) + 1), strides=strides)
    assert config.side == side
    assert ConvolutionalEncoder(config)(pixels(size)).shape == (2, config.channels, side, side)


def test_a_stride_too_many_and_a_size_that_the_strides_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="3 strides lie between 3 widths"):
        replace(CONFIG, strides=(2, 3, 1))
    with pytest.raises(ConfigError, match="size 64 is no multiple"):
        replace(CONFIG, size=64)
