"""Rotary positions: what is compared depends on where two positions stand to each other, and on nothing else."""

import torch

from blip3o.model.layers.rope import grid_angles, rotate

SIDE, DIM = 4, 16
ANGLES = grid_angles(SIDE, SIDE, DIM)


def test_the_first_position_is_not_turned():
    assert torch.equal(ANGLES[0], torch.zeros(DIM // 2))


def test_a_product_depends_only_on_the_rows_and_columns_between():
    query, key = torch.randn(2, 1, 1, 1, DIM, generator=torch.Generator().manual_seed(0)).expand(-1, 1, 1, SIDE**2, DIM)
    queries, keys = (rotate(x, ANGLES.cos(), ANGLES.sin())[0, 0].view(SIDE, SIDE, DIM) for x in (query, key))
    products = torch.einsum("abd,rcd->abrc", queries, keys)
    torch.testing.assert_close(products[1:, 1:, 1:, 1:], products[:-1, :-1, :-1, :-1])
    assert (products[0, 0, 0, 1] - products[0, 0, 1, 0]).abs() > 1e-3


def test_turning_keeps_every_length():
    x = torch.randn(2, 3, SIDE**2, DIM, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotate(x, ANGLES.cos(), ANGLES.sin()).norm(dim=-1), x.norm(dim=-1))


def test_rows_turn_the_even_pairs_and_columns_the_odd_ones():
    grid = ANGLES.view(SIDE, SIDE, DIM // 2)
    assert torch.equal(grid[0, :, 0::2], torch.zeros(SIDE, DIM // 4))
    assert torch.equal(grid[:, 0, 1::2], torch.zeros(SIDE, DIM // 4))
    assert torch.equal(grid[2, 0, 0::2], grid[0, 2, 1::2])
