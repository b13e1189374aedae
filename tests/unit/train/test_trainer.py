"""A step of the loop: its arithmetic, its gradient, what a stage ends with, and what stops it."""

import errno
import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from short_runs import saved_by, trained_by

from blip3o.errors import OutputError
from blip3o.train import steps as stage_steps
from blip3o.train import trainer as loop
from blip3o.train.features import encode_source
from blip3o.train.lock import FolderLock
from blip3o.train.signals import answered, undivided
from blip3o.weights import checkpoint

TINY = Path(__file__).parents[2] / "tiny.yaml"


@pytest.mark.parametrize("clip", [1e-3, 1e6])
def test_the_optimizer_gets_a_gradient_no_longer_than_the_stage_says(short, begin, monkeypatch, clip):
    norms = []

    class Noted(stage_steps.Optimizer):
        def step(self, learning_rate):
            parameters = [p for group in self.groups for p in group["params"]]
            norms.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm().item())
            super().step(learning_rate)

    monkeypatch.setattr(stage_steps, "Optimizer", Noted)
    begin(short(steps=2, clip=clip)).run()
    assert len(norms) == 2
    if clip < 1:
        assert norms == pytest.approx([clip, clip], rel=1e-2)
    else:
        assert min(norms) > 0.01


def test_a_stage_ends_with_the_average_of_its_weights(short, begin):
    fresh = begin(short())
    before = {name: tensor.clone() for name, tensor in fresh.pipeline.state_dict().items()}
    last = trained_by(begin(short(ema=0.0)))
    averaged = trained_by(begin(short(ema=0.999)))  # of which the first step forgets a tenth: train/optim.py
    moved = [name for name in before if not torch.equal(last[name], before[name])]
    assert moved
    for name in moved:
        torch.testing.assert_close(averaged[name], before[name].lerp(last[name], 0.9), rtol=1e-4, atol=1e-6)


def test_all_that_counts_in_the_loss_moves_the_weights(short, begin):
    losses = []
    [space] = short("encoder").stages
    few, much = (
        trained_by(
            begin(
                short("encoder", objective=replace(space.objective, dense_caption_weight=weight)),
                observe=lambda progress: losses.append(progress.losses),
            )
        )
        for weight in (0.01, 5.0)
    )
    assert any(not torch.equal(few[name], much[name]) for name in few if name.startswith("space.encoder."))
    for told, weight in zip([told for told in losses if told], (0.01, 5.0), strict=True):
        assert told["total"] == pytest.approx(told["sketch"] + weight * told["telling"])


def test_the_statistics_of_a_space_are_those_of_the_average(short, begin):
    trainer = begin(short("encoder", steps=2, learning_rate=0.02, ema=0.9))
    pipeline = trainer.run()
    features = encode_source(pipeline, trainer.source).astype(np.float32)
    np.testing.assert_allclose(features.mean((0, 2, 3)), 0, atol=0.01)
    np.testing.assert_allclose(features.std((0, 2, 3)), 1, atol=0.02)


@pytest.mark.parametrize(("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_matrix_products_are_made_in_the_precision_of_the_recipe(short, begin, precision, dtype):
    trainer = begin(short(precision=precision))
    seen = set()

    def look(layer, given, found):
        if layer.training:
            seen.add(found.dtype)

    for module in trainer.pipeline.unified.backbone.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(look)
    kept = trained_by(trainer)
    assert seen == {dtype}
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}


@pytest.mark.parametrize("name", ["encoder", "instruction"])
def test_threads_that_read_ahead_change_nothing_but_who_reads(short, begin, monkeypatch, name):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    seen = []
    for workers in (0, 1, 4):
        recipe = replace(short(name, steps=3, micro_batch_size=3), workers=workers)
        losses, readers = [], set()
        trainer = begin(recipe, observe=lambda progress, losses=losses: losses.append(progress.losses))
        picture = type(trainer.source).picture

        def read(source, index, picture=picture, readers=readers):
            readers.add(threading.current_thread().name.partition("_")[0])
            return picture(source, index)

        monkeypatch.setattr(type(trainer.source), "picture", read)
        weights = trained_by(trainer)
        monkeypatch.setattr(type(trainer.source), "picture", picture)
        assert ("samples" in readers) == bool(workers)
        seen.append((losses, weights))
    for losses, weights in seen[1:]:
        assert losses == seen[0][0]
        assert all(torch.equal(weights[key], tensor) for key, tensor in seen[0][1].items())


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_waits_for_what_is_undivided(number):
    done = []

    @answered((signal.SIGTERM,), signal.default_int_handler)
    def work():
        with undivided():
            signal.raise_signal(number)
            done.append("step")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["step"]


def test_signals_are_answered_as_before_when_it_is_over():
    before = signal.getsignal(signal.SIGTERM)
    with answered((signal.SIGTERM,), signal.default_int_handler):
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_keeps_its_state(short, begin, monkeypatch, number):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)

    def stop(progress):
        if (progress.stage, progress.step) == ("tower", 2):
            signal.raise_signal(number)

    trainer = begin(short(steps=3), observe=stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert saved_by(trainer) == (["tower-000002"], 2)


def scores_of(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [(line["stage"], line["step"]) for line in lines if line["event"] == "scores"]


def test_a_stage_that_was_stopped_before_its_scores_is_scored_later_and_once(short, begin):
    class Killed(BaseException):
        pass

    def killed(pipeline, samples):
        raise Killed

    recipe, seen = short(), []

    def score(pipeline, samples):
        seen.append((samples.name, pipeline.state_dict()))
        return {"overall": 0.5}

    trainer = begin(recipe, score=killed)
    with pytest.raises(Killed):
        trainer.run()
    assert scores_of(trainer.folder) == []
    first, second = (trained_by(begin(recipe, trainer.folder, score)) for _ in range(2))
    assert scores_of(trainer.folder) == [("tower", 1)]
    [(samples, weights)] = seen
    assert samples == "tower-000001"
    assert all(
        torch.equal(first[name], tensor) and torch.equal(second[name], tensor) for name, tensor in weights.items()
    )


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_the_earlier_state(short, begin, monkeypatch):
    whole, saved = checkpoint.save_file, []

    def save(tensors, path, about):
        if saved:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(about)
        whole(tensors, path, about)

    monkeypatch.setattr(checkpoint, "save_file", save)
    trainer = begin(short(steps=3, save_every=1))
    told = r"cannot save .*tower-000002 \(No space left on device\): make room, .*: it goes on from tower-000001$"
    with pytest.raises(OutputError, match=told):
        trainer.run()
    assert saved_by(trainer) == (["tower-000001"], 1)
    assert sorted(path.name for path in trainer.folder.iterdir()) == [".lock", "log.jsonl", "report.html", "states"]


@pytest.mark.parametrize("file", ["tokenizer.json", "words.txt"])
def test_a_full_disk_at_the_end_of_a_stage_ends_the_run_with_one_line_and_it_goes_on(short, begin, file):
    recipe = short(steps=3, save_every=2)
    trainer = begin(recipe)
    full = trainer.folder / "stages" / "tower" / file
    full.mkdir(parents=True)  # neither the library nor we can write a file where a folder is
    with pytest.raises(OutputError) as stop:
        trainer.run()
    assert str(stop.value).startswith("cannot write ")
    assert "\n" not in str(stop.value)
    assert saved_by(trainer) == (["tower-000002", "tower-000003"], 3)
    full.rmdir()
    resumed, unbroken = trained_by(begin(recipe, trainer.folder)), trained_by(begin(recipe))
    assert all(torch.equal(resumed[name], tensor) for name, tensor in unbroken.items())


# --- one process in a folder ----------------------------------------------------------------------------------------

HELD = """
import sys
from pathlib import Path
from blip3o.config import load
from blip3o.train.recipe import Recipe
from blip3o.train.trainer import Trainer

def observe(progress):
    if progress.stage == "encoder":
        print("trains", flush=True)
        sys.stdin.readline()
        raise SystemExit

trainer = Trainer(load(Recipe, Path(sys.argv[1])), Path(sys.argv[2]), observe)
trainer.run()
"""


@pytest.mark.slow
def test_two_processes_never_train_in_one_folder(tiny, begin, tmp_path):
    command = [sys.executable, "-c", HELD, str(TINY), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "trains\n"
        trainer = begin(tiny, tmp_path)
        journal = (tmp_path / "log.jsonl").read_bytes()
        for write in (trainer.run, trainer.publish):
            with pytest.raises(OutputError, match=f"in use by process {process.pid}"):
                write()
        assert (tmp_path / "log.jsonl").read_bytes() == journal
        process.communicate("\n")
    trainer.publish()
    assert (tmp_path / "checkpoint").is_dir()


def test_a_run_takes_the_lock_that_its_caller_holds(short, begin, tmp_path):
    lock = FolderLock(tmp_path)
    with lock:
        begin(short(), lock).run()
        with pytest.raises(OutputError, match="in use by process"):
            begin(short(), tmp_path).run()
    begin(short(), tmp_path).run()


def test_the_time_left_is_that_of_what_will_be_trained(tiny, begin):
    seen = []
    recipe = replace(tiny, stages=tuple(replace(stage, steps=2) for stage in tiny.stages[:3]), save_every=0)
    trainer = begin(recipe, observe=seen.append)
    trainer.run()
    told = {progress.stage: progress for progress in seen if progress.losses}
    speed = told["encoder"].samples_per_s
    assert told["encoder"].run_left_s == pytest.approx((2 + 2) * 4 / speed)
    assert told["tower"].run_left_s == told["tower"].left_s == 0
    assert all(progress.memory_bytes > 1e8 and progress.device_memory_bytes == 0 for progress in told.values())
    assert all(0 < progress.waiting <= 1 and progress.gradient_norm > 0 for progress in told.values())
    seen.clear()
    begin(recipe, observe=seen.append).run("encoder")
    assert [progress.run_left_s for progress in seen if progress.losses] == [0]
