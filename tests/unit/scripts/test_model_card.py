"""The model card tells what the run's journal says."""

import json
import sys

import pytest

from blip3o.config import dump, load
from blip3o.train.recipe import Recipe
from scripts import model_card
from scripts.model_card import PAUSE_S, curves, read_journal, seconds_by_stage, stage_facts


def event(kind, time, **facts):
    return {"event": kind, "time": time, **facts}


EVENTS = [
    event("stage", 0.0, name="encoder", steps=40, commit="abc"),
    event("step", 60.0, stage="encoder", step=20, samples_per_s=9.0, total=2.0, sketch=1.0, telling=1.0),
    event("step", 120.0, stage="encoder", step=40, samples_per_s=9.0, total=9.0, sketch=9.0, telling=9.0),
    event("stage", 5000.0, name="encoder", steps=40, commit="abc"),
    event("step", 5060.0, stage="encoder", step=40, samples_per_s=9.0, total=1.0, sketch=0.5, telling=0.5),
    event("scores", 5061.0, stage="encoder", step=40, vqa=0.5),
]


def test_a_pause_is_not_work():
    assert PAUSE_S < 5000.0 - 120.0
    assert seconds_by_stage(EVENTS) == {"encoder": 60.0 + 60.0 + 60.0 + 1.0}


def test_of_a_step_done_twice_the_later_numbers_count():
    assert curves(EVENTS, "step", "encoder")["total"] == [(20, 2.0), (40, 1.0)]


def test_a_stage_is_told_by_its_last_losses():
    assert stage_facts(EVENTS)[0].losses == {"sketch": 0.75, "telling": 0.75}


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps(EVENTS[0]) + '\n{"event": "st')
    assert read_journal(tmp_path / "log.jsonl") == EVENTS[:1]


@pytest.mark.slow
def test_a_run_gets_its_card_with_curves_and_facts(tmp_path, monkeypatch):
    import torch

    from blip3o.picturebook.tasks import vocabulary
    from blip3o.pipeline.pipeline import Pipeline
    from blip3o.processing.tokenizer import make
    from blip3o.weights import checkpoint

    recipe = load(Recipe, "tests/tiny.yaml")
    run, output = tmp_path / "run", tmp_path / "card"
    torch.manual_seed(0)
    checkpoint.save(Pipeline(recipe.model, make(vocabulary())), run / "checkpoint", about={"commit": "abc"})
    dump(recipe, run / "recipe.yaml")
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in EVENTS))
    monkeypatch.setattr(sys, "argv", ["model_card.py", "--run", str(run), "--output", str(output)])
    model_card.main()
    text = (output / "README.md").read_text()
    assert "blip3o train --config tiny" in text
    assert "| encoder | space.encoder, space.decoder.sketcher | 40 | 4 | 3 | sketch 0.750, telling 0.750 |" in text
    assert json.loads((output / "run.json").read_text())["commit"] == "abc"
    assert (output / "curves.png").stat().st_size < 100_000
