"""Attention by either way is the attention that torch defines."""

import pytest
import torch
from torch.nn import functional as F

from blip3o.model.layers import attention
from blip3o.model.layers.attention import FUSED_FROM, attend


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


@pytest.mark.parametrize("queries", [5, FUSED_FROM])
def test_a_row_that_may_look_nowhere_spoils_no_gradient(queries):
    query, key, value = (x.requires_grad_() for x in drawn(queries=queries))
    mask = torch.ones(2, 1, queries, 7, dtype=torch.bool)
    mask[:, :, 0] = False
    seen = attend(query, key, value, mask)
    assert seen.isfinite().all()
    seen[:, :, 1:].sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (query, key, value) if x.grad is not None)
    assert value.grad is not None
    assert value.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("queries", [1, 9, FUSED_FROM - 1, FUSED_FROM])
@pytest.mark.parametrize("gradient", [False, True])
def test_the_way_is_chosen_by_length_and_numbers_alone_and_a_row_is_the_same_in_any_batch(
    monkeypatch, dtype, queries, gradient
):
    fused = []
    kernel = F.scaled_dot_product_attention
    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", lambda *a, **k: fused.append(1) or kernel(*a, **k))
    query, key, value = (x.to(dtype).repeat(3, 1, 1, 1).requires_grad_(gradient) for x in drawn(queries=queries))
    among = attend(query, key, value)
    alone = torch.cat([attend(*(x[i : i + 1] for x in (query, key, value))) for i in range(len(query))])
    assert torch.equal(among, alone)
    assert len(fused) in (0, 1 + len(query))
    assert bool(fused) == (dtype is torch.float32 and queries >= FUSED_FROM)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("key_heads", [1, 4])
def test_both_ways_give_the_same(monkeypatch, masked, key_heads):
    query, key, value = drawn(key_heads=key_heads, queries=300, keys=300)
    mask = torch.ones(1, 1, 300, 300, dtype=torch.bool).tril(5) if masked else None
    fused = attend(query, key, value, mask, causal=not masked)
    monkeypatch.setattr(attention, "FUSED_FROM", 301)
    torch.testing.assert_close(fused, attend(query, key, value, mask, causal=not masked))
