"""The losses of the first steps of everything that is trained are those that were recorded."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from published_toy import SCHEDULER, TINY_DC_AE, TINY_SANA, TINY_VAE, UNET, VAE

from blip3o.config import load
from blip3o.flow.noise import generators
from blip3o.model.decoders.pixel import PixelDecoder
from blip3o.model.decoders.sana import SanaConfig, SanaDecoder
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder
from blip3o.model.decoders.vae import VaeDecoder
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.heads import HEADS
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.heads.head import Reference
from blip3o.model.heads.regression import RegressionHeadConfig
from blip3o.model.heads.transfusion import TransfusionHeadConfig
from blip3o.model.layers.vae import VaeConfig
from blip3o.train import trainer as loop
from blip3o.train.recipe import Recipe

TINY = load(Recipe, Path(__file__).parents[1] / "tiny.yaml")
STAGES = [stage.name for stage in TINY.stages]
STEPS = 5

# Other instruction sets and thread counts add up in another order. Between AVX-512 and SSE4.1, with one thread and two,
# that moved losses by 3e-7 of themselves at most where steps are plain descent in float32, and by 6e-5 where they are
# Muon's, which are made in bfloat16. A change of what is learned moves some loss of five steps by far more than these:
DESCENT, MUON = 1e-5, 1e-3


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed))


def descend(network, loss, learning_rate):
    """The losses of some steps of plain gradient descent, each with randomness of its own."""
    seen = []
    for step in range(STEPS):
        value = loss(generators(range(8 * step, 8 * step + 8))).mean()
        value.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter -= learning_rate * parameter.grad
                    parameter.grad = None
        seen.append(value.item())
    return {"loss": seen}


# --- stages ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The losses of every step of a small run, by stage; gradients are clipped and the rate has risen at once."""
    changes = [f"stages.{name}.{change}" for name in STAGES for change in (f"steps={STEPS}", "warmup=1", "clip=0.5")]
    recipe = load(Recipe, Path(__file__).parents[1] / "tiny.yaml", changes)
    seen = {}

    def observe(progress):
        for name, value in progress.losses.items():
            seen.setdefault(progress.stage, {}).setdefault(name, []).append(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 1)
        loop.Trainer(recipe, tmp_path_factory.mktemp("run"), observe).run()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_losses_of_a_stage_are_those_recorded(golden, told, stage):
    golden(f"stage/{stage}", told[stage], tolerance=MUON)


# --- heads and decoders ---------------------------------------------------------------------------------------------

HEAD_CONFIGS = {
    "flow": partial(FlowHeadConfig, dropout=0.3, shift=2.0, draws=2),
    "regression": RegressionHeadConfig,
    "transfusion": partial(TransfusionHeadConfig, dropout=0.3, shift=2.0),
}


@pytest.mark.parametrize("kind", HEADS)
def test_the_losses_of_a_head_are_those_recorded(golden, awake, kind):
    sizes = NextDiTConfig(
        channels=6, side=2, condition_width=12, width=16, depth=1, num_heads=2, mlp_multiple=16, with_reference=True
    )
    config = HEAD_CONFIGS[kind](slot_length=4, width=12, channels=6, side=2)
    head = awake(HEADS[kind](config, partial(NextDiT, sizes)), std=0.4)
    reference = Reference(features=draw(5, 6, 2, 2, seed=1), present=torch.arange(5) % 2 == 0)

    def loss(rngs):
        filled = head.fill(draw(5, 6, 2, 2), reference, rngs[:5])
        return head(filled.slot + draw(5, 4, 12, seed=2), filled)

    golden(f"head/{kind}", descend(head, loss, 0.01), tolerance=DESCENT)


SANA = SanaConfig(
    kind="sana", transformer=TINY_SANA, vae=TINY_DC_AE | {"scaling_factor": 0.5}, channels=6, size=16, shift=2.0
)
DECODERS = {
    "pixel": (PixelDecoder, TINY.model.space.decoder, (8, 3, 3), 72),
    "sdxl": (SdxlDecoder, SdxlConfig(unet=UNET, vae=VAE, scheduler=SCHEDULER, size=64), (112, 4, 4), 64),
    "sana": (SanaDecoder, SANA, (6, 2, 2), 16),
    "vae": (VaeDecoder, VaeConfig(kind="vae", vae=TINY_VAE, size=16), (4, 8, 8), 16),
}


@pytest.mark.parametrize("name", DECODERS)
def test_the_losses_of_a_decoder_are_those_recorded(golden, awake, name):
    kind, config, shape, size = DECODERS[name]
    decoder = awake(kind(config), std=0.1)
    pixels = draw(2, 3, size, size, seed=1).clamp(-1, 1)
    found = descend(decoder, lambda rngs: decoder(draw(2, *shape), pixels, rngs[:2]), 0.01)
    golden(f"decoder/{name}", found, tolerance=DESCENT)


def test_nothing_is_recorded_that_no_test_compares():
    tested = {f"stage/{name}" for name in STAGES} | {f"head/{kind}" for kind in HEADS}
    known = json.loads(Path(__file__).with_name("losses.json").read_text(encoding="utf-8"))
    assert known.keys() == tested | {f"decoder/{name}" for name in DECODERS}
