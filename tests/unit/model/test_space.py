"""The image space: features of unit size, and pictures that belong to their seed."""

import pytest
import torch

from blip3o.flow.noise import generators
from blip3o.model.space import ImageSpace
from blip3o.picturebook.world.scene import SIZE


@pytest.fixture
def space(tiny, awake):
    return awake(ImageSpace(tiny.model.space, tiny.model.unified.head.channels))


def pictures(count):
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_pictures_become_a_grid_of_features_and_features_pictures(space):
    features = space.encode(pictures(2))
    sizes = space.config.encoder
    assert features.shape == (2, sizes.channels, sizes.side, sizes.side)
    painted = space.decoder.decode(features, generators([0, 1]), steps=2)
    assert painted.shape == (2, 3, SIZE, SIZE)
    assert painted.abs().max() <= 1


@torch.no_grad()
def test_measured_statistics_make_features_of_mean_zero_and_deviation_one(space):
    space.measure(space.encoder(pictures(8)))
    channels = space.encode(pictures(8)).movedim(1, -1).flatten(0, -2)
    zeros = torch.zeros(space.config.encoder.channels)
    torch.testing.assert_close(channels.mean(0), zeros, atol=1e-4, rtol=0)
    torch.testing.assert_close(channels.std(0), zeros + 1, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_picture_is_encoded_alone_as_in_a_batch(space):
    torch.testing.assert_close(space.encode(pictures(3))[1:2], space.encode(pictures(3)[1:2]), rtol=1e-4, atol=1e-4)


def test_the_statistics_are_part_of_the_checkpoint(space):
    assert {"mean", "deviation"} <= space.state_dict().keys()
