"""Several processes train as one (gloo, on the CPU): the same samples, the same losses, one answer to faults."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from PIL import Image

from blip3o.api import BLIP3o

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
STEPS = 8
STAGE = {"batch_size": 6, "micro_batch_size": 2, "steps": STEPS}
KINDS = {
    "none": {"shard": "none"},
    "full": {"shard": "full"},
    "offloaded": {"shard": "full", "offload": True},
    "hybrid": {"shard": "hybrid", "replicas": 2},
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"OMP_NUM_THREADS": "1"}


def launched(ranks, *command):
    """A command for so many processes; one is started without a launcher."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    return [sys.executable, *launcher, *map(str, command)]


def run(ranks, *command, cwd):
    return subprocess.run(
        launched(ranks, *command), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=400, check=False
    )


def job(place, name, kind, **more):
    return {"folder": str(place / name), "stage": "instruction", "parallel": KINDS[kind], "changes": STAGE, **more}


def carry_out(place, ranks, jobs):
    """Losses and ids of the samples, by step, of each job."""
    (place / "jobs.json").write_text(json.dumps(jobs))
    done = run(ranks, HERE / "parallel_run.py", place / "jobs.json", cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(Path(one["folder"] + ".json").read_text()) for one in jobs]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What happened in runs by their names: one process, several, and one that changes their number on the way."""
    place = tmp_path_factory.mktemp("parallel")
    on_the_way = ("none", "full")

    def until(step):
        return [job(place, f"changed-{kind}", kind, until=step) for kind in on_the_way]

    first = carry_out(place, 1, [job(place, "alone", "none"), *until(2)])
    second = carry_out(place, 2, [job(place, "two-none", "none"), job(place, "two-full", "full"), *until(4)])
    whole = [job(place, f"four-{kind}", kind) for kind in ("none", "full", "hybrid", "offloaded")]
    third = carry_out(place, 4, [*whole, *until(6)])
    last = carry_out(place, 1, [job(place, f"changed-{kind}", kind) for kind in on_the_way])
    told = dict(zip(("two-none", "two-full"), second[:2], strict=True))
    told |= {Path(one["folder"]).name: seen for one, seen in zip(whole, third[:4], strict=True)}
    for number, kind in enumerate(on_the_way):
        pieces = [first[1 + number], second[2 + number], third[4 + number], last[number]]
        assert [len(piece["losses"]) for piece in pieces] == [2, 2, 2, 2]
        told[f"changed-{kind}"] = {
            key: {step: value for piece in pieces for step, value in piece[key].items()} for key in ("losses", "ids")
        }
    return place, first[0], told


NAMES = [
    *("two-none", "two-full", "four-none", "four-full", "four-hybrid", "four-offloaded"),
    *("changed-none", "changed-full"),
]


@pytest.mark.parametrize("name", NAMES)
def test_however_many_processes_see_the_same_samples(runs, name):
    _, alone, told = runs
    assert len(alone["ids"]) == STEPS
    assert len({one for ids in alone["ids"].values() for one in ids}) == STEPS * (6 + 4)
    assert told[name]["ids"] == alone["ids"]


@pytest.mark.parametrize("name", NAMES)
def test_however_many_processes_have_the_same_losses(runs, name):
    _, alone, told = runs
    for step, losses in alone["losses"].items():
        assert told[name]["losses"][step] == pytest.approx(losses, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_many_ends_in_one_checkpoint_that_draws(runs, name):
    place, _, _ = runs
    model = BLIP3o.load(place / name / "checkpoint")
    reference = BLIP3o.load(place / "alone" / "checkpoint")
    for ours, theirs in zip(model.pipeline.parameters(), reference.pipeline.parameters(), strict=True):
        assert (ours - theirs).detach().abs().max() <= 0.002  # of bfloat16, at weights below 1
    assert [image.size for image in model.generate(["a cup"], seed=0)] == [(72, 72)]


# --- by the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path):
    """Gives the file of a recipe of one stage, changed."""

    def write(**changes):
        tiny = yaml.safe_load((HERE.parent / "tiny.yaml").read_text())
        stage = tiny["stages"][-1] | {"steps": 200} | changes.pop("stage", {})
        recipe = tiny | {"stages": [stage], "save_every": 5, "benchmark": ""} | changes
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        return tmp_path / "recipe.yaml"

    return write


def train(recipe, *more):
    return ("-m", "blip3o", "train", "--config", recipe, "--device", "cpu", "-o", "run", *more)


def errors(shown):
    return [line for line in shown.splitlines() if line.startswith(("error: ", "stopped"))]


def started(place, ranks, command):
    """A run under way, and its processes by rank, when it has saved a state."""
    running = subprocess.Popen(
        launched(ranks, *command), cwd=place, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 200
    while not list((place / "run" / "states").glob("instruction-*")) and time.monotonic() < end:
        time.sleep(0.1)
    workers = psutil.Process(running.pid).children()
    return running, {int(worker.environ()["RANK"]): worker for worker in workers if "RANK" in worker.environ()}


def steps_done(place):
    return max(int(folder.name.rpartition("-")[2]) for folder in (place / "run" / "states").glob("instruction-*"))


@pytest.mark.parametrize("shard", ["none", "full"])
def test_a_killed_process_ends_all_with_one_line_and_fewer_go_on(recipe, tmp_path, shard):
    command = train(recipe(), f"parallel.shard={shard}")
    running, workers = started(tmp_path, 3, command)
    workers[1].send_signal(signal.SIGKILL)
    _, shown = running.communicate(timeout=60)
    assert running.returncode != 0
    (line,) = errors(shown)
    assert line.startswith("error: rank 1 of 3 ended without a word")
    done = steps_done(tmp_path)
    assert 0 < done < 200
    again = run(1, *command, f"stages.instruction.steps={done + 2}", cwd=tmp_path)
    assert again.returncode == 0, again.stderr[-3000:]
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"][-1] == done + 2


def test_sigterm_of_one_process_saves_and_stops_all(recipe, tmp_path):
    running, workers = started(tmp_path, 2, train(recipe(stage={"steps": 2000}, save_every=50)))
    workers[1].send_signal(signal.SIGTERM)
    _, shown = running.communicate(timeout=60)
    assert running.returncode != 0
    (line,) = errors(shown)
    assert line.startswith("stopped: run holds the state")
    assert 0 < steps_done(tmp_path) < 2000


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures with captions, of which one is truncated."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (40, 40), (20 * number, 0, 99)).save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(f"Colour {number}.")
    broken = folder / "05.png"
    broken.write_bytes(broken.read_bytes()[:40])
    return folder


OWN = {
    "source": {"kind": "image_folder", "path": "pictures"},
    "stage": {
        "name": "own",
        "objective": {"kind": "unified", "draw": {"draw": 1}, "features": "online"},
        "trains": ["unified.head"],
        "steps": 20,
        "batch_size": 4,
    },
}


def test_a_sample_that_one_process_skips_is_counted_and_listed_by_all(recipe, pictures, tmp_path):
    path = recipe(**OWN, skip_limit=1.0)
    seen = []
    for ranks in (1, 2):
        done = run(ranks, *train(path), cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
        (step,) = (event for event in events if event["event"] == "step")
        skipped = (tmp_path / "run" / "samples_skipped.jsonl").read_text()
        seen.append((step["skipped"], skipped, step["total"]))
        (tmp_path / "run").rename(tmp_path / f"run-{ranks}")
    assert seen[0][:2] == seen[1][:2]
    assert seen[0][2] == pytest.approx(seen[1][2], abs=1e-4)


def test_too_many_skipped_samples_end_all_processes_with_one_line(recipe, pictures, tmp_path):
    done = run(2, *train(recipe(**OWN, skip_limit=0.0)), cwd=tmp_path)
    assert done.returncode != 0
    (line,) = errors(done.stderr)
    assert "1 of " in line
    assert "samples were skipped, more than 0.0%" in line


def test_a_fault_of_the_recipe_is_told_once(recipe, tmp_path):
    done = run(2, *train(recipe(), "parallel.shard=hybrid", "parallel.replicas=3"), cwd=tmp_path)
    assert done.returncode != 0
    (line,) = errors(done.stderr)
    assert "parallel.replicas is 3, which does not divide the 2 processes" in line
