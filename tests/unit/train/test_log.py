"""A run tells what happened: one JSON line an event, means since the last look."""

import json

import pytest
import torch

from blip3o.errors import OutputError
from blip3o.train import log
from blip3o.train.log import Journal, Meter


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
