"""A whole run: what it trains, what it leaves alone, and that a run cut off at any step ends as the unbroken one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree

import pytest
import torch

from blip3o.config import load
from blip3o.errors import CheckpointError, ConfigError, TrainingError
from blip3o.picturebook.tasks import vocabulary
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.tokenizer import make
from blip3o.train import steps as stage_steps
from blip3o.train import trainer as loop
from blip3o.train.log import NO_LOSSES
from blip3o.train.recipe import Recipe
from blip3o.train.signals import answered
from blip3o.train.trainer import Trainer
from blip3o.weights import checkpoint

TINY = Path(__file__).parents[1] / "tiny.yaml"
RECIPE = load(Recipe, TINY)
NAMES = [stage.name for stage in RECIPE.stages]


class Killed(BaseException):
    """What a run is cut off by, without a chance to save anything."""


def silent(progress):
    """An observer that tells nobody."""


def cut_off(stage, step, by: type[BaseException] = Killed):
    """An observer that ends the run after a step."""

    def observe(progress):
        if (progress.stage, progress.step) == (stage, step):
            raise by

    return observe


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """However the tests were started: a shell's background jobs, and what they start, begin with it ignored."""
    with answered((signal.SIGINT,), signal.default_int_handler):
        yield


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an unbroken run."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 1)
        trainer = Trainer(RECIPE, folder, silent)
        trainer.run()
        trainer.publish()
    return folder


@pytest.fixture
def before(whole, tmp_path):
    """Gives a folder as it stands when a stage begins."""

    def copy(stage):
        folder = tmp_path / "run"
        copytree(whole, folder)
        for name in NAMES[NAMES.index(stage) :]:
            rmtree(folder / "stages" / name)
        (folder / "log.jsonl").unlink()
        return folder

    return copy


def weights(folder, stage):
    return checkpoint.read_tensors(folder / "stages" / stage / checkpoint.WEIGHTS)[0]


def losses(folder, stage):
    """The losses of a stage's steps as the journal tells them, the last telling of each step."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    told = [line for line in lines if line["event"] == "step" and line["stage"] == stage]
    return {line["step"]: {key: value for key, value in line.items() if key not in NO_LOSSES} for line in told}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("stage", NAMES)
def test_a_run_killed_in_a_stage_goes_on_bit_for_bit(whole, before, stage):
    folder = before(stage)
    with pytest.raises(Killed):
        Trainer(RECIPE, folder, cut_off(stage, 3)).run(stage)
    Trainer(RECIPE, folder, silent).run(stage)
    assert losses(folder, stage) == losses(whole, stage)
    assert same(weights(folder, stage), weights(whole, stage))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["encoder", "generation"])
def test_an_interrupted_run_loses_no_step(whole, before, stage):
    folder = before(stage)
    with pytest.raises(KeyboardInterrupt):
        Trainer(RECIPE, folder, cut_off(stage, 3, KeyboardInterrupt)).run(stage)
    assert list(losses(folder, stage)) in ([1, 2], [1, 2, 3])
    steps = []
    Trainer(RECIPE, folder, lambda progress: steps.append((progress.stage, progress.step))).run(stage)
    assert [step for name, step in steps if name == stage] == [4]
    assert same(weights(folder, stage), weights(whole, stage))


@pytest.mark.slow
def test_an_interrupt_at_the_worst_moment_spoils_nothing(whole, before, monkeypatch):
    folder, swap = before("decoder"), stage_steps.Average.swap

    def interrupted(average, parameters):
        swap(average, parameters)
        monkeypatch.setattr(stage_steps.Average, "swap", swap)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(stage_steps.Average, "swap", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Trainer(replace(RECIPE, score_every=2), folder, silent, lambda pipeline, samples: {}).run("decoder")
    Trainer(RECIPE, folder, silent).run("decoder")
    assert same(weights(folder, "decoder"), weights(whole, "decoder"))


@pytest.mark.slow
def test_a_state_of_another_recipe_is_refused(before):
    folder = before("generation")
    with pytest.raises(Killed):
        Trainer(RECIPE, folder, cut_off("generation", 3)).run("generation")
    stages = tuple(
        replace(stage, trains=("unified.backbone",)) for stage in RECIPE.stages if stage.name == "generation"
    )
    other = replace(RECIPE, stages=stages)
    with pytest.raises(CheckpointError, match=r"another recipe .*train into another folder"):
        Trainer(other, folder, silent).run("generation")


@pytest.mark.slow
def test_a_killed_process_leaves_a_run_that_goes_on(whole, tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from blip3o.config import load
from blip3o.train import trainer
from blip3o.train.recipe import Recipe
trainer.LOG_EVERY = 1
def observe(progress):
    if (progress.stage, progress.step) == ("encoder", 3):
        os.kill(os.getpid(), signal.SIGKILL)
trainer.Trainer(load(Recipe, {str(TINY)!r}), Path({str(tmp_path)!r}), observe).run()
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL
    Trainer(RECIPE, tmp_path, silent).run("encoder")
    assert losses(tmp_path, "encoder") == losses(whole, "encoder")
    assert same(weights(tmp_path, "encoder"), weights(whole, "encoder"))


@pytest.mark.slow
def test_a_stage_changes_what_it_trains_and_nothing_else(whole):
    torch.manual_seed(RECIPE.seed)
    before = Pipeline(RECIPE.model, make(vocabulary())).state_dict()
    for stage in RECIPE.stages:
        after = weights(whole, stage.name)
        changed = {name for name in after if not torch.equal(after[name], before[name])}
        measured = {"space.mean", "space.deviation"} if stage.name == "encoder" else set()
        strange = [n for n in changed - measured if not any(n.startswith(f"{part}.") for part in stage.trains)]
        assert strange == [], stage.name
        assert all(any(n.startswith(f"{part}.") for n in changed) for part in stage.trains), stage.name
        assert measured <= changed
        before = after


@pytest.mark.slow
def test_a_finished_run_trains_nothing_again(whole):
    told = []
    pipeline = Trainer(RECIPE, whole, lambda progress: told.append(progress.stage)).run()
    assert set(told) == {"preparing the samples"}
    assert same(pipeline.state_dict(), weights(whole, NAMES[-1]))


@pytest.mark.slow
def test_what_is_published_is_the_last_stage_in_bfloat16_with_where_it_comes_from(whole):
    pipeline, about = checkpoint.load(whole / "checkpoint")
    last = {name: tensor.bfloat16().float() for name, tensor in weights(whole, NAMES[-1]).items()}
    assert same(pipeline.state_dict(), last)
    assert about.keys() == {"commit", "version", "seed", "recipe"}
    assert about["recipe"] == "tiny"


@pytest.mark.slow
def test_another_seed_trains_another_model(whole, tmp_path):
    Trainer(replace(RECIPE, seed=1), tmp_path, silent).run("encoder")
    assert not same(weights(tmp_path, "encoder"), weights(whole, "encoder"))


@pytest.mark.slow
def test_scores_are_taken_of_the_average_and_leave_the_run_as_it_was(whole, before):
    folder = before("decoder")
    seen = []

    def score(pipeline, samples):
        seen.append((samples.name, pipeline.training, pipeline.space.decoder.state_dict()))
        return {"overall": 0.25}

    Trainer(replace(RECIPE, score_every=2), folder, silent, score).run("decoder")
    assert [(name, training) for name, training, _ in seen] == [("decoder-000002", False), ("decoder-000004", False)]
    assert same(weights(folder, "decoder"), weights(whole, "decoder"))
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["overall"] for line in events if line["event"] == "scores"] == [0.25, 0.25]


@pytest.mark.slow
def test_a_stage_is_not_trained_before_the_one_it_stands_on(before):
    with pytest.raises(CheckpointError, match="stage generation needs stage tower"):
        Trainer(RECIPE, before("tower"), silent).run("generation")


def test_an_unknown_stage_is_refused_with_the_names_there_are(tmp_path):
    with pytest.raises(ConfigError, match="no stage 'generatoin': choose one of encoder"):
        Trainer(RECIPE, tmp_path, silent).run("generatoin")


@pytest.mark.slow
def test_a_stage_of_another_model_is_refused(whole, tmp_path):
    copytree(whole / "stages" / "encoder", tmp_path / "stages" / "encoder")
    tensors, about = checkpoint.read_tensors(tmp_path / "stages" / "encoder" / checkpoint.WEIGHTS)
    tensors["stranger"] = tensors.pop("space.mean")
    checkpoint.write_tensors(tmp_path / "stages" / "encoder" / checkpoint.WEIGHTS, tensors, about)
    with pytest.raises(CheckpointError, match=r"missing: space\.mean \[8\]; unknown: stranger \[8\]"):
        Trainer(RECIPE, tmp_path, silent).run()


def test_a_loss_that_is_no_number_ends_the_run_with_its_stage_and_steps(tmp_path):
    stage = replace(RECIPE.stages[0], learning_rate=1e30, warmup=0, steps=40)
    with pytest.raises(TrainingError, match=r"gradient of stage \w+ was not finite in steps? \d[\w ]*: lower"):
        Trainer(replace(RECIPE, stages=(stage,)), tmp_path, silent).run()


@pytest.mark.slow
def test_a_run_may_take_its_image_space_from_another_model_and_keeps_it(whole, tmp_path):
    given = checkpoint.load(whole / "checkpoint")[0].space.state_dict()
    fresh = Trainer(RECIPE, tmp_path / "fresh", silent).pipeline.space.state_dict()
    stages = tuple(stage for stage in RECIPE.stages if stage.name in ("understanding", "generation"))
    recipe = replace(RECIPE, stages=stages, space_from=str(whole / "checkpoint"))
    Trainer(recipe, tmp_path / "run", silent).run()
    after = weights(tmp_path / "run", "generation")
    for name, tensor in given.items():
        assert torch.equal(after[f"space.{name}"], tensor), name
    assert any(not torch.equal(tensor, fresh[name]) for name, tensor in given.items())


def test_an_image_space_of_other_sizes_is_refused(whole, tmp_path):
    recipe = load(Recipe, TINY, ["model.space.decoder.blocks=2", f"space_from={whole / 'checkpoint'}"])
    with pytest.raises(ConfigError, match=r"the image space of .* has other sizes than the recipe's"):
        Trainer(recipe, tmp_path, silent)


# --- the command ----------------------------------------------------------------------------------------------------


@contextmanager
def long_run(folder):
    """A process that trains without end, and has trained a step."""
    command = [sys.executable, "-m", "blip3o", "train", "--config", str(TINY), "--output", str(folder)]
    long = [*command, "--stage", "encoder", "stages.encoder.steps=100000", "save_every=0"]
    with subprocess.Popen(
        long, cwd=TINY.parents[1], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as running:
        try:
            journal, waited = folder / "log.jsonl", time.monotonic() + 120
            while not (journal.is_file() and '"step"' in journal.read_text()):
                assert running.poll() is None
                assert time.monotonic() < waited
                time.sleep(0.05)
            yield running
        finally:
            running.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_loses_no_step(tmp_path, number):
    with long_run(tmp_path / "run") as running:
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err == f"stopped: {tmp_path / 'run'} holds the state; the same command goes on from there\n"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock",
        "log.jsonl",
        "recipe.yaml",
        "states",
    ]


@pytest.mark.slow
def test_a_second_run_in_a_folder_is_refused_and_changes_nothing_in_it(blip3o, tmp_path, monkeypatch):
    monkeypatch.setattr("blip3o.cli.train_progress.benchmark_scores", lambda model, benchmark, tasks: {})
    again = ("train", "--config", TINY, "--stage", "encoder", "--output", tmp_path / "run", "save_every=0")
    with long_run(tmp_path / "run") as running:
        recipe = (tmp_path / "run" / "recipe.yaml").read_text()
        for words in ((), ("--restart",), ("--seed", 9)):
            refused = blip3o(*again, *words)
            assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
            assert refused.err.startswith(f"error: {tmp_path / 'run'} is in use by process {running.pid}: ")
        assert running.poll() is None
        assert (tmp_path / "run" / "recipe.yaml").read_text() == recipe
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
        running.kill()
        running.wait()
        assert blip3o(*again).code == 0


def test_training_under_a_launcher_of_several_processes_is_refused(blip3o, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = blip3o("train", "--config", TINY, "-o", "run")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: WORLD_SIZE is 2, but training is the work of one process: start `blip3o train` by itself, without "
        "torchrun\n"
    )
    assert list(Path().iterdir()) == []
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert "no stage 'nope'" in blip3o("train", "--config", TINY, "-o", "run", "--stage", "nope").err
