"""How a flow head is sampled: at which times its denoiser is asked, and by which solver."""

from functools import partial

import pytest
import torch
from sampled import sample

from blip3o.flow.noise import generators
from blip3o.flow.time import cut, solver_times
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.heads.flow import FlowHead, FlowHeadConfig
from blip3o.model.heads.head import Sampling

SIZES = NextDiTConfig(channels=6, side=2, condition_width=12, width=16, depth=1, num_heads=2, mlp_multiple=16)


@pytest.fixture
def drawn(awake):
    """Draws, and gives what was drawn and the times that the denoiser was asked at."""

    def draw(sampling, **changes):
        config = FlowHeadConfig(slot_length=4, width=12, channels=6, side=2, **changes)
        head, times = awake(FlowHead(config, partial(NextDiT, SIZES)), std=0.4), []
        head.denoiser.register_forward_pre_hook(lambda module, given: times.append(given[1][0].item()))
        with torch.no_grad():
            return sample(head, lambda slot: slot, None, generators([0]), sampling), times

    return draw


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_denoiser_is_asked_at_the_shifted_times(drawn, shift):
    assert drawn(Sampling(steps=4), shift=shift)[1] == pytest.approx(solver_times(4, shift)[:-1].tolist())


def test_the_denoiser_is_told_as_many_times_as_it_can_tell_apart(drawn):
    assert drawn(Sampling(steps=3), time_parts=10)[1] == pytest.approx(cut(solver_times(3), 10)[:-1].tolist())


@pytest.mark.parametrize(("solver", "calls"), [("euler", 4), ("heun", 8), ("multistep", 4)])
def test_the_solver_is_the_one_asked_for(drawn, solver, calls):
    made, times = drawn(Sampling(steps=4, solver=solver))
    assert len(times) == calls
    for other in {"euler", "heun", "multistep"} - {solver}:
        assert (made - drawn(Sampling(steps=4, solver=other))[0]).abs().max() > 1e-3
