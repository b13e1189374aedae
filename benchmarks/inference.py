"""How much faster a picture is imagined than by a plain loop that computes everything anew at every step.

    python benchmarks/inference.py --output benchmarks/inference.json

Random weights at a small size; ours and the plain loop give the same features, which is checked. The plain loop takes
one prompt at a time and, at each of its steps, thinks the whole prompt over and projects the thought again. "Thought
kept" is the same loop, but for the thought, which it keeps, as the published code does. About five minutes; nothing
else should run meanwhile.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Generator, Tensor

from blip3o.batch import IGNORED, Batch
from blip3o.flow.noise import draw_noise, generators
from blip3o.flow.time import solver_times
from blip3o.model.backbones.qwen2_5_vl import QwenConfig, QwenTextConfig, QwenVisionConfig
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.heads.flow import FlowHead, FlowHeadConfig
from blip3o.model.layers.sampling import Sampling
from blip3o.model.unified import ImageRequests, Unified, UnifiedConfig

ROUNDS = 3
VOCABULARY, PROMPT, SLOT, WIDTH = 1000, 40, 64, 256
QUERY = VOCABULARY - 1
SAMPLING = Sampling(steps=30, guidance=3.0)
CONFIG = UnifiedConfig(
    backbone=QwenConfig(
        text=QwenTextConfig(
            vocab_size=VOCABULARY,
            hidden_size=512,
            intermediate_size=2048,
            num_hidden_layers=8,
            num_attention_heads=8,
            num_key_value_heads=4,
            mrope_section=(8, 12, 12),
            rope_theta=1e6,
            tie_word_embeddings=True,
        ),
        vision=QwenVisionConfig(
            depth=1,
            hidden_size=32,
            intermediate_size=64,
            num_heads=2,
            patch_size=14,
            spatial_merge_size=2,
            temporal_patch_size=2,
            window_size=112,
            fullatt_block_indexes=(0,),
        ),
    ),
    head=FlowHeadConfig(slot_length=SLOT, width=512, channels=WIDTH, side=8),
    denoiser=NextDiTConfig(channels=WIDTH, side=8, condition_width=512, width=WIDTH, depth=6, num_heads=4),
)


def build() -> Unified:
    """The model, with random weights everywhere."""
    torch.manual_seed(0)
    unified = Unified(CONFIG).eval()
    for parameter in unified.head.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return unified


def prompts(count: int) -> Batch:
    """Different prompts of equal length, each with its slot."""
    words = torch.randint(0, QUERY, (count, PROMPT), generator=Generator().manual_seed(1))
    tokens = torch.cat([words, torch.full((count, SLOT), QUERY)], 1)
    return Batch(
        tokens=tokens,
        mask=torch.ones_like(tokens, dtype=torch.bool),
        labels=torch.full_like(tokens, IGNORED),
        image_mask=torch.zeros_like(tokens, dtype=torch.bool),
        slot=tokens == QUERY,
    )


def ours(unified: Unified, batch: Batch, rngs: Sequence[Generator]) -> Tensor:
    """Features of all prompts at once."""
    return unified.sample_features([ImageRequests.each(batch)], rngs, SAMPLING)


def plain(unified: Unified, batch: Batch, rngs: Sequence[Generator], *, keep_thought: bool) -> Tensor:
    """Features of one prompt after the other, by a loop as short as can be."""
    head = unified.head
    assert isinstance(head, FlowHead)
    assert isinstance(head.denoiser, NextDiT)
    made = []
    for row, rng in enumerate(rngs):
        slot, mask = batch.slot[row : row + 1], batch.mask[row : row + 1]
        words = unified.backbone.embed(batch.tokens[row : row + 1])

        def think(words: Tensor = words, slot: Tensor = slot, mask: Tensor = mask) -> Tensor:
            hidden = unified.backbone(words.masked_scatter(slot[..., None], head.queries), mask)
            return hidden[slot][None]

        thought, x = think(), draw_noise((WIDTH, 8, 8), [rng])
        for start, end in pairwise(solver_times(SAMPLING.steps).float()):
            thought = thought if keep_thought else think()
            condition = head.denoiser.condition(torch.cat([torch.zeros_like(thought), thought]))
            null, prompt = head.denoiser(x.repeat(2, 1, 1, 1), start.expand(2), condition).chunk(2)
            x = x + (end - start) * (null + SAMPLING.guidance * (prompt - null))
        made.append(x)
    return torch.cat(made)


def seconds(make: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """How long it takes, and what comes of it."""
    start = time.perf_counter()
    made = make()
    return time.perf_counter() - start, made


def measure(unified: Unified, count: int) -> dict[str, float]:
    """Seconds per picture of `count` prompts, and how much longer the plain loops take: the medians of rounds in which
    each way has its turn, so that a machine that slows down slows all of them."""
    batch = prompts(count)
    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: ours(unified, batch, generators(range(count))),
        "plain": lambda: plain(unified, batch, generators(range(count)), keep_thought=False),
        "thought_kept": lambda: plain(unified, batch, generators(range(count)), keep_thought=True),
    }
    features = ways["ours"]()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for name, make in [way for _ in range(ROUNDS) for way in ways.items()]:
        took, same = seconds(make)
        assert (features - same).norm() < 1e-4 * same.norm(), "the loops do not agree"
        taken[name].append(took / count)
    found = {name: statistics.median(times) for name, times in taken.items()}
    ratios = {f"{name}_ratio": found[name] / found["ours"] for name in ("plain", "thought_kept")}
    return {name: round(value, 3) for name, value in ({f"{name}_s": s for name, s in found.items()} | ratios).items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    unified = build()
    with torch.inference_mode():
        figures: dict[str, object] = {f"batch_{count}": measure(unified, count) for count in (1, 16)}
    figures["machine"] = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    text = json.dumps(figures, indent=1)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
