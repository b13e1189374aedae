"""Features of the book are those of the encoder as it stands."""

import numpy as np
import pytest
import torch

from blip3o.picturebook.source import Scenes, ScenesConfig
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.objectives.objective import encode_source


@pytest.fixture
def fresh(tiny, words, awake):
    """A new machine, the same every time."""
    return awake(Pipeline(tiny.model, words))


def test_after_the_encoder_has_learned_features_are_made_anew(tiny, fresh, objective_of):
    stages = {stage.name: stage for stage in tiny.stages}
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    objective_of(stages["decoder"], fresh, book)
    before = book.features
    assert before is not None
    with torch.no_grad():
        fresh.space.encoder.head.weight.mul_(-1)
    objective_of(stages["encoder"], fresh, book).finish()
    objective_of(stages["decoder"], fresh, book)
    assert book.features is not None
    np.testing.assert_array_equal(book.features, encode_source(fresh, book))
    assert np.abs(book.features - before).max() > 0.1


def test_features_that_are_there_are_made_once(tiny, fresh, objective_of):
    stage = next(stage for stage in tiny.stages if stage.name == "decoder")
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    objective_of(stage, fresh, book)
    once = book.features
    objective_of(stage, fresh, book)
    assert book.features is once
