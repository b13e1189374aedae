"""In training, slots run after prompts that are kept: with the losses and gradients of whole sequences."""

from dataclasses import replace

import numpy as np
import published_toy
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from blip3o.batch import IGNORED, BatchPlaces
from blip3o.data.mixture import Mixture
from blip3o.flow.noise import generators
from blip3o.model.heads.regression import RegressionHead, RegressionHeadConfig
from blip3o.model.unified import Unified
from blip3o.processing.conversation import Picture, Turn

KINDS = ("qwen2_5_vl", "llama3", "qwen3")


@pytest.fixture(scope="module", params=KINDS)
def toy(request, awake):
    """A pipeline of the published kind, and three requests of different lengths, one of them with a picture."""
    made = published_toy.pipeline(request.param)
    awake(made, std=0.3)
    made.requires_grad_(False)
    rng = np.random.default_rng(0)

    def picture():
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        return Picture(pixels, features=rng.normal(size=(112, 4, 4)).astype(np.float16))

    asked = [("red dog",), (picture(), "a dog"), ("dog dog red dog red red",)]
    talks = [(Turn("user", parts), Turn("assistant", (picture(),))) for parts in asked]
    return made, [made.template.encode(talk) for talk in talks]


class WholeSlotHead(RegressionHead):
    attention = "bidirectional"


def assert_same(loss, other):
    torch.testing.assert_close(vars(loss), vars(other), rtol=1e-5, atol=0)


def learned(unified, batch, places):
    """The losses, and the gradients of all that learns."""
    unified.zero_grad()
    losses = unified(batch, generators(range(len(batch.tokens))), places)
    losses.image.sum.backward()
    gradients = {name: p.grad for name, p in unified.named_parameters() if p.grad is not None}
    assert len(gradients) > 1
    return losses, gradients


def assert_alone_as_whole(unified, batch):
    places = BatchPlaces.of(batch)
    assert places.ends_in_slot
    alone, gradients = learned(unified, batch, places)
    whole, expected = learned(unified, batch, replace(places, ends_in_slot=False))
    for name in ("image", "text"):
        assert_same(getattr(alone, name), getattr(whole, name))
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=1e-5 * gradient.abs().max().item())


@pytest.mark.parametrize("rows", [(0, 1, 2), (1,), (0, 0)], ids=["padded", "one", "equal"])
def test_a_slot_alone_learns_as_a_whole_sequence_does(toy, rows):
    made, samples = toy
    made.unified.head.requires_grad_(True)
    assert_alone_as_whole(made.unified, made.template.collate([samples[row] for row in rows], left=True))


def test_the_head_learns_from_the_reference_as_well(tiny, book, template, awake):
    unified = awake(Unified(tiny.model.unified))
    unified.backbone.requires_grad_(False)
    talks = [Mixture(book, {task: 1.0}, "drawn", drawing=True)[0] for task in ("draw", "edit", "riddle")]
    batch = template.collate([template.encode(talk) for talk in talks], left=True)
    assert batch.referenced.tolist().count(True) > 0
    assert_alone_as_whole(unified, batch)


def test_a_slot_that_is_seen_whole_learns_alone(toy, awake):
    made, samples = toy
    sizes = made.config.unified.head
    config = RegressionHeadConfig(slot_length=16, width=sizes.width, channels=sizes.channels, side=sizes.side)
    unified = Unified(replace(made.config.unified, head=config, denoiser=None))
    unified.backbone = made.unified.backbone
    unified.head = awake(WholeSlotHead(config), std=1.0)
    batch = made.template.collate(samples, left=True)
    assert_alone_as_whole(unified, batch)
    causal, _ = learned(unified, batch, None)
    unified.head.attention = "causal"
    other, _ = learned(unified, batch, None)
    assert (causal.image.sum - other.image.sum).abs() > 1e-4 * other.image.sum


def lengths_with_gradients(unified, batch, monkeypatch):
    """The lengths of the sequences that run through the first layer, and whether with gradients."""
    seen = []
    forward = unified.backbone.forward

    def watched(embeddings, *rest, **more):
        seen.append((embeddings.shape[1], torch.is_grad_enabled()))
        return forward(embeddings, *rest, **more)

    monkeypatch.setattr(unified.backbone, "forward", watched)
    unified(batch, generators(range(len(batch.tokens))))
    return seen


@pytest.mark.parametrize(
    "part", ["head.queries", "backbone.language_model.layers.0.mlp.up_proj.weight", "backbone.visual"]
)
def test_gradients_run_through_prompts_only_where_something_in_them_learns(toy, part, monkeypatch):
    made, samples = toy
    made.requires_grad_(False)
    for name, parameter in made.unified.named_parameters():
        parameter.requires_grad_(name.startswith(part))
    batch = made.template.collate(samples, left=True)
    length, slot = batch.tokens.shape[1], 16
    expected = [(length - slot, False), (slot, True)] if part == "head.queries" else [(length, True)]
    assert lengths_with_gradients(made.unified, batch, monkeypatch) == expected
    made.requires_grad_(False)


def test_rows_that_are_padded_behind_their_slots_run_whole(toy, monkeypatch):
    made, samples = toy
    batches = [made.template.collate(samples, left=left) for left in (False, True)]
    assert [BatchPlaces.of(batch).ends_in_slot for batch in batches] == [False, True]
    right, left = (made.unified(batch, generators(range(3))) for batch in batches)
    assert_same(right.image, left.image)
    assert_same(right.text, left.text)
    assert len(lengths_with_gradients(made.unified, batches[0], monkeypatch)) == 1


@torch.no_grad()
def test_a_condition_that_is_kept_stands_in_for_the_backbone(toy, monkeypatch):
    made, samples = toy
    batch = made.template.collate(samples, left=True)
    condition = made.unified.condition(batch, generators(range(3)))
    assert condition.shape == (3, 16, 32)
    expected = made.unified(batch, generators(range(3)))
    monkeypatch.setattr(made.unified.backbone, "forward", None)
    monkeypatch.setattr(made.unified.backbone, "encode_images", None)
    kept = made.unified(replace(batch, condition=condition), generators(range(3)))
    assert kept.text is None
    assert_same(kept.image, expected.image)
    other = made.unified(replace(batch, condition=condition + 1), generators(range(3)))
    assert (other.image.sum - kept.image.sum).abs() > 1e-4 * other.image.sum


def test_a_layer_that_runs_twice_over_kept_prompts_gives_the_same_gradient(toy):
    made, samples = toy
    made.requires_grad_(False)
    made.unified.head.requires_grad_(True)
    batch = made.template.collate(samples, left=True)
    _, expected = learned(made.unified, batch, None)
    layers = made.unified.backbone.language_model.layers
    for layer in layers:
        layer.forward = lambda *a, run=layer.forward, **k: checkpoint(run, *a, use_reentrant=False, **k)
    try:
        _, gradients = learned(made.unified, batch, None)
    finally:
        for layer in layers:
            del layer.forward
    for name, gradient in expected.items():
        assert torch.equal(gradients[name], gradient)


def text_learned(unified, batch):
    unified.zero_grad()
    loss = unified(batch, generators(range(len(batch.tokens)))).text
    loss.sum.backward()
    return loss, {name: p.grad for name, p in unified.named_parameters() if p.grad is not None}


def test_the_loss_of_many_words_is_the_same_in_parts(toy, monkeypatch):
    made, samples = toy
    made.requires_grad_(False)
    made.unified.backbone.language_model.requires_grad_(True)
    batch = made.template.collate(samples)
    batch = replace(batch, target=None, labels=batch.tokens.where(batch.mask, IGNORED))
    whole, expected = text_learned(made.unified, batch)
    seen = []
    logits = made.unified.backbone.logits
    monkeypatch.setattr(made.unified.backbone, "logits", lambda hidden: seen.append(len(hidden)) or logits(hidden))
    monkeypatch.setattr("blip3o.model.unified.LOGITS_AT_ONCE", 7 * made.config.unified.backbone.text.vocab_size)
    parts, gradients = text_learned(made.unified, batch)
    assert max(seen) <= 7
    assert sum(seen) == 2 * int((batch.labels[:, 1:] != IGNORED).sum())
    assert_same(parts, whole)
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6)
    made.requires_grad_(False)
