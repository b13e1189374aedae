"""Noise belongs to its seed, whatever the batch."""

import torch

from blip3o.flow.noise import draw_noise, draw_uniform, generators


def test_the_noise_of_a_seed_is_the_same_in_any_batch():
    among = draw_noise((3, 4), generators([5, 7, 11]))
    assert torch.equal(among[1:2], draw_noise((3, 4), generators([7])))
    assert torch.equal(among[[2, 0]], draw_noise((3, 4), generators([11, 5])))


def test_different_seeds_draw_different_noise_of_unit_size():
    noise = draw_noise((50, 50), generators([0, 1]))
    assert not torch.equal(noise[0], noise[1])
    assert (noise.std(dim=(1, 2)) - 1).abs().max() < 0.05


def test_a_uniform_number_belongs_to_its_seed_and_fills_the_interval():
    numbers = draw_uniform(generators(range(1000)))
    assert torch.equal(numbers[[5, 2]], draw_uniform(generators([5, 2])))
    assert 0 <= numbers.min() < 0.05
    assert 0.95 < numbers.max() < 1


def test_a_generator_goes_on_where_it_stopped():
    rngs = generators([0])
    assert not torch.equal(draw_noise((4,), rngs), draw_noise((4,), rngs))
