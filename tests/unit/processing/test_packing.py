"""Packed conversations are read as if each stood alone, whatever the backbone."""

import random
from dataclasses import replace

import numpy as np
import published_toy
import pytest
import torch

from blip3o.errors import PromptError
from blip3o.processing.conversation import Picture, Turn
from blip3o.processing.packing import collate_packed, pack


def talk(number, *, pictures=0, words=3):
    rng = np.random.default_rng(number)
    shown = [Picture(rng.integers(0, 255, (32 + 28 * (number % 2), 56, 3), np.uint8)) for _ in range(pictures)]
    text = " ".join(random.Random(number).choices(["red", "dog", "cat"], k=words))
    return Turn("user", (*shown, f"what is {text}?")), Turn("assistant", (f"{text}, {number}",))


TALKS = [talk(0), talk(1, pictures=1), talk(2, words=9), talk(3, pictures=2, words=1), talk(4, words=5)]


@pytest.fixture(scope="module", params=["qwen2_5_vl", "llama3", "qwen3"])
def toy(request):
    return published_toy.pipeline(request.param)


def gradients(toy, batches):
    """The text loss of some batches, and what it asks of the parameters."""
    toy.zero_grad()
    losses = [toy.unified(batch, []).text for batch in batches]
    total = torch.stack([loss.sum for loss in losses]).sum() / torch.stack([loss.weight for loss in losses]).sum()
    total.backward()
    return total.item(), {name: p.grad.clone() for name, p in toy.unified.named_parameters() if p.grad is not None}


def test_losses_and_gradients_are_those_of_conversations_by_themselves(toy):
    samples = [toy.template.encode(talk) for talk in TALKS]
    alone = gradients(toy, [toy.template.collate([sample]) for sample in samples])
    packed = gradients(toy, [collate_packed(toy.template, [samples[:2], samples[2:]])])
    assert packed[0] == pytest.approx(alone[0], rel=1e-5)
    assert packed[1].keys() == alone[1].keys()
    for name, gradient in alone[1].items():
        torch.testing.assert_close(packed[1][name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@torch.no_grad()
def test_a_conversation_does_not_see_its_neighbours(toy):
    samples = [toy.template.encode(talk) for talk in TALKS]
    batch = collate_packed(toy.template, [samples])
    assert batch.segments is not None
    other = replace(batch, tokens=batch.tokens.where((batch.segments != 2) | batch.image_mask, batch.tokens[0, 0]))
    first, second = (toy.unified.backbone(toy.unified.embed(b), b.mask, segments=b.segments) for b in (batch, other))
    changed = (first - second).abs().amax(-1)[0] > 1e-6
    assert changed.any()
    assert set(batch.segments[0, changed].tolist()) == {2}


def test_what_ends_in_a_picture_is_not_packed(toy):
    picture = TALKS[1][0].content[0]
    drawn = toy.template.encode((Turn("user", ("a dog",)), Turn("assistant", (picture,))))
    with pytest.raises(PromptError, match="cannot be packed"):
        collate_packed(toy.template, [[drawn]])


@pytest.mark.parametrize("longest", [1, 10, 37, 1000])
def test_rows_hold_everything_once_and_no_more_than_they_may(longest):
    rng = random.Random(longest)
    lengths = [rng.randint(1, 40) for _ in range(200)]
    rows = pack(lengths, longest)
    assert sorted(item for row in rows for item in row) == list(range(200))
    assert all(sum(lengths[item] for item in row) <= longest or len(row) == 1 for row in rows)


def test_rows_are_few():
    assert len(pack([7, 6, 5, 5, 4, 3] * 10, 10)) == 30
    assert pack([], 10) == []
