"""The small UNet: diffusers' own, without what it does not use."""

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel

from blip3o.model.layers.unet import GROUPS, UNet


def theirs(channels, out_channels, widths, blocks):
    """The same network of the library."""
    return UNet2DModel(
        in_channels=channels,
        out_channels=out_channels,
        block_out_channels=widths,
        layers_per_block=blocks,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        add_attention=False,
        norm_num_groups=GROUPS,
    )


SHAPES = [(24, 8, (16,), 1), (24, 8, (16, 32), 1), (12, 4, (16, 24, 32), 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_begins_with_the_numbers_of_the_library_and_gives_its_answers_to_the_last_bit(shape):
    torch.manual_seed(0)
    reference = theirs(*shape).eval()
    torch.manual_seed(0)
    ours = UNet(*shape).eval()
    tensors = reference.state_dict()
    assert ours.state_dict().keys() == tensors.keys()
    assert all(torch.equal(value, tensors[name]) for name, value in ours.state_dict().items())
    x = torch.randn(3, shape[0], 8, 8).contiguous(memory_format=torch.channels_last)
    time = torch.tensor([0.0, 333.25, 1000.0])
    with torch.no_grad():
        assert torch.equal(ours(x, time), reference(x, time, return_dict=False)[0])


@torch.no_grad()
def test_it_runs_in_bfloat16():
    made = UNet(*SHAPES[1]).to(torch.bfloat16)
    x = torch.randn(1, SHAPES[1][0], 8, 8, dtype=torch.bfloat16)
    assert made(x, torch.tensor([500.0])).dtype == torch.bfloat16
