"""Softmax attention: the one function behind all attention of ours and of the backbones.

attend(Q, K, V) = softmax(s Q K^T + M) V,    s = 1 / sqrt(head_dim) by default    (arXiv 1706.03762, eq. 1)
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

FUSED_FROM = 256
"""Queries in float32 from which a CPU is faster by the fused kernel, with gradients and without: twice as fast at
1,000, with little between them below. In bfloat16 plain products are two to four times as fast, at 1,000 as fast."""


def _is_fused(query: Float[Tensor, "batch head query dim"]) -> bool:
    return query.device.type != "cpu" or (query.dtype == torch.float32 and query.shape[-2] >= FUSED_FROM)


def attend(
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch key_head key dim"],
    value: Float[Tensor, "batch key_head key dim"],
    mask: Bool[Tensor, "#batch 1 query key"] | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "batch head query dim"]:
    """What every query reads; a head of `key` and `value` serves `head / key_head` heads of `query`.

    `mask` is true where a query may look. Without one it looks everywhere, or where `causal` at nothing after itself.
    Rows that may look nowhere give finite numbers that mean nothing. Either the fused kernel or plain products, whose
    memory grows with query * key, by what is faster (benchmarks/step.py); never by the batch, so that a row is the same
    in any.
    """
    if _is_fused(query):
        shares = query.shape[1] != key.shape[1]
        return F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal, scale=scale, enable_gqa=shares)
    shared = key.shape[1]
    scores = query.unflatten(1, (shared, -1)).flatten(2, 3) * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = (scores @ key.mT).view(*query.shape[:-1], key.shape[-2])
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores + torch.where(mask, 0.0, torch.finfo(scores.dtype).min).to(scores.dtype)
    weights = scores.softmax(-1, dtype=scores.dtype).view(len(query), shared, -1, key.shape[-2])
    return (weights @ value).view(*query.shape[:-1], value.shape[-1])
