"""Muon dealt out to processes is Muon."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from blip3o.train.muon import DealtMuon, dealt
from blip3o.train.parallel import Processes

SHAPES = [(8, 4), (4, 8), (6, 6), (2, 3), (12, 5)]
IDLE = 3
"""One that no loss depends on."""
LEARNING = [place for place in range(len(SHAPES)) if place != IDLE]


class Apart(Processes):
    """A process that only notes what it would send."""

    def exchange(self, tensors, owners):
        self.sent = {place: tensors[place].clone() for place, owner in enumerate(owners) if owner == self.rank}


@pytest.fixture
def matrices():
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def with_gradients(matrices, step):
    torch.manual_seed(step)
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    matrices[IDLE].grad = None
    return matrices


def options():
    return {"momentum": 0.95, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.1}


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_processes_together_make_the_step_of_one_and_remember_the_same(matrices, ranks):
    alone = deepcopy(matrices)
    plain = torch.optim.Muon(alone, 0.1, **options())
    copies = [deepcopy(matrices) for _ in range(ranks)]
    processes = [Apart(rank, ranks) for rank in range(ranks)]
    muons = [DealtMuon([{"params": some}], 0.1, one, **options()) for one, some in zip(processes, copies, strict=True)]
    for step in range(3):
        with_gradients(alone, step)
        plain.step()
        for muon, one, some in zip(muons, processes, copies, strict=True):
            before = deepcopy(with_gradients(some, step))
            muon.step()
            moved = [place for place in LEARNING if not torch.equal(some[place], before[place])]
            assert moved == [LEARNING[number] for number in one.sent]
        sent = {place: value for one in processes for place, value in one.sent.items()}
        assert len(sent) == len(LEARNING) == sum(len(one.sent) for one in processes)
        for some in copies:
            for number, place in enumerate(LEARNING):
                some[place].data.copy_(sent[number])
        for muon, some in zip(muons, copies, strict=True):
            assert all(torch.equal(ours, theirs) for ours, theirs in zip(some, alone, strict=True))
            for place in LEARNING:
                theirs = plain.state[alone[place]]["momentum_buffer"]
                assert torch.equal(muon.state[some[place]]["momentum_buffer"], theirs)


def test_all_have_like_much_to_do():
    shapes = [torch.Size(shape) for shape in [(64, 64)] * 6 + [(8, 8)] * 5]
    owners = dealt(shapes, 2)
    assert sorted(owners[:6]) == [0] * 3 + [1] * 3
    assert dealt(shapes, 1) == [0] * 11
    assert set(dealt(shapes[:2], 4)) == {0, 1}
