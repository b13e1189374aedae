"""Normalisation in the precision of its input."""

import torch

from blip3o.model.layers.norm import RMSNorm


def test_it_gives_unit_size_times_its_gain_and_keeps_the_precision():
    norm = RMSNorm(64, eps=0.0)
    torch.nn.init.constant_(norm.weight, 3.0)
    x = 5 * torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(norm(x).square().mean(-1).sqrt(), torch.full((4,), 3.0))
    assert norm(x.bfloat16()).dtype == torch.bfloat16
