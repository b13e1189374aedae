"""Every objective can be learned, and each step's randomness has an address of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blip3o.prompt.template import Encoded
from blip3o.train.objectives import BATCH_COST, OBJECTIVES, address, alike, encode_book, seeded, shared
from blip3o.train.optim import trained
from blip3o.weights.machine import Machine


@pytest.fixture
def fresh(tiny, words):
    """A new machine, the same every time."""
    torch.manual_seed(0)
    return Machine(tiny.model, words)


STAGES = ("encoder", "decoder", "tower", "understanding", "generation", "instruction")


def named(tiny, name):
    return next(stage for stage in tiny.stages if stage.name == name)


@pytest.fixture
def pages(book):
    """A book whose features the test may replace."""
    kept = book.features
    yield book
    book.features = kept


@pytest.mark.parametrize("name", STAGES)
def test_the_loss_of_a_step_falls_when_it_is_repeated(tiny, fresh, pages, name):
    stage = named(tiny, name)
    objective = OBJECTIVES[stage.objective](stage, fresh, pages)
    parameters = trained(fresh, objective, stage.trains)
    optimizer = torch.optim.Adam(parameters.values(), lr=5e-3)
    seen = []
    for _ in range(12):
        losses = objective.losses("one/step")
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        seen.append({key: loss.item() for key, loss in losses.items()})
    assert seen[-1]["total"] < 0.95 * seen[0]["total"]
    assert all(np.isfinite(list(losses.values())).all() for losses in seen)


@pytest.mark.parametrize("name", STAGES)
def test_a_step_is_determined_by_its_address(tiny, fresh, pages, name):
    stage = named(tiny, name)
    torch.manual_seed(0)
    objective = OBJECTIVES[stage.objective](stage, fresh, pages)
    with torch.no_grad():
        first, again, other = (objective.losses(place)["total"] for place in ("a/0", "a/0", "a/1"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_two_steps_ranks_stages_or_runs_share_an_address(tiny):
    places = [
        address(seed, stage, rank, step)
        for seed in range(3)
        for stage in tiny.stages
        for rank in range(3)
        for step in range(20)
    ]
    assert len(set(places)) == len(places)
    draws = [torch.rand(1, generator=seeded(place)).item() for place in places[:100]]
    assert len(set(draws)) == len(draws)


def test_an_address_counts_samples_not_steps(tiny):
    stage = named(tiny, "instruction")
    doubled = replace(stage, batch_size=2 * stage.batch_size, text_batch_size=2 * stage.text_batch_size)
    assert address(0, stage, 0, 6) == address(0, doubled, 0, 3)


def test_the_finished_space_gives_its_pictures_unit_features(tiny, fresh, pages):
    stage = named(tiny, "encoder")
    OBJECTIVES["space"](stage, fresh, pages).finish()
    features = encode_book(fresh, pages).astype(np.float32)
    sizes = tiny.model.space.encoder
    assert features.shape == (len(pages), sizes.channels, sizes.side, sizes.side)
    np.testing.assert_allclose(features.mean((0, 2, 3)), 0, atol=0.01)
    np.testing.assert_allclose(features.std((0, 2, 3)), 1, atol=0.02)


def test_finishing_the_space_twice_is_finishing_it_once(tiny, fresh, pages):
    objective = OBJECTIVES["space"](named(tiny, "encoder"), fresh, pages)
    objective.finish()
    once = fresh.space.mean.clone(), fresh.space.deviation.clone()
    objective.finish()
    torch.testing.assert_close((fresh.space.mean, fresh.space.deviation), once)


def lengths_of(batches):
    return [[len(item.tokens) for item in batch] for batch in batches]


def conversations(lengths):
    return [Encoded(tokens=[0] * n, labels=[0] * n, pictures=[], target=None, has_slot=False) for n in lengths]


def cost(batches):
    return sum(len(batch) * max(batch) + BATCH_COST for batch in batches)


@pytest.mark.parametrize("lengths", [(30,), (30, 30, 200), (200, 24, 210, 31), tuple(range(20, 220, 3)), (40,) * 50])
def test_batches_of_like_length_hold_every_conversation_once_and_cost_least(lengths):
    batches = lengths_of(alike(conversations(lengths)))
    ordered = sorted(lengths)
    assert [length for batch in batches for length in batch] == ordered
    two_batches = [cost([ordered[:cut], ordered[cut:]]) for cut in range(1, len(ordered))]
    assert cost(batches) <= min([cost([ordered]), *two_batches])


def test_short_and_long_conversations_part_where_padding_costs_more_than_a_batch():
    few = BATCH_COST // 100
    assert len(lengths_of(alike(conversations([10, *[110] * few])))) == 1
    apart = [[10] * (few + 1), [110] * (few + 1)]
    assert lengths_of(alike(conversations([*apart[1], *apart[0]]))) == apart


def test_a_batch_counts_by_its_rows_and_one_without_the_loss_does_not():
    losses = [(3, torch.tensor(1.0)), (5, None), (1, torch.tensor(5.0))]
    assert shared(losses).item() == 2.0
