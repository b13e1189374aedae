"""Conversations that end in words may be packed into rows: fewer rows, the same losses."""

import numpy as np
import published_toy
import pytest
import torch

from blip3o.config import from_dict
from blip3o.data.address import StepAddresses
from blip3o.data.sample import Sample
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError
from blip3o.processing.conversation import Picture
from blip3o.train.objectives.unified import UnifiedObjective, UnifiedObjectiveConfig

STEP = StepAddresses("run", 0, 0)


def config(**values):
    return UnifiedObjectiveConfig(text={"caption_short": 1.0, "question": 1.0}, text_batch_size=12, **values)


def loaded(pipeline, book, rows=0, **values):
    objective = UnifiedObjective(config(**values), pipeline, book)
    return objective, objective.load(STEP, rows).batches


@torch.no_grad()
def mean(objective, batches):
    losses = [objective.losses(batch)["text"] for batch in batches]
    return float(sum(loss.sum for loss in losses) / sum(loss.weight for loss in losses))


@pytest.mark.parametrize("length", [60, 200])
def test_packed_rows_are_full_and_give_the_same_loss(pipeline, book, length):
    plain, packed = loaded(pipeline, book), loaded(pipeline, book, pack=length)
    assert mean(*packed) == pytest.approx(mean(*plain), rel=1e-5)
    tokens = sum(int(batch.batch.mask.sum()) for batch in plain[1])
    (batch,) = packed[1]
    rows, seq = batch.batch.tokens.shape
    assert seq <= length
    assert int(batch.batch.mask.sum()) == tokens
    assert rows <= 11 / 9 * tokens / length + 1
    assert sorted(batch.addresses) == sorted(address for one in plain[1] for address in one.addresses)


def test_micro_batches_have_no_more_packed_rows_than_they_may(pipeline, book):
    whole, cut = loaded(pipeline, book, pack=60), loaded(pipeline, book, rows=2, pack=60)
    assert all(len(batch.batch.tokens) <= 2 for batch in cut[1])
    assert mean(*cut) == pytest.approx(mean(*whole), rel=1e-5)
    objective = whole[0]
    weights = sum(objective.weights(batch)["text"] for batch in cut[1])
    assert weights == pytest.approx(float(sum(objective.losses(batch)["text"].weight for batch in whole[1])))


def test_a_conversation_longer_than_a_row_has_one_to_itself(pipeline, book):
    objective, (batch,) = loaded(pipeline, book, pack=1)
    assert len(batch.batch.tokens) == 12
    assert mean(objective, [batch]) == pytest.approx(mean(*loaded(pipeline, book)), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"draw": {"draw": 1.0}, "pack": 64}, "the stage has none"),
        ({"text": {"caption": 1.0}, "text_batch_size": 2, "pack": -1}, "pack is -1"),
    ],
)
def test_packing_nothing_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(UnifiedObjectiveConfig, values)


class Elongated(Source):
    """A plugin that shows what no file of ours gives."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return Sample(picture=Picture(np.zeros((10, 4_000 if index == 1 else 40, 3), np.uint8)), captions=("a line",))


def test_a_picture_that_this_backbone_cannot_read_is_skipped():
    objective = UnifiedObjective(
        UnifiedObjectiveConfig(text={"caption": 1.0}, text_batch_size=4), published_toy.pipeline(), Elongated(None)
    )
    step = objective.load(STEP)
    assert [(error.shard, error.address) for error in step.skipped] == [("caption", "caption[1]")]
    assert sum(len(batch.addresses) for batch in step.batches) == 3
