"""Features of the book are those of the encoder as it stands."""

import numpy as np
import pytest
import torch

from blip3o.picturebook.source import PictureBook
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.objectives.objectives import OBJECTIVES, encode_book


@pytest.fixture
def fresh(tiny, words, awake):
    """A new machine, the same every time."""
    return awake(Pipeline(tiny.model, words))


def test_after_the_encoder_has_learned_features_are_made_anew(tiny, fresh):
    stages = {stage.objective: stage for stage in tiny.stages}
    book = PictureBook("tests", 2)
    OBJECTIVES["decoder"](stages["decoder"], fresh, book)
    before = book.features
    assert before is not None
    with torch.no_grad():
        fresh.space.encoder.head.weight.mul_(-1)
    OBJECTIVES["space"](stages["space"], fresh, book).finish()
    OBJECTIVES["decoder"](stages["decoder"], fresh, book)
    assert book.features is not None
    np.testing.assert_array_equal(book.features, encode_book(fresh, book))
    assert np.abs(book.features - before).max() > 0.1


def test_features_that_are_there_are_made_once(tiny, fresh):
    stage = next(stage for stage in tiny.stages if stage.objective == "decoder")
    book = PictureBook("tests", 2)
    OBJECTIVES["decoder"](stage, fresh, book)
    once = book.features
    OBJECTIVES["decoder"](stage, fresh, book)
    assert book.features is once
