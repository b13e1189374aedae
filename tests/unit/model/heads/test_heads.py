"""What every head keeps of the slot's protocol, and what tells them apart."""

import re
from dataclasses import fields, replace
from functools import partial

import pytest
import torch
from sampled import Followed, sample

from blip3o.errors import ConfigError
from blip3o.flow.noise import generators
from blip3o.flow.time import shifted
from blip3o.model.denoisers import next_dit
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.heads import HEADS
from blip3o.model.heads.flow import FlowHead, FlowHeadConfig
from blip3o.model.heads.head import Reference
from blip3o.model.heads.regression import RegressionHeadConfig
from blip3o.model.heads.transfusion import TransfusionHeadConfig
from blip3o.model.layers.sampling import SOLVER_NAMES, Sampling

SIZES = NextDiTConfig(
    channels=6, side=2, condition_width=12, width=16, depth=1, num_heads=2, mlp_multiple=16, with_reference=True
)
SLOT = 4
CONFIGS = {"flow": FlowHeadConfig, "regression": RegressionHeadConfig, "transfusion": TransfusionHeadConfig}
SHAPE = (6, 2, 2)


def config(kind, **changes):
    """A small head's config, changed where its kind has such a field."""
    known = {field.name for field in fields(CONFIGS[kind])}
    values = {"slot_length": SLOT, "width": 12, "channels": 6, "side": 2, "dropout": 0.0, **changes}
    return CONFIGS[kind](**{name: value for name, value in values.items() if name in known})


@pytest.fixture
def head(awake):
    """Builds a head with random weights."""
    return lambda kind, **changes: awake(HEADS[kind](config(kind, **changes), partial(NextDiT, SIZES)), std=0.4)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def think(slot):
    """A backbone that nods."""
    return slot


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("draws", [1, 3])
def test_a_head_fills_its_slot_and_grades_every_row(head, kind, draws):
    network = head(kind, draws=draws)
    inputs = network.fill(draw(5, *SHAPE), None, generators(range(5)))
    assert inputs.slot.shape == (5, SLOT, 12)
    loss = network(inputs.slot, inputs)
    assert loss.weight == 5
    assert 0 < loss.mean() < torch.inf


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("draws", [1, 3])
@torch.no_grad()
def test_the_loss_of_a_batch_is_that_of_its_rows_one_by_one(head, kind, draws):
    network = head(kind, draws=draws, dropout=0.5, shift=2.0)
    data, hidden, features = draw(4, *SHAPE), draw(4, SLOT, 12, seed=1), draw(4, *SHAPE, seed=2)
    given = torch.tensor([True, False, True, False])

    def loss(*rows):
        at = list(rows)
        reference = Reference(features=features[at], present=given[at])
        return network(hidden[at], network.fill(data[at], reference, generators(rows)))

    whole, alone = loss(0, 1, 2, 3), [loss(row) for row in (3, 1, 2, 0)]
    assert len({part.sum.item() for part in alone}) == 4
    torch.testing.assert_close(whole.sum, torch.stack([part.sum for part in alone]).sum())
    torch.testing.assert_close(whole.weight, torch.stack([part.weight for part in alone]).sum())


@pytest.mark.parametrize("kind", HEADS)
@torch.no_grad()
def test_a_reference_is_heard_in_training_by_the_rows_that_have_one(head, kind):
    network = head(kind, draws=2)

    def loss(seed, given):
        reference = Reference(features=draw(1, *SHAPE, seed=seed), present=torch.tensor([given]))
        inputs = network.fill(draw(1, *SHAPE), reference, generators([0]))
        return network(draw(1, SLOT, 12, seed=1) + inputs.slot, inputs).mean()

    assert (loss(2, given=True) - loss(3, given=True)).abs() > 1e-3
    assert torch.equal(loss(2, given=False), loss(3, given=False))


def test_training_times_are_shifted_as_the_head_is_told(head):
    plain, moved = (
        head("flow", shift=shift, draws=2).fill(draw(3, *SHAPE), None, generators(range(3))) for shift in (1.0, 4.0)
    )
    assert len(plain.time.unique()) == 6
    torch.testing.assert_close(moved.time, shifted(plain.time, 4.0))
    assert torch.equal(moved.noise, plain.noise)


@torch.no_grad()
def test_a_head_may_shift_times_by_the_size_of_its_features(head):
    """Of 4 x 4096 numbers, whose shift is 2; and of few, whose times stay."""

    def made(shift, channels, side):
        config = FlowHeadConfig(slot_length=SLOT, width=12, channels=channels, side=side, shift=shift)
        sizes = NextDiTConfig(
            channels=channels, side=side, condition_width=12, width=16, depth=1, num_heads=2, mlp_multiple=16
        )
        torch.manual_seed(0)
        return FlowHead(config, lambda: NextDiT(sizes))

    def times(network):
        config = network.config
        data = torch.zeros(3, config.channels, config.side, config.side)
        visited = network.start(Followed(lambda slot: slot), None, generators([0]), [Sampling(steps=4)]).sampler.times
        return network.fill(data, None, generators(range(3))).time, visited

    auto, by_hand, plain = (times(made(shift, 4096, 2)) for shift in ("auto", 2.0, 1.0))
    torch.testing.assert_close(auto, by_hand)
    assert auto[0] is not None
    assert plain[0] is not None
    assert (auto[0] < plain[0]).all()
    torch.testing.assert_close(times(made("auto", *SHAPE[:2])), times(made(1.0, *SHAPE[:2])))


def test_as_many_thoughts_are_dropped_as_the_head_is_told(head):
    kept = head("flow", dropout=0.25).fill(draw(2000, *SHAPE), None, generators([0]) * 2000).keep
    assert 0.72 < kept.float().mean() < 0.78


@pytest.mark.parametrize("kind", HEADS)
def test_the_loss_teaches_every_part_that_is_used(head, kind):
    network = head(kind)
    reference = Reference(features=draw(5, *SHAPE, seed=1), present=torch.ones(5, dtype=torch.bool))
    inputs = network.fill(draw(5, *SHAPE), reference, generators(range(5)))
    network(think(inputs.slot), inputs).mean().backward()
    untaught = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert untaught == []


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_sample_depends_on_its_seed_not_on_its_batch_and_asks_the_backbone_no_more_than_it_must(head, kind, guidance):
    network = head(kind)
    calls = []

    def counted(slot):
        calls.append(slot)
        return slot

    with torch.no_grad():
        among = sample(network, counted, None, generators([3, 4, 5]), Sampling(steps=2, guidance=guidance))
        alone = sample(network, counted, None, generators([4]), Sampling(steps=2, guidance=guidance))
    assert among.shape == (3, *SHAPE)
    times = 1 if kind != "transfusion" else 2 if guidance == 1 else 4
    assert [len(slot) for slot in calls] == [3] * times + [1] * times
    torch.testing.assert_close(among[1:2], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", HEADS)
def test_a_reference_changes_only_the_rows_that_have_one(head, kind):
    network = head(kind)
    reference = Reference(features=draw(2, *SHAPE), present=torch.tensor([True, False]))
    with torch.no_grad():
        plain, referred = (
            sample(network, think, given, generators([0, 1]), Sampling(steps=2, guidance=2.0))
            for given in (None, reference)
        )
    torch.testing.assert_close(plain[1], referred[1])
    assert (plain[0] - referred[0]).abs().max() > 1e-3


@torch.no_grad()
def test_regression_gives_the_same_image_for_every_seed_and_a_flow_a_new_one(head):
    regressed, flowed = (
        sample(head(kind), think, None, generators([0, 1]), Sampling(steps=2, guidance=1.0))
        for kind in ("regression", "flow")
    )
    assert torch.equal(regressed[0], regressed[1])
    assert (flowed[0] - flowed[1]).abs().max() > 0.1


@torch.no_grad()
def test_guidance_one_is_no_guidance(head):
    network = head("flow")
    none, almost = (
        sample(network, think, None, generators([0]), Sampling(steps=2, guidance=guidance))
        for guidance in (1.0, 1.0 + 1e-7)
    )
    torch.testing.assert_close(none, almost, rtol=1e-4, atol=1e-4)
    strong = sample(network, think, None, generators([0]), Sampling(steps=2, guidance=3.0))
    assert (strong - none).abs().max() > 1e-3


@torch.no_grad()
def test_guidance_ends_where_its_interval_does(head):
    network = head("flow")

    def drawn(**given):
        return sample(network, think, None, generators([0, 1]), Sampling(steps=4, **given))

    plain, guided = drawn(), drawn(guidance=3.0)
    early, late = drawn(guidance=3.0, guided_until=0.4), drawn(guidance=3.0, guided_from=0.6)
    torch.testing.assert_close(
        drawn(guidance=3.0, guided_from=0.9), plain, rtol=1e-4, atol=1e-4
    )  # no step begins there
    assert torch.equal(drawn(guidance=3.0, guided_until=0.8), guided)  # the last begins at 0.75
    for one, other in ((early, plain), (late, plain), (early, guided), (late, guided), (early, late)):
        assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "steps is 0, expected a whole number from 1 to 1000"),
        ({"solver": "rk9"}, "solver is 'rk9': choose one of euler, heun, multistep"),
        ({"guided_from": 0.5, "guided_until": 0.5}, "guided_from is 0.5 and guided_until 0.5"),
        ({"guidance": -1.0}, "guidance is -1.0, expected a number from 0 to 100"),
    ],
)
def test_what_makes_no_sense_is_refused(given, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        Sampling(**{"steps": 2} | given)


@torch.no_grad()
def test_a_dropped_thought_is_not_heard_and_a_kept_one_is(head):
    for dropout, heard in ((1.0, False), (0.0, True)):
        network = head("flow", dropout=dropout)
        inputs = network.fill(draw(2, *SHAPE), None, generators([0, 1]))
        one, other = (network(draw(2, SLOT, 12, seed=seed), inputs).mean() for seed in (1, 2))
        assert torch.equal(one, other) != heard


@torch.no_grad()
def test_guidance_starts_from_what_a_dropped_thought_was_taught(head):
    network = head("flow")
    null = sample(network, lambda slot: torch.zeros_like(slot), None, generators([0]), Sampling(steps=1, guidance=1.0))
    unheard = sample(network, think, None, generators([0]), Sampling(steps=1, guidance=0.0))
    torch.testing.assert_close(null, unheard, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_guidance_can_start_from_a_faint_thought_instead(head):
    network = head("flow", null_scale=0.3)
    faint = sample(network, lambda slot: slot * 0.3, None, generators([0]), Sampling(steps=1, guidance=1.0))
    null = sample(network, think, None, generators([0]), Sampling(steps=1, guidance=0.0))
    torch.testing.assert_close(null, faint, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "change", [{"draws": 0}, {"shift": 0.0}, {"dropout": 1.5}, {"null_scale": 1.0}, {"null_scale": -0.1}]
)
def test_a_size_that_no_head_can_have_is_refused_by_name(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        config("flow", **change)


@torch.no_grad()
def test_more_draws_average_over_more_noise(head):
    network = head("flow", draws=3)
    data = draw(2, *SHAPE)
    inputs = network.fill(data, None, generators([0, 1]))
    hidden = draw(2, SLOT, 12, seed=1)
    parts = [
        network(hidden, replace(inputs, noise=noise, time=time)).mean()
        for noise, time in zip(inputs.noise.chunk(3), inputs.time.chunk(3), strict=True)
    ]
    torch.testing.assert_close(network(hidden, inputs).mean(), torch.stack(parts).mean(), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_regression_that_is_right_has_no_loss(head):
    network = head("regression")
    hidden = draw(2, SLOT, 12)
    inputs = network.fill(network.features(hidden, None), None, generators([0, 1]))
    assert network(hidden, inputs).sum < 1e-10


@pytest.mark.parametrize("kind", ["regression", "transfusion"])
def test_a_slot_that_a_head_cannot_fill_is_refused_with_the_right_length(head, kind):
    with pytest.raises(ConfigError, match="slot_length=4"):
        head(kind, slot_length=5)


class ToyBackbone(torch.nn.Module):
    """Mixes the positions of a slot, as the layers of a backbone do."""

    def __init__(self):
        super().__init__()
        size = SLOT * 12
        self.layers = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.LayerNorm(size), torch.nn.Linear(size, 96), torch.nn.GELU(), torch.nn.Linear(96, size)
            )
            for _ in range(3)
        )

    def forward(self, slot):
        hidden = slot.flatten(1)
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return hidden.view_as(slot)


@pytest.mark.slow
def test_of_two_modes_a_flow_lands_on_one_and_regression_answers_their_mean():
    mode, answers = torch.ones(SHAPE) * 2, {}
    for kind in HEADS:
        torch.manual_seed(0)
        network, backbone = HEADS[kind](config(kind), partial(NextDiT, SIZES)), ToyBackbone()
        optimizer = torch.optim.Adam([*network.parameters(), *backbone.parameters()], lr=1e-2)
        [random] = generators([0])
        for _ in range(150):
            sign = torch.randint(0, 2, (64, 1, 1, 1), generator=random) * 2 - 1
            inputs = network.fill(sign * mode, None, [random] * 64)
            optimizer.zero_grad()
            network(backbone(inputs.slot), inputs).mean().backward()
            optimizer.step()
        with torch.no_grad():
            answers[kind] = sample(network, backbone, None, generators(range(40)), Sampling(steps=10, guidance=1.0))
    norms = {kind: (answer.flatten(1).norm(dim=1) / mode.norm()) for kind, answer in answers.items()}
    assert norms["regression"].max() < 0.3
    for kind in ("flow", "transfusion"):
        assert ((norms[kind] - 1).abs() < 0.25).float().mean() > 0.9
        heads_up = (answers[kind].flatten(1).mean(1) > 0).float().mean()
        assert 0.2 < heads_up < 0.8


@pytest.mark.parametrize("solver", SOLVER_NAMES)
def test_within_the_loop_of_sampling_nothing_waits_and_nothing_is_made_on_the_host(head, monkeypatch, solver):
    """Each would have a GPU stand still at every step."""
    network, calls = head("flow"), {"angles": 0, "read": 0}

    def counted(what, call):
        def counting(*arguments, **options):
            calls[what] += 1
            return call(*arguments, **options)

        return counting

    monkeypatch.setattr(next_dit, "grid_angles", counted("angles", next_dit.grid_angles))
    for read in ("__float__", "item", "tolist", "__bool__"):
        monkeypatch.setattr(torch.Tensor, read, counted("read", getattr(torch.Tensor, read)))
    found = {}
    for steps in (2, 9):
        calls |= {"angles": 0, "read": 0}
        sampling = Sampling(steps=steps, guidance=2.0, guided_from=0.2, guided_until=0.7, solver=solver)
        sample(network, think, None, generators([0, 1]), sampling)
        found[steps] = dict(calls)
    assert found[2] == found[9]
    assert found[9]["angles"] == 1
