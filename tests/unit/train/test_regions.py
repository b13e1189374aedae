"""Layers that run anew for their gradient learn the same, and keep less. Compiled ones: tests/system."""

from dataclasses import replace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from blip3o.data.address import StepAddresses
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.optim import trained
from blip3o.train.regions import regions
from blip3o.train.steps import StageSteps

TRAINED = {"head": ("unified.head",), "all": ("unified",)}


@pytest.fixture
def gradients(tiny, words, book, objective_of, tmp_path, awake):
    """Gives the losses and gradients of a step, and the bytes that were kept for these."""
    stage = next(stage for stage in tiny.stages if stage.name == "instruction")

    def found(trains, **changes):
        changed = replace(stage, trains=TRAINED[trains], **changes)
        pipeline = awake(Pipeline(tiny.model, words))
        objective = objective_of(changed, pipeline, book)
        parameters = trained(pipeline, objective, changed.trains)
        steps = StageSteps(tiny, changed, objective, parameters, tmp_path / "state.safetensors")
        batches = objective.load(StepAddresses("run", 0, 4)).batches
        kept = {}

        def keep(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with steps.regions.active(), saved_tensors_hooks(keep, lambda tensor: tensor):
            losses = steps.backward(batches[:1])
        return losses, {name: value.grad for name, value in parameters.items() if value.grad is not None}, kept, steps

    return found


def assert_same(one, other, tolerance):
    torch.testing.assert_close(one[0], other[0], rtol=tolerance, atol=0)
    assert one[1].keys() == other[1].keys()
    for name, gradient in other[1].items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(one[1][name], gradient, rtol=tolerance, atol=tolerance * scale, msg=name)


def test_regions_are_the_layers_of_backbone_tower_and_denoiser(pipeline):
    found = regions(pipeline.unified, "layers", "blocks")
    assert len(found) == 6
    assert {type(layer).__name__ for layer in found} == {
        "Qwen2_5_VLDecoderLayer",
        "Qwen2_5_VLVisionBlock",
        "NextDiTBlock",
    }


@pytest.mark.parametrize("trains", TRAINED)
def test_layers_that_run_anew_keep_less_and_give_the_same_gradients(gradients, trains):
    plain, anew = gradients(trains), gradients(trains, checkpointing=True)
    assert_same(anew, plain, 1e-6)
    assert sum(anew[2].values()) < 0.7 * sum(plain[2].values())


def test_a_stage_leaves_layers_as_they_were(gradients):
    *_, steps = gradients("head", checkpointing=True)
    assert not any("forward" in vars(layer) for layer in regions(steps.objective.pipeline, "layers", "blocks"))
    with pytest.raises(KeyError), steps.regions.active():
        raise KeyError
    assert not any("forward" in vars(layer) for layer in regions(steps.objective.pipeline, "layers", "blocks"))
