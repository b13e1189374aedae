"""A checkpoint in the published layout, at toy size, gives what the published code gave.

BLIP3O_PUBLISHED_LAYOUT names another folder of the same layout, which must pass by that alone.
"""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from blip3o.batch import IGNORED, Batch
from blip3o.model.denoisers.next_dit import NextDiT
from blip3o.model.heads.flow import FlowHead
from blip3o.model.heads.head import Sampling
from blip3o.weights.published import load_sdxl, load_unified

OWN = Path(__file__).parent / "published_8b_layout"
FOLDER = Path(os.environ.get("BLIP3O_PUBLISHED_LAYOUT", OWN))
RECORDED = load_file(FOLDER / "expected.safetensors")
IMAGE_START = json.loads((FOLDER / "about.json").read_text())["specials"]["IMG"]
NETWORK, SAMPLED = 1e-5, 1e-4
"""Tolerances that a correct implementation meets on a CPU in float32, relative to the norm of what was recorded."""


@cache
def unified():
    return load_unified(FOLDER)


def head():
    found = unified().head
    assert isinstance(found, FlowHead)
    return found


def denoiser():
    found = head().denoiser
    assert isinstance(found, NextDiT)
    return found


def assert_near(found, name, tolerance, among=RECORDED):
    recorded = among[name].float()
    assert found.shape == recorded.shape
    error = (found.float() - recorded).norm() / recorded.norm()
    assert error < tolerance, f"{name} is off by {error:.2e}"


def asked(tokens, *, draw, patches=None, grid=None):
    """A batch of one conversation, with the image-start token and the slot behind it where it draws."""
    specials = json.loads((FOLDER / "about.json").read_text())["specials"]
    if draw:
        rest = torch.tensor([[IMAGE_START] + [specials["image_query"]] * unified().config.head.slot_length])
        tokens = torch.cat([tokens, rest], dim=1)
    pictured = tokens == specials["image_token_id"]
    return Batch(
        tokens=tokens,
        mask=torch.ones_like(tokens, dtype=torch.bool),
        labels=torch.full_like(tokens, IGNORED),
        pictured=pictured if patches is not None else torch.zeros_like(pictured),
        slot=tokens == specials["image_query"],
        patches=patches,
        grid=grid,
    )


def thought(batch):
    model = unified()
    return model.think(batch, model.embed(batch), head().queries[None])


@torch.no_grad()
def test_the_denoiser():
    time = 1 - RECORDED["dit.timestep"] / 1000
    velocity = denoiser()(RECORDED["dit.x"], time, denoiser().condition(RECORDED["dit.cond"]))
    assert_near(-velocity, "dit.out", NETWORK)


@torch.no_grad()
def test_words_become_a_thought():
    assert_near(thought(asked(RECORDED["t2i.input_ids"], draw=True)), "t2i.cond", NETWORK)


@pytest.mark.parametrize(("prompt", "name"), [("t2i", name) for name in RECORDED if name.startswith("t2i.features")])
@torch.no_grad()
def test_a_thought_becomes_features(prompt, name, monkeypatch):
    steps, guidance = name.removeprefix("t2i.features_").split("steps_cfg")
    monkeypatch.setattr("blip3o.model.heads.flow.draw_noise", lambda shape, rngs: RECORDED[f"{prompt}.noise"])
    batch = asked(RECORDED[f"{prompt}.input_ids"], draw=True)
    features = unified().imagine([batch], [torch.Generator()], Sampling(steps=int(steps), guidance=float(guidance)))
    assert_near(features.flatten(2).mT, name, SAMPLED)


@torch.no_grad()
def test_a_picture_is_read_and_becomes_a_thought():
    patches, grid = RECORDED["i2i.pixel_values"], RECORDED["i2i.grid_thw"]
    assert_near(unified().backbone.read(patches, grid), "i2i.image_embeds", NETWORK)
    batch = asked(RECORDED["i2i.input_ids"], draw=True, patches=patches, grid=grid)
    assert_near(thought(batch), "i2i.cond", NETWORK)


def logits(batch):
    backbone = unified().backbone
    positions = backbone.positions(batch.mask, batch.pictured, batch.grid)
    return backbone.logits(backbone.think(unified().embed(batch), batch.mask, positions=positions)[:, -1])


@torch.no_grad()
def test_a_picture_is_answered():
    batch = asked(
        RECORDED["i2i.input_ids"], draw=False, patches=RECORDED["i2i.pixel_values"], grid=RECORDED["i2i.grid_thw"]
    )
    assert_near(logits(batch), "i2t.logits_last", NETWORK)
    assert unified().write(batch, [], 12) == RECORDED["i2t.greedy_12"].tolist()


@torch.no_grad()
def test_words_are_answered():
    assert_near(logits(asked(RECORDED["t2i.input_ids"], draw=False)), "t2t.logits_last", NETWORK)


def grid_of(tokens):
    """Recorded feature tokens as the square grid they are."""
    return tokens.mT.unflatten(-1, (round(tokens.shape[1] ** 0.5), -1))


@torch.no_grad()
def test_features_become_latents_and_a_picture():
    recorded = load_file(FOLDER / "diffusion-decoder" / "expected.safetensors")
    name = next(name for name in recorded if name.startswith("decoder.latents_"))
    steps, guidance = name.removeprefix("decoder.latents_").split("steps_cfg")
    decoder = load_sdxl(FOLDER / "diffusion-decoder")
    decoder.config = replace(decoder.config, guidance=float(guidance))
    features, null = (grid_of(recorded[f"decoder.{part}features"]) for part in ("", "negative_"))
    latents = decoder.latents(features, recorded["decoder.noise"], steps=int(steps), null=null)
    assert_near(latents, name, SAMPLED, recorded)
    picture = decoder.develop(latents) / 2 + 0.5
    assert_near(picture.permute(0, 2, 3, 1), "decoder.image_hwc", SAMPLED, recorded)
