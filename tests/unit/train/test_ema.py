"""The average of the weights that is kept."""

import torch
from torch import nn

from blip3o.train.ema import Average


def test_the_average_moves_towards_the_parameters_and_keeps_what_does_not_change():
    parameters = {"moves": nn.Parameter(torch.zeros(2)), "stays": nn.Parameter(torch.ones(2))}
    average = Average(parameters, 0.9)
    with torch.no_grad():
        parameters["moves"].fill_(1.0)
    average.update(parameters, 1000)
    torch.testing.assert_close(average.tensors["moves"], torch.full((2,), 0.1))
    assert torch.equal(average.tensors["stays"], torch.ones(2))
    for step in range(200):
        average.update(parameters, step)
    torch.testing.assert_close(average.tensors["moves"], torch.ones(2))


def test_early_steps_are_soon_forgotten():
    parameter = {"p": nn.Parameter(torch.zeros(1))}
    early, late = Average(parameter, 0.999), Average(parameter, 0.999)
    with torch.no_grad():
        parameter["p"].fill_(1.0)
    early.update(parameter, 0)
    late.update(parameter, 100_000)
    assert early.tensors["p"] > 0.5
    assert late.tensors["p"] < 0.01


def test_two_swaps_change_nothing_and_one_exchanges():
    parameter = {"p": nn.Parameter(torch.zeros(1))}
    average = Average(parameter, 0.9)
    with torch.no_grad():
        parameter["p"].fill_(1.0)
    average.swap(parameter)
    assert (parameter["p"].item(), average.tensors["p"].item()) == (0.0, 1.0)
    average.swap(parameter)
    assert (parameter["p"].item(), average.tensors["p"].item()) == (1.0, 0.0)
