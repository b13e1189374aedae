"""A run whose losses or gradients are no numbers ends before anything of it is kept."""

from dataclasses import replace

import pytest
import torch

from blip3o.errors import TrainingError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.finite import FiniteCheck
from blip3o.train.optim import trained
from blip3o.train.states import States
from blip3o.train.steps import STATE, StageSteps


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("step", [1, 3])
def test_one_step_of_many_is_found_and_the_steps_are_named(value, step):
    check = FiniteCheck("tower", 0.5)
    for number in range(1, 4):
        check.add(torch.tensor(1.0), torch.tensor(value if number == step else 1.0))
    with pytest.raises(TrainingError, match=r"of stage tower was not finite in steps 1 to 3: .* \(0.5\)"):
        check.require(3)


def test_steps_that_were_finite_are_not_named_again():
    check = FiniteCheck("tower", 0.5)
    check.require(0)
    check.add(torch.tensor(1.0))
    check.require(1)
    check.add(torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match="was not finite in step 2:"):
        check.require(2)


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_no_state_is_written_that_is_not_finite(tiny, words, book, objective_of, tmp_path, part):
    stage = replace(next(stage for stage in tiny.stages if stage.name == "generation"), batch_size=2)
    pipeline = Pipeline(tiny.model, words)
    objective = objective_of(stage, pipeline, book)
    parameters = trained(pipeline, objective, stage.trains)
    steps = StageSteps(tiny, stage, objective, parameters, States(tmp_path, 1, print))
    steps.step()
    steps.save()
    (path,) = tmp_path.rglob(STATE)
    kept = path.read_bytes()
    for parameter in parameters.values():
        if part == "loss":
            parameter.data.fill_(float("nan"))
        else:
            parameter.register_hook(lambda gradient: gradient * float("inf"))
    steps.step()
    with pytest.raises(TrainingError, match="was not finite in step 2"):
        steps.save()
    assert path.read_bytes() == kept
