"""What processes agree on before a step: here by processes that are threads' worth of values, without a launcher."""

import pytest
import torch
from torch import nn

from blip3o.batch import Batch, BatchPlaces
from blip3o.data.sample import SampleError
from blip3o.errors import ConfigError, DataError
from blip3o.train.objectives.objective import LoadedStep, Objective
from blip3o.train.objectives.unified import ConversationBatch
from blip3o.train.parallel import ParallelConfig, Processes
from blip3o.train.sharding import clip
from blip3o.train.shared_step import kind_of, matched, share


def batch(rows, *, slot):
    shape = (rows, 4)
    tokens, mask = torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=torch.bool)
    slots = mask.clone() if slot else ~mask
    words = Batch(tokens=tokens, mask=mask, labels=tokens, image_mask=~mask, slot=slots)
    places = BatchPlaces.of(words)
    weight = float(places.answers.weights.sum())
    return ConversationBatch(
        addresses=[str(row) for row in range(rows)], batch=words, places=places, text_weight=weight
    )


class Losses(Objective):
    """An objective as far as `share` asks it."""

    names = ("text", "image")

    def __init__(self):
        nn.Module.__init__(self)

    def losses(self, batch):
        raise AssertionError("no network runs before all have agreed")

    def weights(self, batch):
        rows = float(len(batch.addresses))
        return {"image": rows} if batch.batch.slot.any() else {"text": rows}


class OfTwo(Processes):
    """A process of two that hears what the other would say, in the order in which it is asked."""

    def __init__(self, rank, *others):
        super().__init__(rank, 2)
        self.others = list(others)

    def sum(self, values):
        return [own + other for own, other in zip(values, self.others.pop(0), strict=True)]

    def gather(self, value):
        both = [value, self.others.pop(0)]
        return both if self.rank == 0 else both[::-1]


def test_alone_a_step_is_what_was_loaded():
    batches = [batch(2, slot=True), batch(3, slot=False)]
    shared = share(Processes(), Losses(), lambda: LoadedStep(batches=batches))
    assert shared.batches == [(batches[0], 1.0), (batches[1], 1.0)]
    assert shared.weights == {"text": 3.0, "image": 2.0}


def test_weights_are_those_of_all_processes_and_losses_that_nobody_has_are_left_out():
    processes = OfTwo(0, [0, 0, 0, 0.0, 5.0])
    shared = share(processes, Losses(), lambda: LoadedStep(batches=[batch(2, slot=True)]))
    assert shared.weights == {"image": 7.0}


def test_a_sample_that_another_process_skipped_is_known_here():
    processes = OfTwo(0, [0, 0, 1, 0.0, 1.0], [("truncated image", "a.tar", "a.tar/7", "")])
    (error,) = share(processes, Losses(), lambda: LoadedStep(batches=[batch(1, slot=True)])).skipped
    assert (error.reason, error.shard, error.address) == ("truncated image", "a.tar", "a.tar/7")


def test_an_error_of_another_process_is_raised_here_with_its_rank():
    processes = OfTwo(0, [0, 1, 0, 0.0, 0.0], ("DataError", "a.tar is gone"))
    with pytest.raises(DataError, match=r"^rank 1: a\.tar is gone$"):
        share(processes, Losses(), lambda: LoadedStep(batches=[]))


def test_an_error_here_is_raised_by_its_kind():
    def load():
        raise SampleError("no image", "a.tar", "a.tar/1")

    with pytest.raises(SampleError, match="no image"):
        share(Processes(), Losses(), load)


def test_all_stop_where_one_was_asked_to():
    with pytest.raises(KeyboardInterrupt):
        share(OfTwo(0, [1, 0, 0, 0.0, 1.0]), Losses(), lambda: LoadedStep(batches=[]))


def test_who_has_fewer_micro_batches_of_a_kind_repeats_one_that_does_not_count():
    own = [batch(2, slot=True)]
    kind = kind_of(Losses(), own[0])
    assert matched(OfTwo(0, {kind: 3}), Losses(), own) == [(own[0], 1.0), (own[0], 0.0), (own[0], 0.0)]


def test_who_has_none_of_a_kind_borrows_one():
    own, theirs = batch(2, slot=True), batch(1, slot=False)
    counts = {kind_of(Losses(), theirs): 1, kind_of(Losses(), own): 1}
    filled = matched(OfTwo(0, counts, theirs), Losses(), [own])
    assert sorted(filled, key=lambda one: -one[1]) == [(own, 1.0), (theirs, 0.0)]


def test_kinds_differ_by_what_runs():
    kinds = {kind_of(Losses(), one) for one in (batch(1, slot=True), batch(4, slot=True), batch(1, slot=False))}
    assert len(kinds) == 2


def test_clipping_is_that_of_torch():
    ours, theirs = (nn.Linear(4, 3) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    for network in (ours, theirs):
        (100 * network(torch.ones(2, 4)).square().sum()).backward()
    norm = clip(ours.parameters(), 1.0)
    assert torch.equal(norm, nn.utils.clip_grad_norm_(theirs.parameters(), 1.0, foreach=True))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"replicas": 2}, "replicas of 2 or more belong to hybrid"),
        ({"shard": "hybrid"}, "replicas is 1 and shard is 'hybrid'"),
        ({"offload": True}, "choose shard full or hybrid"),
        ({"shard": "full", "replicas": 0}, "replicas is 0"),
    ],
)
def test_what_does_not_go_together_is_refused(values, fault):
    with pytest.raises(ConfigError, match=fault):
        ParallelConfig(**values)


def test_replicas_divide_the_processes():
    config = ParallelConfig(shard="hybrid", replicas=2)
    config.check_ranks(4)
    config.check_ranks(1)
    with pytest.raises(ConfigError, match="does not divide the 3 processes"):
        config.check_ranks(3)
