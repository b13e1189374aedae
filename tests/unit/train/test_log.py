"""A run tells what happened: one JSON line an event, means since the last look."""

import json

import pytest
import torch

from blip3o.errors import OutputError
from blip3o.train import log
from blip3o.train.log import NO_LOSSES, Journal, Meter, TrainingProgress


def test_every_event_is_a_line_of_json_after_those_before(tmp_path):
    Journal(tmp_path / "run").write("stage", name="encoder")
    Journal(tmp_path / "run").write("step", loss=0.5)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["stage", "step"]
    assert lines[1]["loss"] == 0.5
    assert lines[0]["time"] <= lines[1]["time"]


def test_a_look_tells_means_since_the_last_one_speed_and_time_left(monkeypatch):
    clock = iter([0.0, 2.0, 2.0, 3.0, 3.0])
    monkeypatch.setattr(log.time, "perf_counter", lambda: next(clock))
    meter = Meter(10, 8)
    meter.add({"total": torch.tensor(1.0)})
    meter.add({"total": torch.tensor(3.0)})
    first = meter.look("encoder", 2)
    assert (first.losses, first.samples_per_s, first.left_s) == ({"total": 2.0}, 8.0, 8.0)
    meter.add({"total": torch.tensor(5.0)})
    second = meter.look("encoder", 3)
    assert second.losses == {"total": 5.0}
    assert second.left_s == pytest.approx(7.0)


def test_waiting_is_the_share_of_the_time_that_was_spent_on_data(monkeypatch):
    clock = iter([0.0, 1.0, 2.5, 4.0, 4.0, 5.0, 5.0])
    monkeypatch.setattr(log.time, "perf_counter", lambda: next(clock))
    meter = Meter(10, 8)
    with meter.waiting():
        meter.add({"total": 1.0})
    assert meter.look("encoder", 1).waiting == 1.5 / 4.0
    assert meter.look("encoder", 2).waiting == 0.0


def test_what_steps_tell_of_their_gradients_is_a_mean_and_of_their_rate_the_last():
    meter = Meter(10, 8)
    meter.add({"total": torch.tensor(1.0)}, torch.tensor(2.0), 1e-3)
    meter.add({"total": torch.tensor(2.0)}, torch.tensor(5.0), 1e-4)
    seen = meter.look("encoder", 2)
    assert (seen.losses, seen.gradient_norm, seen.learning_rate) == ({"total": 1.5}, 3.5, 1e-4)
    assert meter.look("encoder", 2).gradient_norm == 0.0


def test_a_step_in_the_journal_is_its_losses_and_what_stands_beside_them(tmp_path):
    heard = []
    journal = Journal(tmp_path)
    journal.listeners.append(heard.append)
    sizes = {"memory_bytes": 3_000_000, "device_memory_bytes": 4_000_000}
    journal.step(
        TrainingProgress(
            **{"stage": "eye", "step": 3, "steps": 9, "losses": {"total": 0.5}, "samples_per_s": 7.0, "waiting": 0.25},
            **{"learning_rate": 1e-5, "gradient_norm": 2.0, "skipped": {"no caption": 2}, **sizes},
        )
    )
    [line] = journal.events()
    assert [line] == heard
    assert line.keys() - NO_LOSSES == {"total"}
    assert line.keys() >= NO_LOSSES
    facts = [line[name] for name in ("waiting", "learning_rate", "gradient_norm", "memory_mb", "device_memory_mb")]
    assert facts == [0.25, 1e-5, 2.0, 3, 4]
    assert line["skipped"] == {"no caption": 2}


def test_a_journal_knows_what_it_holds_and_nothing_of_a_line_that_was_cut(tmp_path):
    journal = Journal(tmp_path)
    assert not journal.holds(event="scores")
    journal.write("scores", stage="encoder", step=4, groups=[1, 2])
    with journal.path.open("a") as file:
        file.write('{"event": "scores", "stage": "dec')
    assert journal.holds(event="scores", stage="encoder", step=4, groups=[1, 2])
    assert not journal.holds(event="scores", stage="encoder", step=5)
    assert not journal.holds(event="scores", stage="decoder")


def test_a_journal_that_cannot_be_written_says_so(tmp_path):
    journal = Journal(tmp_path)
    journal.path.mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*log.jsonl \(Is a directory\): make room, then go on"):
        journal.write("step")
