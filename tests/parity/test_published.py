"""A checkpoint in the published layout, at toy size, gives what the published code gave.

BLIP3O_PUBLISHED_LAYOUT names another folder of the same layout, which must pass by that alone.
"""

import json
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from published_toy import load
from safetensors.torch import load_file

from blip3o.batch import IGNORED, Batch
from blip3o.model.decoders.sdxl import SdxlDecoder
from blip3o.model.denoisers.next_dit import NextDiT
from blip3o.model.encoders.eva_clip import EvaClip
from blip3o.model.heads.flow import FlowHead
from blip3o.model.heads.head import SlotInputs
from blip3o.model.layers.sampling import Sampling
from blip3o.model.unified import ImageRequests
from blip3o.weights.published.layout import find_decoder, find_encoder, find_unified

OWN = Path(__file__).parent / "published_8b_layout"
FOLDER = Path(os.environ.get("BLIP3O_PUBLISHED_LAYOUT", OWN))
RECORDED = load_file(FOLDER / "expected.safetensors")
IMAGE_START = json.loads((FOLDER / "about.json").read_text())["specials"]["IMG"]
NETWORK, SAMPLED, GRADIENT = 1e-5, 1e-4, 1e-4
"""Tolerances that a correct implementation meets on a CPU in float32, relative to the norm of what was recorded."""


KNOWN = re.compile(
    r"dit\.(x|timestep|cond|out)|eva\.(pixels|tokens_first8|pooled)|i2t\.(logits_last|greedy_12)|t2t\.logits_last"
    r"|(t2i|i2i)\.(input_ids|noise|cond|features_\w+steps_cfg[\d.]+)|i2i\.(pixel_values|grid_thw|image_embeds)"
    r"|train\.(input_ids|attention_mask|query_start|gen_image_fp16|noise|u|drop_condition)"
    r"|train\.(loss|grad_latent_queries|grad_norm_dit)"
)
"""Every recorded tensor is one of these: given to a test below, or compared by it."""


def test_nothing_recorded_is_passed_over():
    assert [name for name in RECORDED if not KNOWN.fullmatch(name)] == []


@cache
def unified():
    return load(find_unified(FOLDER))


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


def asked(tokens, *, draw, pixel_values=None, image_grid_thw=None):
    """A batch of one conversation, with the image-start token and the slot behind it where it draws."""
    specials = json.loads((FOLDER / "about.json").read_text())["specials"]
    if draw:
        rest = torch.tensor([[IMAGE_START] + [specials["image_query"]] * unified().config.head.slot_length])
        tokens = torch.cat([tokens, rest], dim=1)
    image_mask = tokens == specials["image_token_id"]
    return Batch(
        tokens=tokens,
        mask=torch.ones_like(tokens, dtype=torch.bool),
        labels=torch.full_like(tokens, IGNORED),
        image_mask=image_mask if pixel_values is not None else torch.zeros_like(image_mask),
        slot=tokens == specials["image_query"],
        pixel_values=pixel_values,
        image_grid_thw=image_grid_thw,
    )


def thought(batch):
    return unified().prefill(batch)([0], head().queries[None])


@torch.no_grad()
def test_the_denoiser():
    time = 1 - RECORDED["dit.timestep"] / 1000
    velocity = denoiser()(RECORDED["dit.x"], time, denoiser().condition(RECORDED["dit.cond"]))
    assert_near(-velocity, "dit.out", NETWORK)


@torch.no_grad()
def test_words_become_a_thought():
    assert_near(thought(asked(RECORDED["t2i.input_ids"], draw=True)), "t2i.cond", NETWORK)


def pictures(prompt):
    return {
        key: RECORDED[f"{prompt}.{name}"]
        for key, name in (("pixel_values", "pixel_values"), ("image_grid_thw", "grid_thw"))
        if f"{prompt}.{name}" in RECORDED
    }


@pytest.mark.parametrize("name", [name for name in RECORDED if ".features_" in name])
@torch.no_grad()
def test_a_thought_becomes_features(name, monkeypatch):
    prompt, _, settings = name.partition(".features_")
    steps, guidance = settings.split("steps_cfg")
    monkeypatch.setattr("blip3o.model.heads.flow.draw_noise", lambda shape, rngs: RECORDED[f"{prompt}.noise"])
    batch = asked(RECORDED[f"{prompt}.input_ids"], draw=True, **pictures(prompt))
    sampling = Sampling(steps=int(steps), guidance=float(guidance))
    features = unified().sample_features([ImageRequests.each(batch)], [torch.Generator()], sampling)
    assert_near(features.flatten(2).mT, name, SAMPLED)


@torch.no_grad()
def test_a_picture_is_read_and_becomes_a_thought():
    pixel_values, image_grid_thw = RECORDED["i2i.pixel_values"], RECORDED["i2i.grid_thw"]
    assert_near(unified().backbone.encode_images(pixel_values, image_grid_thw), "i2i.image_embeds", NETWORK)
    assert_near(thought(asked(RECORDED["i2i.input_ids"], draw=True, **pictures("i2i"))), "i2i.cond", NETWORK)


def logits(batch):
    backbone = unified().backbone
    positions = backbone.positions(batch.mask, batch.image_mask, batch.image_grid_thw)
    return backbone.logits(backbone(unified().embed(batch), batch.mask, positions=positions)[:, -1])


def greedy(batch, count):
    """The likeliest next tokens of the first row."""
    state, tokens = unified().start_text(batch), []
    while len(tokens) < count:
        tokens.append(state.logits.argmax(-1))
        state = unified().step_text(state, tokens[-1], torch.ones(1, dtype=torch.bool))
    return [token.item() for token in tokens]


@torch.no_grad()
def test_a_picture_is_answered():
    batch = asked(RECORDED["i2i.input_ids"], draw=False, **pictures("i2i"))
    assert_near(logits(batch), "i2t.logits_last", NETWORK)
    assert [greedy(batch, 12)] == RECORDED["i2t.greedy_12"].tolist()


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
    decoder = load(find_decoder(FOLDER / "diffusion-decoder"))
    assert isinstance(decoder, SdxlDecoder)
    decoder.config = replace(decoder.config, guidance=float(guidance))
    features, null = (grid_of(recorded[f"decoder.{part}features"]) for part in ("", "negative_"))
    latents = decoder.latents(features, recorded["decoder.noise"], steps=int(steps), null=null)
    assert_near(latents, name, SAMPLED, recorded)
    picture = decoder.decode_latents(latents) / 2 + 0.5
    assert_near(picture.permute(0, 2, 3, 1), "decoder.image_hwc", SAMPLED, recorded)


@torch.no_grad()
def test_the_target_encoder():
    tower = load(find_encoder(FOLDER))
    assert isinstance(tower, EvaClip)
    tokens = tower.tokens(RECORDED["eva.pixels"].float())
    assert_near(tokens[:, :8], "eva.tokens_first8", NETWORK)
    assert_near(tower.pooled(tokens), "eva.pooled", NETWORK)


def test_a_training_batch():
    model, tower = unified(), load(find_encoder(FOLDER))
    assert isinstance(tower, EvaClip)
    with torch.no_grad():
        data = tower.pooled(tower.tokens(RECORDED["train.gen_image_fp16"].float()))
    tokens, start = RECORDED["train.input_ids"], RECORDED["train.query_start"]
    place = torch.arange(tokens.shape[1]) - start[:, None]
    slot = (place >= 0) & (place < model.config.head.slot_length)
    batch = Batch(
        tokens=tokens,
        mask=RECORDED["train.attention_mask"].bool(),
        labels=torch.full_like(tokens, IGNORED),
        image_mask=torch.zeros_like(tokens, dtype=torch.bool),
        slot=slot,
    )
    filled = SlotInputs(
        slot=head().queries.expand(len(tokens), -1, -1),
        data=data,
        reference=None,
        keep=RECORDED["train.drop_condition"] == 0,
        noise=RECORDED["train.noise"],
        time=(RECORDED["train.u"] * 1000).floor() / 1000,
    )
    embeddings = model.embed(batch).masked_scatter(slot[..., None], filled.slot)
    hidden = model.backbone(embeddings, batch.mask)[slot].view_as(filled.slot)
    loss = head()(hidden, filled).mean()
    model.zero_grad()
    loss.backward()
    gradients = [parameter.grad for parameter in denoiser().parameters() if parameter.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert_near(loss[None], "train.loss", NETWORK)
    gradient = head().queries.grad
    assert gradient is not None
    assert_near(gradient[None], "train.grad_latent_queries", GRADIENT)
    assert_near(norm[None], "train.grad_norm_dit", GRADIENT)
