"""What a training step costs by arithmetic and by attention, at the sizes of the picture book, on one thread.

    python benchmarks/step.py

The measurements behind two choices: products in bfloat16 (`precision` of a recipe), and attention as plain products
(blip3o/model/layers/attention.py).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from blip3o.config import load
from blip3o.model.backbones.qwen2_5_vl import Qwen, QwenConfig
from blip3o.model.layers.attention import attend
from blip3o.train.loop import arithmetic
from blip3o.train.recipe import Recipe

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
            loss = backbone.think(embeddings, mask).float().square().mean()
        cleared(backbone)
        loss.backward()

    return {name: median_ms(lambda name=name: step(name), times) for name in PRECISIONS}


def attention(times: int) -> dict[str, float]:
    """Milliseconds, forward and backward, of causal attention in bfloat16, by way of computing it."""
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(12, 8, 188, 32, generator=rng, dtype=torch.bfloat16).requires_grad_() for _ in range(3))
    fused = F.scaled_dot_product_attention

    def step(backend: SDPBackend, attended: Callable[[], torch.Tensor]) -> None:
        with sdpa_kernel(backend):
            attended().sum().backward()

    ways: dict[str, tuple[SDPBackend, Callable[[], torch.Tensor]]] = {
        "fused": (SDPBackend.FLASH_ATTENTION, lambda: fused(q, k, v, is_causal=True)),
        "unfused": (SDPBackend.MATH, lambda: fused(q, k, v, is_causal=True)),
        "ours": (SDPBackend.MATH, lambda: attend(q, k, v, causal=True)),
    }
    return {name: median_ms(lambda way=way: step(*way), times) for name, way in ways.items()}


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
        "attention_ms": attention(options.times),
    }
    for name, found in numbers.items():
        print(f"{name:<20}" + "".join(f"{kind:>12} {number:8.1f}" for kind, number in found.items()))
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
