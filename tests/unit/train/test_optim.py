"""What learns, and how fast."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from blip3o.errors import ConfigError
from blip3o.train.optim import Optimizer, learning_rate, linear_weights, trained
from blip3o.train.schedule import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    OptimizerConfig,
    WarmupStableDecayScheduleConfig,
)


@pytest.fixture
def network():
    return nn.ModuleDict({"head": nn.Linear(3, 2), "heading": nn.Linear(2, 2), "body": nn.Linear(2, 2)})


@pytest.fixture
def stage(tiny):
    return replace(tiny.stages[0], steps=1000, warmup=100, learning_rate=0.5)


def test_exactly_what_is_named_learns(network):
    chosen = trained(network, nn.Module(), ("head", "body.bias"))
    assert chosen.keys() == {"head.weight", "head.bias", "body.bias"}
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == chosen.keys()


def test_a_later_stage_takes_up_what_an_earlier_one_left(network):
    trained(network, nn.Module(), ("head",))
    trained(network, nn.Module(), ("body",))
    assert [name for name, p in network.named_parameters() if p.requires_grad] == ["body.weight", "body.bias"]


def test_parameters_of_the_objective_always_learn(network):
    assert trained(network, nn.Linear(1, 1), ("head",)).keys() >= {"objective.weight", "objective.bias"}


@pytest.mark.parametrize("prefixes", [("head", "hand"), ("bod",), ("body.weigh",)])
def test_a_name_that_trains_nothing_is_refused(network, prefixes):
    with pytest.raises(ConfigError, match=f"trains names {prefixes[-1]}, which is no part"):
        trained(network, nn.Module(), prefixes)


def test_matrices_decay_and_vectors_do_not(network, stage):
    groups = Optimizer(dict(network.named_parameters()), set(), stage).groups
    decays = {group["weight_decay"]: {parameter.ndim for parameter in group["params"]} for group in groups}
    assert decays == {stage.weight_decay: {2}, 0.0: {1}}


def test_weights_of_linear_layers_learn_by_muon_and_all_else_by_adamw(network, stage):
    network["words"] = nn.Embedding(5, 2)
    parameters = trained(network, nn.Linear(2, 2), ("body", "words"))
    optimizer = Optimizer(parameters, linear_weights(network, nn.Linear(2, 2)), stage)
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.1)
    remembered = {name: optimizer.state(parameter).keys() for name, parameter in parameters.items()}
    adam = {"step", "exp_avg", "exp_avg_sq"}
    muon = {"momentum_buffer"}
    assert remembered == {
        "body.weight": muon,
        "body.bias": adam,
        "words.weight": adam,
        "objective.weight": muon,
        "objective.bias": adam,
    }
    assert all(parameter.grad is None for parameter in parameters.values())


def test_an_optimizer_that_is_told_what_another_remembers_steps_like_it(stage):
    def steps(layer, optimizer, count):
        for _ in range(count):
            layer(torch.ones(1, 3)).square().sum().backward()
            optimizer.step(0.01)

    layer = nn.Linear(3, 2)
    parameters = dict(layer.named_parameters())
    first = Optimizer(parameters, {"weight"}, stage)
    steps(layer, first, 2)
    copy = deepcopy(layer)
    second = Optimizer(dict(copy.named_parameters()), {"weight"}, stage)
    for before, after in zip(layer.parameters(), copy.parameters(), strict=True):
        second.remember(after, {name: value.clone() for name, value in first.state(before).items()})
    steps(layer, first, 2)
    steps(copy, second, 2)
    torch.testing.assert_close(copy.state_dict(), layer.state_dict(), rtol=0, atol=0)


def test_the_learning_rate_rises_then_falls_to_a_fiftieth(stage):
    rates = [learning_rate(stage, step) for step in range(stage.steps + 1)]
    top = rates.index(max(rates))
    assert 90 <= top <= 110
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < rates[0] < 0.01
    assert rates[top] == pytest.approx(0.5, rel=0.05)
    assert rates[-1] == pytest.approx(0.5 / 50)


def test_all_learn_by_adamw_where_the_stage_says_so(network, stage):
    stage = replace(stage, optimizer=OptimizerConfig(kind="adamw", betas=(0.8, 0.9)))
    parameters = trained(network, nn.Module(), ("head", "body"))
    optimizer = Optimizer(parameters, linear_weights(network, nn.Module()), stage)
    copies = [parameter.detach().clone().requires_grad_() for parameter in parameters.values()]
    expected = torch.optim.AdamW(copies, lr=0.1, betas=(0.8, 0.9), weight_decay=0.0)
    for group in optimizer.groups:
        group["weight_decay"] = 0.0
    for step in range(3):
        for parameter, copy in zip(parameters.values(), copies, strict=True):
            parameter.grad = torch.full_like(parameter, step - 0.5)
            copy.grad = parameter.grad.clone()
        optimizer.step(0.1)
        expected.step()
    for parameter, copy in zip(parameters.values(), copies, strict=True):
        torch.testing.assert_close(parameter, copy)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_a_part_may_have_a_learning_rate_of_its_own(network, stage, kind):
    rates = {"head": stage.learning_rate / 5, "head.bias": stage.learning_rate / 10}
    stage = replace(stage, weight_decay=0.0, optimizer=OptimizerConfig(kind=kind, learning_rates=rates))
    parameters = trained(network, nn.Module(), ("head", "body"))
    nn.init.zeros_(network["head"].bias)
    optimizer = Optimizer(parameters, linear_weights(network, nn.Module()), stage)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.1)
    moved = {name: (parameter.detach() - before[name]).abs().max().item() for name, parameter in parameters.items()}
    assert moved["body.bias"] == pytest.approx(0.1, rel=1e-4)
    assert moved["head.bias"] == pytest.approx(0.01, rel=1e-4)
    taken = {id(value): group["lr"] for group in optimizer.groups for value in group["params"]}
    assert taken[id(parameters["head.weight"])] == pytest.approx(0.02)
    assert taken[id(parameters["body.weight"])] == pytest.approx(0.1)
    assert 0 < moved["head.weight"] < moved["body.weight"]


def test_a_learning_rate_of_what_does_not_learn_is_refused(network, stage):
    stage = replace(stage, optimizer=OptimizerConfig(learning_rates={"head": 1e-3, "hand": 1e-3}))
    with pytest.raises(ConfigError, match=r"learning_rates names hand, of which the stage trains nothing"):
        Optimizer(trained(network, nn.Module(), ("head",)), set(), stage)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: OptimizerConfig(betas=(0.9, 1.0)), "betas has 1.0"),
        (lambda: OptimizerConfig(learning_rates={"head": 0.0}), "learning_rates.head is 0.0"),
        (lambda: CosineScheduleConfig(floor=2.0), "floor is 2.0"),
        (lambda: WarmupStableDecayScheduleConfig(decay=0.0), "decay is 0.0"),
    ],
)
def test_what_cannot_be_is_refused(make, fault):
    with pytest.raises(ConfigError, match=fault):
        make()


def rates_of(stage, schedule):
    stage = replace(stage, schedule=schedule)
    return [learning_rate(stage, step) for step in range(stage.steps + 1)]


def test_a_constant_rate_stays_when_it_has_risen(stage):
    rates = rates_of(stage, ConstantScheduleConfig())
    assert rates[0] == pytest.approx(0.005)
    assert set(rates[99:]) == {0.5}


def test_a_rate_that_stays_and_then_decays_falls_in_a_line(stage):
    rates = rates_of(stage, WarmupStableDecayScheduleConfig(decay=0.25, floor=0.1))
    assert set(rates[99:751]) == {0.5}
    assert rates[875] == pytest.approx(0.5 * 0.55)
    assert rates[1000] == pytest.approx(0.05)


def test_the_published_schedule_can_be_written(stage):
    stage = replace(stage, steps=150_000, warmup=450, learning_rate=1e-4, schedule=CosineScheduleConfig(floor=0.1))
    assert learning_rate(stage, 449) == pytest.approx(1e-4, rel=1e-3)
    assert learning_rate(stage, 75_000) == pytest.approx(5.5e-5)
    assert learning_rate(stage, 150_000) == pytest.approx(1e-5)
