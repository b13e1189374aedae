"""What the shipped model promises of its pictures."""

import random

import numpy as np
import pytest

from blip3o.api import BLIP3o

PROMPTS = (
    "a photo of a red dog",
    "a photo of two cats",
    "a blue car left of a green tree in the snow",
    "a house on the beach at night with three yellow flowers and a blue boat",
    "a bird",
    "draw a purple cup above a white fish.",
)
WISHES = (
    "make it night",
    "remove the dog",
    "make it a winter night",
    "move the cat left",
    "add a tree",
    "make it snow",
)


@pytest.fixture(scope="module")
def model():
    return BLIP3o.load()


@pytest.fixture(scope="module")
def drawn(model):
    return model.generate(PROMPTS, seed=40)


def values(pictures):
    return np.stack([np.asarray(picture) for picture in pictures])


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_a_picture_is_that_of_its_seed_in_any_batch(model, drawn, batch_size):
    order = random.Random(batch_size).sample(range(6), 6)
    again = model.generate(
        [PROMPTS[index] for index in order], seed=[40 + index for index in order], batch_size=batch_size
    )
    assert (values(again) == values(drawn)[order]).all()


def test_an_edit_and_a_reconstruction_are_those_of_their_seed_in_any_batch(model, drawn):
    edited, rebuilt = model.edit(drawn, WISHES, seed=7), model.reconstruct(drawn, seed=7)
    for index in (0, 3, 5):
        assert (values(model.edit(drawn[index], WISHES[index], seed=7 + index)) == values([edited[index]])).all()
        assert (values(model.reconstruct(drawn[index], seed=7 + index)) == values([rebuilt[index]])).all()
