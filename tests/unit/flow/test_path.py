"""The path leads from noise to data, straight."""

import torch

from blip3o.flow.path import point, velocity

RNG = torch.Generator().manual_seed(0)
DATA, NOISE = torch.randn(2, 3, 4, 5, 5, generator=RNG, dtype=torch.float64)


def test_the_path_begins_at_the_noise_and_ends_at_the_data():
    assert torch.equal(point(DATA, NOISE, torch.zeros(3)), NOISE)
    assert torch.equal(point(DATA, NOISE, torch.ones(3)), DATA)


def test_each_row_stands_at_its_own_time():
    mixed = point(DATA, NOISE, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(mixed[0], NOISE[0])
    assert torch.equal(mixed[2], DATA[2])
    torch.testing.assert_close(mixed[1], (DATA[1] + NOISE[1]) / 2)


def test_the_velocity_is_the_derivative_of_the_path_at_every_time():
    for time in torch.tensor([0.0, 0.3, 0.9], dtype=torch.float64):
        here, later = (point(DATA, NOISE, t.expand(3)) for t in (time, time + 1e-4))
        torch.testing.assert_close((later - here) / 1e-4, velocity(DATA, NOISE), rtol=1e-6, atol=1e-6)
