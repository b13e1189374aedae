"""A run that was stopped goes on from its newest whole state, and from none of another recipe."""

import signal
from dataclasses import replace

import pytest
import torch
from short_runs import trained_by

from blip3o.errors import CheckpointError
from blip3o.train import steps as stage_steps
from blip3o.train import trainer as loop
from blip3o.train.trainer import Trainer
from blip3o.weights import checkpoint


def resumed(begin, recipe, trainer):
    """What weights the run in the folder of another trainer ends with, which steps it takes, and what it says."""
    told, steps = [], []
    again = Trainer(recipe, trainer.folder, lambda seen: steps.append((seen.stage, seen.step)), tell=told.append)
    return trained_by(again), [step for stage, step in steps if stage == "tower"], told


@pytest.fixture
def stopped(short, begin, monkeypatch):
    """A run of three steps that was told to stop after the second, its recipe, and how it would have ended."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    recipe = short(steps=3, save_every=1)
    whole = trained_by(begin(recipe))

    def stop(progress):
        if (progress.stage, progress.step) == ("tower", 2):
            signal.raise_signal(signal.SIGINT)

    trainer = begin(recipe, observe=stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    return trainer, recipe, whole


def test_a_run_whose_newest_state_is_damaged_says_so_and_ends_as_if_nothing_had_happened(begin, stopped):
    trainer, recipe, whole = stopped
    newest = trainer.states.newest("tower") / stage_steps.STATE
    newest.write_bytes(newest.read_bytes()[:-1])
    weights, steps, told = resumed(begin, recipe, trainer)
    assert [line.partition(" is damaged (state.safetensors has ")[0] for line in told] == [str(newest.parent)]
    assert steps == [2, 3]
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole.items())
    assert f'"text": "{told[0]}"' in (trainer.folder / "log.jsonl").read_text()


def test_a_run_of_before_goes_on_from_its_only_state(begin, stopped):
    trainer, recipe, whole = stopped
    tensors, about = checkpoint.read_tensors(trainer.states.newest("tower") / stage_steps.STATE)
    trainer.states.drop("tower")
    of_before = {key: value for key, value in about.items() if key != "samples"}
    checkpoint.write_tensors(trainer.folder / "state.safetensors", tensors, of_before)
    weights, steps, _ = resumed(begin, recipe, trainer)
    assert steps == [3]
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole.items())
    assert not (trainer.folder / "state.safetensors").exists()


@pytest.mark.parametrize(
    ("field", "told"), [("batch_size", "its batch_size is 4, not 5"), ("seed", "its seed is 0, not 5")]
)
def test_a_state_of_other_samples_is_refused(begin, stopped, field, told):
    trainer, recipe, _ = stopped
    of_run = {"seed": 5} if field == "seed" else {"stages": (replace(recipe.stages[0], batch_size=5),)}
    with pytest.raises(CheckpointError, match=rf"was written by another recipe \({told}\): train into another folder"):
        begin(replace(recipe, **of_run), trainer.folder).run()


@pytest.mark.parametrize(("minutes", "saved"), [(1, [2, 4]), (100, [4])])
def test_a_state_is_saved_when_its_time_has_come_and_at_the_end(short, begin, monkeypatch, minutes, saved):
    seen, save, now = [], stage_steps.StageSteps.save, [0.0]

    def noted(steps):
        save(steps)
        seen.append(steps.done)

    def step_of_40_s(progress):
        now[0] += 40

    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(stage_steps.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(stage_steps.StageSteps, "save", noted)
    recipe = replace(short(steps=4), save_every_minutes=float(minutes))
    begin(recipe, observe=lambda progress: step_of_40_s(progress) if progress.stage == "tower" else None).run()
    assert seen == saved
