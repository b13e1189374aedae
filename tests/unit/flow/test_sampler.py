"""Every solver follows a known field with the accuracy that its name promises."""

import pytest
import torch

from blip3o.flow.path import broadcast_time, velocity
from blip3o.flow.sampler import SOLVERS, solve, start
from blip3o.flow.time import solver_times
from blip3o.model.layers.sampling import SOLVER_NAMES

# solver -> its order: halving the steps divides the error by 2 ** order
ORDERS = {"euler": 1, "heun": 2, "multistep": 2}
START = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)


def pull(x, time):
    """dx/dt = 2 t - x, whose solution from x0 is 2 t - 2 + (x0 + 2) exp(-t)."""
    return 2 * broadcast_time(time, x) - x


def error(solver, steps):
    exact = (START + 2) * torch.exp(torch.tensor(-1.0, dtype=torch.float64))
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return (solve(pull, START, times, solver) - exact).abs().max().item()


def test_the_order_of_every_solver_is_stated_here():
    assert ORDERS.keys() == SOLVERS.keys()


@pytest.mark.parametrize("solver", SOLVERS)
def test_twice_the_steps_divide_the_error_by_two_to_the_order(solver):
    assert error(solver, 32) / error(solver, 64) == pytest.approx(2 ** ORDERS[solver], rel=0.05)


def test_after_its_first_step_multistep_follows_a_steady_pull_exactly_however_long_its_steps_are():
    times = torch.tensor([0.0, 0.1, 0.4, 0.5, 1.0], dtype=torch.float64)
    end = solve(lambda x, time: 2 * broadcast_time(time, x).expand_as(x), START, times, "multistep")
    torch.testing.assert_close(end, START + 1 - 0.1**2)  # Euler's first step falls short by its square


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_velocity_of_a_straight_path_leads_to_its_data_in_any_number_of_steps(solver, shift):
    data, noise = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for steps in (1, 3):
        end = solve(lambda x, time: velocity(data, noise), noise, solver_times(steps, shift), solver)
        torch.testing.assert_close(end, data)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_field_is_asked_with_one_time_for_each_row(solver):
    def field(x, time):
        assert time.shape == (len(x),)
        assert (time == time[0]).all()
        return x

    solve(field, START, solver_times(2), solver)


def test_every_solver_can_be_asked_for_by_its_name():
    assert tuple(SOLVERS) == SOLVER_NAMES


def wave(x, time, now):
    """A pull that bends, with the times checked against the numbers."""
    torch.testing.assert_close(time, torch.tensor(now, dtype=time.dtype))
    return torch.sin(3 * x + broadcast_time(time, x))


def to_its_end(step, state):
    while any(state.remaining):
        state = step(state, wave)
    return state.x


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_row_that_joins_late_or_leaves_goes_where_it_goes_alone(solver):
    step, noise = SOLVERS[solver], torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    first, second, third = (
        start(x[None], [solver_times(steps, 2.0)]) for x, steps in zip(noise, (3, 7, 5), strict=True)
    )
    alone = [to_its_end(step, state) for state in (first, second, third)]
    state = step(step(first.join(second), wave), wave).join(third)
    assert state.remaining == [1, 5, 5]
    without_second = step(state, wave).select([0, 2])
    assert torch.equal(to_its_end(step, without_second), torch.cat([alone[0], alone[2]]))
    assert torch.equal(to_its_end(step, state), torch.cat(alone))


def test_an_estimate_is_the_data_where_the_path_is_straight():
    data, noise = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    state = start(noise, [solver_times(4)] * 3)
    state = SOLVERS["euler"](state, lambda x, time, now: velocity(data, noise))
    torch.testing.assert_close(state.estimate(), data)
    assert (state.x - data).abs().max() > 0.1


def test_a_field_hears_the_times_it_is_told_and_the_solver_keeps_its_own():
    times, heard = solver_times(2), torch.tensor([0.25, 0.75, 1.0])
    state, told = start(START, [times] * 2, [heard] * 2), []
    while any(state.remaining):
        state = SOLVERS["euler"](state, lambda x, time, now: (told.append((time.tolist(), now)), x)[1])
    assert told == [([0.25] * 2, [0.25] * 2), ([0.75] * 2, [0.75] * 2)]
    torch.testing.assert_close(state.x, START * 1.5**2)
