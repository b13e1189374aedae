"""Trackers hear every number of a run, at its step from the beginning; each only where it is asked for."""

import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from blip3o.errors import ConfigError
from blip3o.train.trackers import TRACKERS, TrackedRun, numbers
from blip3o.train.trainer import Trainer

STEPS = {"encoder": 10, "decoder": 20}
START = {"event": "start", "time": 1e9}
EVENTS = (
    {"event": "stage", "time": 1e9, "name": "encoder"},
    {"event": "step", "time": 1e9, "stage": "encoder", "step": 5, "total": 1.5, "skipped": {"a": 2, "b": 1}},
    {"event": "validation", "time": 1e9, "stage": "encoder", "step": 10, "validation/loss": 2.5},
    {"event": "step", "time": 1e9, "stage": "decoder", "step": 5, "total": 0.5},
    {"event": "scores", "time": 1e9, "stage": "decoder", "step": 20, "right": 0.25},
)
END = {"event": "end", "time": 1e9, "how": "finished", "why": ""}
TOLD = [
    ({"encoder/total": 1.5, "encoder/skipped": 3}, 5),
    ({"encoder/validation/loss": 2.5}, 10),
    ({"decoder/total": 0.5}, 15),
    ({"decoder/right": 0.25}, 30),
]


class Run:
    """Stands in for the run of wandb and of trackio: their own signatures, as of wandb 0.31 and trackio 0.43."""

    def __init__(self, calls):
        self.calls = calls

    def log(self, data, step=None, commit=None):
        self.calls.append((data, step))

    def finish(self, exit_code=None):
        self.calls.append(f"finish {exit_code}")


def stand_in(name) -> Any:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)  # others look whether it is installed
    module.__dict__["calls"] = []
    return module


@pytest.fixture
def wandb(monkeypatch):
    """A module in the place of wandb, and what it was told."""
    module = stand_in("wandb")

    def init(entity=None, project=None, dir=None, id=None, name=None, *, config=None, resume=None, mode=None):
        module.begun = {"project": project, "id": id, "name": name, "dir": dir, "config": config, "resume": resume}
        return Run(module.calls)

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


@pytest.fixture
def trackio(monkeypatch):
    """A module in the place of trackio, and what it was told."""
    module = stand_in("trackio")

    class TrackioRun:
        def log(self, metrics, step=None):
            module.calls.append((metrics, step))

        def finish(self):
            print("* Run finished.")
            module.calls.append("finish")

    def init(project, name=None, *, config=None, resume="never", embed=True, auto_log_gpu=None):
        print("* Created new run.")
        module.begun = {"project": project, "name": name, "config": config, "resume": resume, "embed": embed}
        return TrackioRun()

    module.init = init
    monkeypatch.setitem(sys.modules, "trackio", module)
    return module


def told(folder, *names, events=(START, *EVENTS, END), before=()):
    run = TrackedRun(names, folder, {"name": "tiny"}, STEPS, before)
    for event in events:
        run.hear(event)


def test_wandb_hears_all_numbers_and_a_run_that_goes_on_is_the_same_one(wandb, tmp_path):
    told(tmp_path / "mine", "wandb")
    assert wandb.calls == [*TOLD, "finish 0"]
    place = {"project": "blip3o", "dir": str(tmp_path / "mine"), "config": {"name": "tiny"}, "resume": "allow"}
    assert wandb.begun == place | {"id": "mine-1000000000", "name": "mine-1000000000"}
    later = {**START, "time": 2e9}
    told(tmp_path / "mine", "wandb", events=(later, EVENTS[3]), before=(START, *EVENTS))
    assert wandb.begun["id"] == "mine-1000000000"
    told(tmp_path / "mine", "wandb", events=(later, EVENTS[3], {**END, "how": "failed"}))
    assert (wandb.begun["id"], wandb.calls[-1]) == ("mine-2000000000", "finish 1")


def test_trackio_hears_all_numbers_and_leaves_the_output_alone(trackio, tmp_path, capsys):
    told(tmp_path / "mine", "trackio")
    assert trackio.calls == [*TOLD, "finish"]
    assert trackio.begun == {
        **{"project": "blip3o", "name": "mine-1000000000", "config": {"name": "tiny"}},
        **{"resume": "allow", "embed": False},
    }
    assert capsys.readouterr().out == ""


def scalars(folder):
    """What TensorBoard reads of a folder: name -> (step, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return {name: [(one.step, one.value) for one in reader.Scalars(name)] for name in reader.Tags()["scalars"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_it_was_told_without_what_was_done_again(tmp_path):
    told(tmp_path, "tensorboard")
    assert scalars(tmp_path / "tensorboard") == {
        name: [(step, value)] for values, step in TOLD for name, value in values.items()
    }
    again = ({**EVENTS[3], "step": 4, "total": 0.75}, {**EVENTS[3], "total": 0.625}, END)
    told(tmp_path, "tensorboard", events=again, before=(START, *EVENTS))
    assert scalars(tmp_path / "tensorboard")["decoder/total"] == [(14, 0.75), (15, 0.625)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_tells_the_trackers_of_its_recipe(tiny, wandb, tmp_path):
    stage = replace(next(stage for stage in tiny.stages if stage.name == "tower"), steps=2)
    recipe = replace(tiny, stages=(stage,), trackers=("wandb", "tensorboard"))
    Trainer(recipe, tmp_path, lambda progress: None).run()
    (values, step), end = wandb.calls
    assert (step, end) == (2, "finish 0")
    assert values.keys() >= {"tower/total", "tower/contrast", "tower/samples_per_s", "tower/waiting"}
    assert scalars(tmp_path / "tensorboard")["tower/total"] == [(2, pytest.approx(values["tower/total"]))]
    assert wandb.begun["config"]["stages"][0]["name"] == "tower"


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_named_before_the_run_begins(monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, TRACKERS[name].module, None)
    with pytest.raises(ConfigError, match=f"tracker '{name}' is not installed: pip install {name}"):
        TrackedRun([name], tmp_path, {}, STEPS, ())


def test_an_unknown_tracker_is_refused_with_those_there_are(tiny):
    with pytest.raises(ConfigError, match="no such trackers: tensorbord; there are tensorboard, wandb, trackio"):
        replace(tiny, trackers=("tensorbord",))


def test_skipped_samples_are_told_as_their_number():
    assert numbers(EVENTS[1]) == {"total": 1.5, "skipped": 3}
