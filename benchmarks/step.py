"""What a training step costs by arithmetic and by attention, at the sizes of the picture book, on one thread.

    python benchmarks/step.py

The measurements behind two choices: products in bfloat16 (`precision` of a recipe), and attention by the fused kernel
or by plain products (blip3o/model/layers/attention.py).
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import load
from blip3o.model.backbones.qwen2_5_vl import Qwen, QwenConfig
from blip3o.model.layers import attention as layer
from blip3o.train.recipe import Recipe
from blip3o.train.steps import arithmetic

PRECISIONS = ("float32", "bfloat16")


def median_ms(call: Callable[[], object], times: int) -> float:
    """Median milliseconds of a call, after two that do not count."""
    taken = []
    for index in range(times + 2):
        start = time.perf_counter()
        call()
        if index > 1:
            taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def products(width: int, rows: int = 3072) -> dict[str, float]:
    """Billions of operations a second of one matrix product, by precision."""
    found = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = torch.randn(rows, width, dtype=dtype), torch.randn(width, width, dtype=dtype)
        found[name] = 2 * rows * width * width / median_ms(lambda a=a, b=b: a @ b, 50) / 1e6
    return found


def language_model(recipe: Recipe, times: int) -> dict[str, float]:
    """Milliseconds, forward and backward, of 64 conversations of 48 tokens, by precision."""
    config = recipe.model.unified.backbone
    assert isinstance(config, QwenConfig)
    backbone = Qwen(config)
    embeddings, mask = torch.randn(64, 48, backbone.width), torch.ones(64, 48, dtype=torch.bool)

    def step(precision: str) -> None:
        with arithmetic(precision, torch.device("cpu")):
            loss = backbone(embeddings, mask).float().square().mean()
        cleared(backbone)
        loss.backward()

    return {name: median_ms(lambda name=name: step(name), times) for name in PRECISIONS}


CASES: dict[str, tuple[int, int, int, int, int]] = {
    "one token": (8, 4, 1, 288, 32),
    "slot": (8, 4, 9, 64, 32),
    "training": (8, 8, 188, 188, 32),
    "prefill 288": (8, 4, 288, 288, 32),
    "prefill 1000": (28, 4, 1000, 1000, 128),
    "EVA tower": (16, 16, 1025, 1025, 112),
}
"""Where attention is computed -> heads, heads of keys, queries, keys, width of a head."""


def attention(times: int) -> list[dict[str, float | str]]:
    """Milliseconds by the fused kernel and by plain products, and which of them is ours, for each case, precision, and
    with gradients or without."""
    rows: list[dict[str, float | str]] = []
    chosen = layer.FUSED_FROM
    for (case, sizes), precision, gradient in itertools.product(CASES.items(), PRECISIONS, (False, True)):
        q, k, v = drawn(*sizes, precision, gradient)

        def step(q: Tensor = q, k: Tensor = k, v: Tensor = v, gradient: bool = gradient) -> None:
            with torch.set_grad_enabled(gradient):
                seen = layer.attend(q, k, v, causal=q.shape[2] == k.shape[2])
                if gradient:
                    seen.sum().backward()

        def fused(q: Tensor = q, k: Tensor = k, v: Tensor = v, gradient: bool = gradient) -> None:
            causal, shares = q.shape[2] == k.shape[2], q.shape[1] != k.shape[1]
            with torch.set_grad_enabled(gradient):
                seen = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=shares)
                if gradient:
                    seen.sum().backward()

        layer.FUSED_FROM = 10**9
        plain = median_ms(step, times)
        layer.FUSED_FROM = chosen
        ours = "fused" if precision == "float32" and sizes[2] >= chosen else "plain"
        facts = {"case": case, "precision": precision, "gradient": "yes" if gradient else "no", "ours": ours}
        rows.append(facts | {"fused": round(median_ms(fused, times), 3), "plain": round(plain, 3)})
    return rows


def drawn(
    heads: int, key_heads: int, queries: int, keys: int, width: int, precision: str, gradient: bool
) -> list[Tensor]:
    """Queries, keys and values of one row."""
    shapes = ((1, heads, queries, width), (1, key_heads, keys, width), (1, key_heads, keys, width))
    rng = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=rng).to(getattr(torch, precision)).requires_grad_(gradient) for shape in shapes
    ]


def cleared(network: nn.Module) -> None:
    """Forget the gradients of the step before."""
    network.zero_grad(set_to_none=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, help="steps of each kind; the median counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load(Recipe, "picturebook")
    numbers = {
        "product_gflops": products(recipe.model.unified.backbone.text.hidden_size),
        "language_model_ms": language_model(recipe, options.times),
    }
    for name, found in numbers.items():
        print(f"{name:<20}" + "".join(f"{kind:>12} {number:8.1f}" for kind, number in found.items()))
    rows = attention(options.times)
    for row in rows:
        print("".join(f"{value:>14}" for value in row.values()))
    print(json.dumps({**numbers, "attention_ms": rows}))


if __name__ == "__main__":
    main()
