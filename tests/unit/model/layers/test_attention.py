"""Attention as plain products is the attention that torch defines."""

import pytest
import torch
from torch.nn import functional as F

from blip3o.model.layers.attention import attend


def drawn(heads=4, key_heads=4, queries=5, keys=7):
    rng = torch.Generator().manual_seed(0)
    shapes = ((2, heads, queries, 8), (2, key_heads, keys, 8), (2, key_heads, keys, 8))
    return [torch.randn(shape, generator=rng) for shape in shapes]


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_plain_products_give_what_torch_gives(key_heads, masked, scale):
    query, key, value = drawn(key_heads=key_heads)
    mask = torch.rand((2, 1, 5, 7), generator=torch.Generator().manual_seed(1)) < 0.7 if masked else None
    expected = F.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=True)
    torch.testing.assert_close(attend(query, key, value, mask, scale=scale), expected)


def test_causal_attention_sees_nothing_that_comes_after():
    query, key, value = drawn(queries=7)
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(attend(query, key, value, causal=True), expected)


def test_a_row_that_may_look_nowhere_spoils_no_gradient():
    query, key, value = (x.requires_grad_() for x in drawn())
    mask = torch.ones(2, 1, 5, 7, dtype=torch.bool)
    mask[:, :, 0] = False
    attend(query, key, value, mask)[:, :, 1:].sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (query, key, value) if x.grad is not None)
    assert value.grad is not None
    assert value.grad.abs().sum() > 0
