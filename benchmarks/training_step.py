"""What a generation step costs beside the published one, on one thread, at a toy of the published shape.

    python benchmarks/training_step.py

The toy has the token counts of the published 8B (a picture of 1025 tokens for the target encoder, prompts of 96 and
slots of 64), a fourteenth of its widths and of its vocabulary and a quarter of its depths. Everything but queries and
denoiser is frozen, as there.

The published step encodes its targets, scores the whole vocabulary at all positions (what comes of it is thrown away)
and runs gradients through all positions. Ours are measured with features that are kept, with features that are encoded
in the step, and with kept conditions where the queries are frozen, too. Losses and gradients of all are asserted to be
equal. The steps take turns, so that whatever else the machine does slows all of them; medians count.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from blip3o.batch import IGNORED, Batch, BatchPlaces
from blip3o.config import from_dict
from blip3o.flow.noise import generators
from blip3o.model.backbones.qwen2_5_vl import QwenConfig
from blip3o.model.denoisers.next_dit import NextDiTConfig
from blip3o.model.encoders.eva_clip import EvaClip, EvaClipConfig
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.loss import WeightedLoss
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.train.steps import arithmetic

PROMPT, SLOT, CHANNELS, WIDTH = 96, 64, 128, 256
TEXT = {
    "vocab_size": 10_833,
    "hidden_size": WIDTH,
    "intermediate_size": 1353,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "mrope_section": [8, 12, 12],
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
}
VISION = {
    "depth": 1,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [0],
}
ENCODER = EvaClipConfig(size=448, patch_size=14, channels=CHANNELS, depth=16, num_heads=2, mlp_width=1097, pool=4)
UNIFIED = UnifiedConfig(
    backbone=from_dict(QwenConfig, {"text": TEXT, "vision": VISION}),
    head=FlowHeadConfig(slot_length=SLOT, width=WIDTH, channels=CHANNELS, side=8),
    denoiser=NextDiTConfig(
        channels=CHANNELS, side=8, condition_width=WIDTH, width=128, depth=6, num_heads=2, mlp_multiple=16
    ),
)


@dataclass(frozen=True, kw_only=True)
class Toy:
    """The networks and a batch."""

    unified: Unified
    encoder: EvaClip
    batch: Batch
    pixels: Tensor
    precision: str

    def rngs(self) -> Sequence[Generator]:
        """The same for every step."""
        return generators(range(len(self.pixels)))


def toy(rows: int, precision: str) -> Toy:
    """Random weights that no symmetry makes zero; prompts of different words and one length."""
    torch.manual_seed(0)
    unified, encoder = Unified(UNIFIED), EvaClip(ENCODER).requires_grad_(False)
    for parameter in (*unified.parameters(), *encoder.parameters()):
        nn.init.normal_(parameter, std=0.05)
    unified.backbone.requires_grad_(False)
    tokens = torch.randint(2, TEXT["vocab_size"], (rows, PROMPT + SLOT))
    slot = torch.arange(PROMPT + SLOT).expand_as(tokens) >= PROMPT
    nothing = torch.zeros_like(slot)
    batch = Batch(
        tokens=tokens,
        mask=~nothing,
        labels=torch.full_like(tokens, IGNORED),
        image_mask=nothing,
        slot=slot,
    )
    pixels = torch.rand(rows, 3, ENCODER.size, ENCODER.size) * 2 - 1
    return Toy(unified=unified, encoder=encoder, batch=batch, pixels=pixels, precision=precision)


def published(made: Toy) -> WeightedLoss | None:
    """The loss as the published code comes to it."""
    unified, batch = made.unified, made.batch
    target = made.encoder(made.pixels).float()
    inputs = unified.head.fill(target, None, made.rngs())
    embeddings = unified.backbone.embed(batch.tokens)
    embeddings = embeddings.masked_scatter(batch.slot[..., None], inputs.slot.to(embeddings.dtype))
    hidden = unified.backbone(embeddings, batch.mask)
    logits = unified.backbone.logits(hidden).float()
    F.cross_entropy(logits[:, :-1].flatten(0, 1), batch.tokens[:, 1:].flatten())
    return unified.head(hidden[batch.slot].view_as(inputs.slot), inputs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="steps of each kind; the median counts")
    parser.add_argument("--rows", type=int, default=4, help="pictures in a step")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = toy(options.rows, options.precision)
    found = measure(made, options.rounds)
    for name, seconds in found.items():
        print(f"{name:<12}{1000 * seconds:>10.0f} ms{found['published'] / seconds:>8.2f}x")
    print(json.dumps({"rows": options.rows, "precision": options.precision, "median_s": found}))


def measure(made: Toy, rounds: int) -> dict[str, float]:
    """Median seconds of a step of each kind."""
    places = BatchPlaces.of(made.batch)
    with torch.no_grad(), arithmetic(made.precision, torch.device("cpu")):
        kept = replace(made.batch, target=made.encoder(made.pixels).float())
        condition = replace(kept, condition=made.unified.condition(kept, made.rngs(), places))

    def online() -> WeightedLoss | None:
        with torch.no_grad():
            target = made.encoder(made.pixels).float()
        return made.unified(replace(made.batch, target=target), made.rngs(), places).image

    steps: dict[str, Callable[[], WeightedLoss | None]] = {
        "published": lambda: published(made),
        "kept": lambda: made.unified(kept, made.rngs(), places).image,
        "online": online,
        "conditions": lambda: made.unified(condition, made.rngs(), places).image,
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    expected = step(made, steps["published"])[1]
    for _ in range(rounds):
        for name, loss in steps.items():
            made.unified.head.requires_grad_(True)
            if name == "conditions":
                made.unified.get_parameter("head.queries").requires_grad_(False)
            seconds, gradients = step(made, loss)
            taken[name].append(seconds)
            assert_equal(gradients, expected, name, made.precision)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def step(made: Toy, loss: Callable[[], WeightedLoss | None]) -> tuple[float, dict[str, Tensor]]:
    """Seconds of a step, the loss and the gradients."""
    made.unified.zero_grad(set_to_none=True)
    start = time.perf_counter()
    with arithmetic(made.precision, torch.device("cpu")):
        found = loss()
    assert found is not None
    found.mean().backward()
    seconds = time.perf_counter() - start
    gradients = {name: p.grad for name, p in made.unified.named_parameters() if p.grad is not None}
    return seconds, {"loss": found.mean().detach(), **gradients}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], name: str, precision: str) -> None:
    """The loss and all gradients are those expected, to the rounding of the arithmetic."""
    tolerance = 1e-5 if precision == "float32" else 5e-2
    missing = expected.keys() - found.keys()
    assert missing == ({"head.queries"} if name == "conditions" else set()), missing
    for key, value in found.items():
        error = (value - expected[key]).norm() / expected[key].norm()
        assert error < tolerance, f"{key} of {name} is off by {error:.1e}"


if __name__ == "__main__":
    main()
