"""Transfusion and LMFusion: the backbone denoises what stands in its slot, and words stay what they were."""

from dataclasses import replace
from functools import partial

import numpy as np
import published_toy
import pytest
import torch
from PIL import Image
from sampled import Followed

from blip3o.api import BLIP3o
from blip3o.batch import BatchPlaces
from blip3o.errors import ConfigError
from blip3o.flow.noise import generators
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.heads.head import SlotInputs
from blip3o.model.heads.regression import RegressionHeadConfig
from blip3o.model.heads.transfusion import TransfusionHeadConfig
from blip3o.model.layers.sampling import Sampling
from blip3o.model.unified import ImageRequests, Unified
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture, Turn
from blip3o.train.regions import Regions
from blip3o.train.starting_model import EXPERTS, WORDS, copy_parts

KINDS = ("qwen2_5_vl", "llama3", "qwen3")
GUIDED = Sampling(steps=3, guidance=3.0)
assert_close = partial(torch.testing.assert_close, rtol=2e-4, atol=2e-4)


def with_transfusion(config, *, experts, **changes):
    """A config of the same backbone that denoises itself."""
    old = config.unified.head
    sizes = {name: getattr(old, name) for name in ("width", "channels", "side")}
    head = TransfusionHeadConfig(slot_length=old.side**2, **sizes, **changes)
    unified = replace(
        config.unified, backbone=replace(config.unified.backbone, image_experts=experts), head=head, denoiser=None
    )
    return replace(config, unified=unified, prompt=replace(config.prompt, slot_length=old.side**2))


def of_kind(kind, **how):
    """An untrained pipeline of a published kind."""
    plain = published_toy.pipeline(kind)
    return Pipeline(with_transfusion(plain.config, **how), plain.template.words).eval()


@pytest.fixture(scope="module", params=[(kind, experts) for kind in KINDS for experts in (False, True)], ids=str)
def toy(request, awake):
    """A pipeline of a published kind, with and without experts."""
    kind, experts = request.param
    return awake(of_kind(kind, experts=experts), std=0.5)


def talks(made, *words):
    """Requests with their pictures."""
    head, rng = made.config.unified.head, np.random.default_rng(0)
    features = [rng.normal(size=(head.channels, head.side, head.side)).astype(np.float16) for _ in words]
    pixels = np.zeros((32, 32, 3), np.uint8)
    return [
        (Turn("user", (said,)), Turn("assistant", (Picture(pixels, features=one),)))
        for said, one in zip(words, features, strict=True)
    ]


def collated(made, *words):
    """The same as a batch, padded on the left."""
    return made.template.collate([made.template.encode(talk) for talk in talks(made, *words)], left=True)


WORDS_ASKED = ("red dog", "dog dog red dog red red")


@torch.no_grad()
def test_a_slot_after_a_prompt_that_is_kept_is_that_of_the_whole_sequence(toy):
    unified, batch = toy.unified, collated(toy, *WORDS_ASKED)
    inputs = unified.head.fill(batch.target, None, generators([0, 1]))
    inputs = replace(inputs, keep=torch.ones(2, dtype=torch.bool))
    if unified.backbone.image_experts is not None:
        copy_parts(toy, {EXPERTS: WORDS})
    whole = unified._hidden(batch, BatchPlaces.of(batch), inputs)[batch.slot].view_as(inputs.slot)
    read = unified.prefill(batch)
    assert_close(read([0, 1], inputs.slot), whole)
    assert_close(read([1, 0, 1], inputs.slot[[1, 0, 1]]), whole[[1, 0, 1]])
    assert_close(read([0, 1], inputs.slot), whole)  # and what came before left no trace


@torch.no_grad()
def test_every_step_of_a_drawing_is_a_pass_over_the_whole_sequence(toy):
    unified, batch, rngs = toy.unified, collated(toy, *WORDS_ASKED), partial(generators, [3, 4])
    if unified.backbone.image_experts is not None:
        copy_parts(toy, {EXPERTS: WORDS})
    drawn = unified.sample_features([ImageRequests.each(batch)], rngs(), GUIDED)

    class Whole(Followed):
        def __call__(self, slot, *, unasked=False):
            keep = torch.full((2,), not unasked)
            inputs = SlotInputs(slot=slot, data=batch.target, reference=None, keep=keep)
            return unified._hidden(batch, BatchPlaces.of(batch), inputs)[batch.slot].view_as(slot)

    state = unified.head.start(Whole(None), None, rngs(), [GUIDED, GUIDED])
    while any(state.remaining):
        state = unified.head.step(state)
    assert_close(state.sampler.x, drawn)


@torch.no_grad()
def test_a_slot_that_is_not_asked_sees_nothing_of_its_prompt(toy):
    one, other = collated(toy, "red dog"), collated(toy, "dog red")
    assert one.tokens.shape == other.tokens.shape
    slot = torch.randn(1, toy.config.unified.head.slot_length, toy.config.unified.head.width)
    asked, unasked = (
        [toy.unified.prefill(batch)([0], slot, unasked=unasked) for batch in (one, other)] for unasked in (False, True)
    )
    assert (asked[0] - asked[1]).abs().max() > 1e-5
    assert torch.equal(*unasked)
    assert (asked[0] - unasked[0]).abs().max() > 1e-3


@torch.no_grad()
def test_a_dropped_condition_is_a_prompt_that_is_not_seen(toy):
    """In training, with and without experts; whatever else is in the batch."""
    losses = []
    for words in (("red dog",), ("dog red",)):
        batch = collated(toy, *words)
        toy.unified.head.config = replace(toy.config.unified.head, dropout=1.0)
        losses.append(toy.unified(batch, generators([0])).image.mean())
    toy.unified.head.config = toy.config.unified.head
    assert torch.equal(*losses)
    kept = [toy.unified(collated(toy, words), generators([0])).image.mean() for words in ("red dog", "dog red")]
    assert not torch.equal(*kept)


def test_what_a_slot_sees_is_all_of_itself(toy):
    batch = collated(toy, "red dog")
    slot = torch.randn(1, toy.config.unified.head.slot_length, toy.config.unified.head.width, requires_grad=True)
    read = toy.unified.prefill(batch)
    read([0], slot)[0, 0].sum().backward()
    assert slot.grad is not None
    assert (slot.grad.abs().sum(-1) > 0).all()


def test_experts_learn_and_words_stay_to_the_last_bit(awake):
    made = awake(of_kind("llama3", experts=True), std=0.2)
    unified, batch = made.unified, collated(made, *WORDS_ASKED)
    unified.backbone.requires_grad_(False)
    unified.backbone.image_experts.requires_grad_(True)
    text = made.template.collate([made.template.ask((Turn("user", ("red dog",)),))])

    def logits():
        with torch.no_grad():
            return unified.start_text(text).logits

    before, optimizer = logits(), torch.optim.Adam([p for p in unified.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(12):
        loss = unified(batch, generators([0, 1])).image.mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in unified.backbone.image_experts.parameters())
        assert all(p.grad is None for p in unified.backbone.language_model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert torch.equal(logits(), before)


def test_prompts_learn_through_the_slots_of_experts_where_words_may_learn(awake):
    made = awake(of_kind("qwen3", experts=True, dropout=0.0), std=0.2)
    made.unified(collated(made, *WORDS_ASKED), generators([0, 1])).image.mean().backward()
    taught = {name for name, p in made.unified.backbone.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.partition(".")[0] for name in taught} == {"image_experts", "language_model"}


@torch.no_grad()
def test_experts_that_are_copies_change_nothing(awake):
    plain = awake(of_kind("qwen2_5_vl", experts=False), std=0.2)
    own = of_kind("qwen2_5_vl", experts=True)
    missing = own.load_state_dict(plain.state_dict(), strict=False)
    assert {name.split(".")[2] for name in missing.missing_keys} == {"image_experts"}
    copy_parts(own, {EXPERTS: WORDS})
    batch = collated(plain, *WORDS_ASKED)
    one, other = (
        made.unified.sample_features([ImageRequests.each(batch)], generators([0, 1]), GUIDED) for made in (plain, own)
    )
    assert_close(one, other)


@pytest.mark.parametrize(
    ("copies", "told"),
    [
        ({"unified.backbone.nothing": WORDS}, "the model has no part unified.backbone.nothing"),
        ({WORDS: "unified.head"}, f"{WORDS} cannot begin as unified.head, which has nothing of the shape of"),
    ],
)
def test_parts_that_cannot_be_copied_are_told(toy, copies, told):
    with pytest.raises(ConfigError, match=told):
        copy_parts(toy, copies)


def test_experts_are_of_heads_that_work_in_the_backbone():
    unified = published_toy.pipeline("llama3").config.unified
    assert isinstance(unified.head, FlowHeadConfig)
    with pytest.raises(ConfigError, match="head flow does not work so: leave them out"):
        replace(unified, backbone=replace(unified.backbone, image_experts=True))


@pytest.mark.parametrize("experts", [False, True])
def test_pictures_join_and_leave_and_are_what_they_are_alone(tiny, words, awake, experts):
    """To the last bit, by the fixed number of rows; other prompts, steps and guidances go beside."""
    made = awake(Pipeline(with_transfusion(tiny.model, experts=experts), words))
    asked = [(Turn("user", (said,)),) for said in ("a red dog", "two blue cups and a cat", "a house")]
    samplings = [replace(tiny.model.sampling, steps=steps, guidance=3.0, rows=4) for steps in (2, 4, 3)]

    def drawn(numbers, late=()):
        engine = Engine(made)
        rows = {
            n: engine.draw(made.template.ask(asked[n], draw=True), n, samplings[n]) for n in numbers if n not in late
        }
        engine.step()
        rows |= {n: engine.draw(made.template.ask(asked[n], draw=True), n, samplings[n]) for n in late}
        while not all(row.done for row in rows.values()):
            engine.step()
        images = [rows[n].image for n in numbers]
        return [image for image in images if image is not None]

    together, joined = drawn((0, 1, 2)), drawn((0, 1, 2), late=(2,))
    for number in range(3):
        [alone] = drawn((number,))
        assert torch.equal(alone, together[number])
        assert torch.equal(alone, joined[number])
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_a_transfusion_is_a_unified_model_without_a_denoiser(tiny):
    config = with_transfusion(tiny.model, experts=False).unified
    assert config.takes_reference
    assert not replace(config, head=replace(config.head, with_reference=False)).takes_reference
    assert not hasattr(Unified(config).head, "denoiser")


@pytest.mark.parametrize("kind", ["regression", "transfusion"])
@torch.no_grad()
def test_an_edit_is_drawn_in_sixteen_bits_as_well(tiny, words, awake, kind):
    changed = with_transfusion(tiny.model, experts=False)
    if kind == "regression":
        head = RegressionHeadConfig(slot_length=9, width=32, channels=8, side=3)
        changed = replace(changed, unified=replace(changed.unified, head=head))
    made = awake(Pipeline(changed, words)).to(torch.bfloat16)
    picture = Image.new("RGB", (72, 72), "red")
    [image] = (
        BLIP3o(made).edit(picture, "make it night", steps=2)
        if kind == "transfusion"
        else BLIP3o(made).edit(picture, "make it night")
    )
    assert image.size == (72, 72)


def test_experts_learn_alike_where_each_layer_runs_once_more_for_its_gradient(awake):
    made = awake(of_kind("qwen3", experts=True, dropout=0.0), std=0.2)
    batch = collated(made, *WORDS_ASKED)

    def gradients(*, checkpointing):
        made.zero_grad()
        made.train()
        with Regions(made.unified, checkpointing=checkpointing, compiled=False).active():
            made.unified(batch, generators([0, 1])).image.mean().backward()
        return {name: p.grad.clone() for name, p in made.unified.backbone.named_parameters() if p.grad is not None}

    plain, again = gradients(checkpointing=False), gradients(checkpointing=True)
    assert plain.keys() == again.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient)


def test_experts_are_told_among_the_parts_of_a_model(tiny, words):
    counts = Pipeline(with_transfusion(tiny.model, experts=True), words).sizes
    assert counts["image experts"] > 0
    assert "image experts" not in Pipeline(tiny.model, words).sizes
