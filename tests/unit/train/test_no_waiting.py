"""A step reads no value of a tensor on the host, for which it would have to wait for a GPU.

Losses and gradients are worked out on the meta device, where tensors have no values; updates by operations that read
none.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from blip3o.data.address import StepAddresses
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.optim import trained
from blip3o.train.parallel import ALONE
from blip3o.train.shared_step import share
from blip3o.train.states import States
from blip3o.train.steps import StageSteps

READERS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "unique_consecutive"}
"""The operations of torch that a device must have finished its work for."""


class NoReading(TorchDispatchMode):
    """Refuses to read values of tensors on a device."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().split("::")[1].split(".")[0]
        indices = args[1] if name.startswith("index") and isinstance(args[1], list | tuple) else ()
        masks = [one for one in indices if one is not None and one.dtype == torch.bool]
        tensors = [one for one in args if isinstance(one, torch.Tensor)]
        if (masks or name in READERS) and any(one.device.type == self.device for one in tensors):
            raise AssertionError(f"a step waits for its device in {name}")
        return function(*args, **(kwargs or {}))


@pytest.fixture
def steps_of(tiny, words, book, objective_of, tmp_path):
    """Gives the steps of a stage whose networks lie on a device."""

    def steps(kind, device):
        changes, others = KINDS[kind]
        stage = next(stage for stage in tiny.stages if stage.name == "instruction")
        stage = replace(stage, objective=replace(stage.objective, **changes), **others)
        pipeline = Pipeline(tiny.model, words).to(device)
        objective = objective_of(stage, pipeline, book)
        parameters = trained(pipeline, objective, stage.trains)
        return StageSteps(tiny, stage, objective, parameters, States(tmp_path, 1, print))

    return steps


def loaded(steps):
    addresses = StepAddresses("run", 0, steps.stage.batch_size)
    return share(ALONE, steps.objective, lambda: steps.objective.load(addresses))


KINDS = {
    "text": ({"draw": {}, "text": {"question": 1.0, "dialogue": 1.0}, "text_batch_size": 3}, {"batch_size": 0}),
    "draw": ({"draw": {"draw": 1.0}, "text": {}, "text_batch_size": 0}, {"trains": ("unified.head",)}),
    "draw_all": ({"draw": {"draw": 1.0}, "text": {}, "text_batch_size": 0}, {}),
    "edit": ({"draw": {"edit": 1.0, "riddle": 1.0}, "text": {}, "text_batch_size": 0}, {"trains": ("unified.head",)}),
    "online": ({"draw": {"edit": 1.0}, "text": {}, "text_batch_size": 0, "features": "online"}, {}),
    "edit_all": ({"draw": {"edit": 1.0, "dialogue": 1.0}, "text": {}, "text_batch_size": 0}, {}),
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "online"])
def test_losses_and_gradients_wait_for_nothing(steps_of, kind):
    steps = steps_of(kind, "meta")
    step = loaded(steps)
    with NoReading("meta"):
        losses = steps.backward(step)
    assert all(loss.is_meta for loss in losses.values())
    assert any(parameter.grad is not None for parameter in steps.parameters.values())


@pytest.mark.parametrize("kind", ["text", "draw"])
def test_an_update_waits_for_nothing(steps_of, kind):
    steps = steps_of(kind, "cpu")
    before = [parameter.clone() for parameter in steps.parameters.values()]
    for _ in range(2):
        losses = steps.backward(loaded(steps))
        with NoReading("cpu"):
            steps.update(losses)
    assert any(not torch.equal(*pair) for pair in zip(before, steps.parameters.values(), strict=True))
    assert steps.meter.count == 2


def test_features_that_are_made_in_the_step_wait_for_nothing(steps_of, book, monkeypatch):
    monkeypatch.setattr(book, "features", None)
    steps = steps_of("online", "meta")
    step = loaded(steps)
    assert step.batches[0][0].target is not None
    with NoReading("meta"):
        steps.backward(step)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_reads_a_value_is_found_out(device):
    values = torch.ones(3, device=device)
    for reads in (lambda: values.sum().item(), lambda: values[values > 0], lambda: bool(values.all())):
        with NoReading(device), pytest.raises((AssertionError, NotImplementedError, RuntimeError)):
            reads()
