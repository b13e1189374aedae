"""What a training step costs by arithmetic and by attention, at the sizes of the picture book, on one thread.

    python benchmarks/step.py

The measurements behind two choices of blip3o/train/loop.py: products in bfloat16, attention as plain products.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from blip3o.config import load
from blip3o.model.backbones.qwen2_5_vl import Qwen
from blip3o.model.denoisers.next_dit import NextDiT
from blip3o.train.loop import arithmetic, attention
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
    backbone = Qwen(recipe.model.unified.backbone)
    embeddings, mask = torch.randn(64, 48, backbone.width), torch.ones(64, 48, dtype=torch.bool)

    def step(precision: str) -> None:
        with arithmetic(precision), attention():
            loss = backbone.think(embeddings, mask).float().square().mean()
        cleared(backbone)
        loss.backward()

    return {name: median_ms(lambda name=name: step(name), times) for name in PRECISIONS}


def denoiser(recipe: Recipe, times: int) -> dict[str, float]:
    """Milliseconds, forward and backward, of 192 noised images, by kind of attention."""
    config = recipe.model.unified.denoiser
    network, batch = NextDiT(config), 192
    x, at = torch.randn(batch, config.channels, config.side, config.side), torch.rand(batch)
    thought = torch.randn(batch, config.side**2, config.thought_width)

    def step(plain: bool) -> None:
        with arithmetic("bfloat16"), attention() if plain else nullcontext():
            loss = network(x, at, network.condition(thought)).float().square().mean()
        cleared(network)
        loss.backward()

    return {
        name: median_ms(lambda plain=plain: step(plain), times) for name, plain in (("fused", False), ("plain", True))
    }


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
        "denoiser_ms": denoiser(recipe, options.times),
    }
    for name, found in numbers.items():
        print(f"{name:<20}" + "".join(f"{kind:>12} {number:8.1f}" for kind, number in found.items()))
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
