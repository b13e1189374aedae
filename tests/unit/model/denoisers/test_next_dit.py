"""The Next-DiT: its published size, its conventions, and what may and may not change its velocity."""

import math
from dataclasses import replace

import pytest
import torch

from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig

BATCH, SLOT = 3, 5
PUBLISHED = NextDiTConfig(channels=1792, side=8, condition_width=3584, width=1792, depth=24, num_heads=28)
SIZES = NextDiTConfig(
    channels=6, side=4, condition_width=12, width=16, depth=2, num_heads=2, mlp_multiple=16, with_reference=True
)


@pytest.fixture(scope="module")
def network(awake):
    return awake(NextDiT(SIZES))


@pytest.fixture
def inputs():
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 6, 4, 4, generator=rng)
    return x, torch.tensor([0.1, 0.5, 0.9]), torch.randn(BATCH, SLOT, 12, generator=rng)


@pytest.fixture
def silenced(network):
    """Sets one parameter of every block to zero for the length of a test."""
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def silence(name):
        for block in network.layers:
            torch.nn.init.zeros_(block.get_parameter(name))

    yield silence
    network.load_state_dict(kept)


@pytest.mark.parametrize(("condition_width", "parameters"), [(3584, 1_365_010_336), (2048, 1_362_257_824)])
def test_the_published_sizes_have_exactly_the_published_parameters(condition_width, parameters):
    with torch.device("meta"):
        network = NextDiT(replace(PUBLISHED, condition_width=condition_width))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_a_width_that_does_not_split_into_the_heads_is_refused_with_the_next_choice():
    with pytest.raises(ValueError, match="multiple of 12"):
        replace(SIZES, width=20, num_heads=3)


def test_a_new_network_stands_still(inputs):
    x, time, thought = inputs
    network = NextDiT(SIZES)
    assert torch.equal(network(x, time, network.condition(thought)), torch.zeros_like(x))


def test_the_velocity_leads_to_the_data_where_the_published_network_leads_to_the_noise(network, inputs):
    x, time, thought = inputs
    published = []
    hook = network.final.register_forward_hook(lambda module, args, out: published.append(out))
    moved = network(x, time, network.condition(thought))
    hook.remove()
    torch.testing.assert_close(moved.flatten(2).mT, -published[0])


def test_the_time_of_data_is_the_published_sigma_zero(network):
    waves = []
    hook = network.time_embedding.linear_1.register_forward_pre_hook(lambda module, args: waves.append(args[0]))
    network.time_embedding(torch.tensor([1.0, 0.0]))
    hook.remove()
    assert torch.equal(waves[0][0], torch.cat([torch.ones(128), torch.zeros(128)]))
    torch.testing.assert_close(waves[0][1, [0, 128]], torch.tensor([math.cos(1000), math.sin(1000)]))


def test_every_row_is_moved_as_if_it_were_alone(network, inputs):
    x, time, thought = inputs
    together = network(x, time, network.condition(thought), x.flip(0), torch.tensor([True, False, True]))
    for row in range(BATCH):
        one = slice(row, row + 1)
        alone = network(x[one], time[one], network.condition(thought[one]), x.flip(0)[one], torch.tensor([row != 1]))
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-4)


def test_a_repeated_condition_is_the_condition_of_the_repeated_thought(network, inputs):
    x, time, thought = inputs
    moved = [
        network(x.repeat(2, 1, 1, 1), time.repeat(2), condition)
        for condition in (network.condition(thought).repeat(2), network.condition(thought.repeat(2, 1, 1)))
    ]
    torch.testing.assert_close(*moved, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moved[0][:BATCH], moved[0][BATCH:], rtol=1e-4, atol=1e-4)


def test_the_thought_and_the_time_are_listened_to(network, inputs):
    x, time, thought = inputs
    moved = network(x, time, network.condition(thought))
    assert (moved - network(x, time, network.condition(thought.flip(0)))).abs().max() > 0.01
    assert (moved - network(x, time.flip(0), network.condition(thought))).abs().max() > 0.01


def test_the_order_of_the_thoughts_positions_does_not_matter(network, inputs):
    x, time, thought = inputs
    moved = network(x, time, network.condition(thought))
    torch.testing.assert_close(moved, network(x, time, network.condition(thought.flip(1))), rtol=1e-4, atol=1e-4)


def test_with_closed_gates_only_the_mean_of_the_thought_is_heard(network, inputs, silenced):
    x, time, thought = inputs
    silenced("gate")
    mean = network.condition(thought)
    other = network.condition(thought.flip(0))
    other = replace(other, pooled=mean.pooled)
    torch.testing.assert_close(network(x, time, mean), network(x, time, other))


@torch.no_grad()
def test_with_open_gates_more_than_the_mean_of_the_thought_is_heard(network, inputs):
    x, time, thought = inputs
    mean = network.condition(thought)
    other = replace(network.condition(thought.flip(0)), pooled=mean.pooled)
    assert (network(x, time, mean) - network(x, time, other)).abs().max() > 1e-3


def test_without_modulation_a_block_passes_on_what_it_got(network, inputs, silenced):
    x, time, thought = inputs
    silenced("modulation.weight")
    silenced("modulation.bias")
    moved = network(x, time, network.condition(thought))
    shifted = network(x.roll(1, -1), time, network.condition(thought))
    torch.testing.assert_close(moved.roll(1, -1), shifted)


def test_where_a_picture_stands_matters(network, inputs):
    x, time, thought = inputs
    condition = network.condition(thought)
    assert (network(x, time, condition).roll(1, -1) - network(x.roll(1, -1), time, condition)).abs().max() > 0.01


def test_a_reference_that_a_row_does_not_refer_to_is_no_reference(network, inputs):
    x, time, thought = inputs
    condition = network.condition(thought)
    alone = network(x, time, condition)
    assert torch.equal(network(x, time, condition, x.flip(0), torch.zeros(BATCH, dtype=torch.bool)), alone)
    referred = network(x, time, condition, x.flip(0), torch.tensor([True, False, False]))
    assert torch.equal(referred[1:], alone[1:])
    assert (referred[0] - alone[0]).abs().max() > 0.01


def test_a_network_without_references_has_no_parameters_for_them():
    names = NextDiT(replace(SIZES, with_reference=False)).state_dict().keys()
    extra = NextDiT(SIZES).state_dict().keys() - names
    assert extra == {"reference_embedder.weight", "reference_embedder.bias"}
