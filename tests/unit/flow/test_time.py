"""Times stay in [0, 1], and the shift moves them towards noise."""

import numpy as np
import pytest
import torch

from blip3o.flow.noise import generators
from blip3o.flow.time import cut, dimension_shift, draw_times, shifted, solver_times

TIMES = torch.linspace(0, 1, 11)


@pytest.mark.parametrize("shift", [1.0, 2.0, 7.5])
def test_a_shift_keeps_the_ends_and_the_order(shift):
    moved = shifted(TIMES, shift)
    assert (moved[0], moved[-1]) == (0, 1)
    assert (moved.diff() > 0).all()


def test_a_shift_of_one_changes_nothing_and_a_larger_one_moves_towards_noise():
    torch.testing.assert_close(shifted(TIMES, 1.0), TIMES)
    assert (shifted(TIMES, 3.0)[1:-1] < TIMES[1:-1]).all()


def test_shifts_after_one_another_multiply():
    torch.testing.assert_close(shifted(shifted(TIMES, 2.0), 3.0), shifted(TIMES, 6.0))


def test_training_times_fill_the_interval_and_belong_to_their_generators():
    times = draw_times(1.0, generators(range(1000)))
    assert times.min() >= 0
    assert times.max() < 1
    assert times.histc(4, 0, 1).min() > 200
    assert torch.equal(times[[7, 3]], draw_times(1.0, generators([7, 3])))


def test_training_and_solver_times_are_shifted_alike():
    drawn = draw_times(3.0, generators([0]) * 20_000).sort().values
    torch.testing.assert_close(drawn[10_000], solver_times(2, 3.0)[1].float(), atol=0.01, rtol=0)


def test_a_solver_of_n_steps_visits_n_plus_one_times_from_noise_to_data():
    times = solver_times(5, 2.0)
    assert len(times) == 6
    assert (times[0], times[-1]) == (0, 1)


@pytest.mark.parametrize("steps", [0, -3])
def test_a_solver_without_steps_is_refused_with_the_number(steps):
    with pytest.raises(ValueError, match=str(steps)):
        solver_times(steps)


def test_times_are_cut_as_the_published_sampler_cuts_its_timesteps():
    sigmas = np.linspace(1.0, 1 / 30, 30).astype(np.float32)  # diffusers' FlowMatchEulerDiscreteScheduler, shift 1
    timesteps = (torch.from_numpy(sigmas) * 1000).long()
    told = cut(solver_times(30), 1000)[:-1]
    assert torch.equal(1000 - (told * 1000).round().long(), timesteps)
    assert cut(torch.tensor([0.2345678, 1.0], dtype=torch.float64), 10).tolist() == pytest.approx([0.3, 1.0])


@pytest.mark.parametrize(("dimension", "shift"), [(64 * 1792, 28**0.5), (4096, 1.0), (1152, 1.0)])
def test_the_shift_of_a_picture_is_the_root_of_its_size(dimension, shift):
    assert dimension_shift(dimension) == pytest.approx(shift)


def test_times_move_as_in_the_source_whose_time_is_one_of_noise():
    time, shift = torch.linspace(0, 1, 11), dimension_shift(64 * 1792)
    noise = 1 - time
    torch.testing.assert_close(1 - shifted(time, shift), shift * noise / (1 + (shift - 1) * noise))
