"""A run on several sources, one of them streamed, goes on exactly where it stopped; what is wrong is one line."""

import json
from pathlib import Path

import datasets
import pytest
import yaml
from data_files import COLORS, encoded

from blip3o.weights import checkpoint

MIXED = """
name: mixed
description: a test
source:
  kind: mixture
  pictures: [plain, stream]
  sources:
    book: {{kind: "picturebook.source:Scenes", seed: mixed, stories: 2}}
    plain: {{kind: image_folder, path: plain}}
    stream: {{kind: hf_datasets, path: stream, streaming: true, window: 4}}
    talks: {{kind: jsonl, path: talks.jsonl}}
save_every: 2
model: {model}
stages:
  - {{name: encoder, objective: {{kind: autoencoder}}, trains: [space], steps: 3, batch_size: 4, learning_rate: 1e-3}}
  - name: whole
    objective:
      kind: unified
      draw: {{plain.draw: 1, stream.draw: 2, book.edit: 1}}
      text: {{talks.chat: 1, book.question: 1}}
      text_batch_size: 4
      pack: 64
    trains: [unified]
    steps: 5
    batch_size: 4
    learning_rate: 1e-3
"""


@pytest.fixture(autouse=True)
def mixed(tmp_path):
    """Three folders of data, and the recipe of a small model."""
    model = yaml.safe_load((Path(__file__).parents[1] / "tiny.yaml").read_text())["model"]
    model["unified"]["backbone"]["text"]["vocab_size"] = 700
    (tmp_path / "mixed.yaml").write_text(MIXED.format(model=json.dumps(model)))
    (tmp_path / "plain").mkdir()
    for color in COLORS:
        (tmp_path / "plain" / f"{color}.png").write_bytes(encoded(color))
        (tmp_path / "plain" / f"{color}.txt").write_text(f"a {color} field")
    rows = {
        "image": [{"bytes": encoded(color, size=(50, 20)), "path": None} for color in COLORS] * 4,
        "text": [f"a wide field, no. {number}" for number in range(12)],
    }
    split = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    split.to_parquet(tmp_path / "stream" / "train.parquet", batch_size=2)
    turns = [{"from": "human", "value": "Which colour has grass?"}, {"from": "gpt", "value": "Green."}]
    (tmp_path / "talks.jsonl").write_text("\n".join([json.dumps({"conversations": turns})] * 5))


def tensors(run):
    return checkpoint.read_tensors(Path(run, "checkpoint/model.safetensors"))[0]


@pytest.mark.slow
def test_a_run_on_several_sources_goes_on_where_it_was_stopped(blip3o, monkeypatch):
    from blip3o.train.steps import StageSteps

    whole_run = blip3o("train", "--config", "mixed.yaml", "-o", "whole")
    assert whole_run.code == 0, whole_run.err
    assert not Path("whole/samples_skipped.jsonl").exists()
    step = StageSteps.step

    def stopped(steps, *args, **options):
        if steps.stage.name == "whole" and steps.done == 3:
            raise KeyboardInterrupt
        return step(steps, *args, **options)

    monkeypatch.setattr(StageSteps, "step", stopped)
    assert blip3o("train", "--config", "mixed.yaml", "-o", "parts").code == 130
    monkeypatch.setattr(StageSteps, "step", step)
    assert blip3o("train", "--config", "mixed.yaml", "-o", "parts").code == 0
    whole, parts = tensors("whole"), tensors("parts")
    assert whole.keys() == parts.keys()
    assert all((whole[name] == parts[name]).all() for name in whole)


def test_a_task_that_no_source_has_is_one_line(blip3o):
    done = blip3o("train", "--config", "mixed.yaml", "-o", "run", "stages.whole.objective.text={talks.talk: 1}")
    assert done.code == 2
    assert "no such tasks: talks.talk; there are book." in done.err


def test_a_source_that_is_not_there_is_one_line(blip3o):
    done = blip3o("train", "--config", "mixed.yaml", "-o", "run", "source.sources.talks.path=nowhere.jsonl")
    assert (done.code, done.err) == (
        2,
        "error: source 'talks': nowhere.jsonl does not exist: name a JSON or JSONL file as the source's path\n",
    )


def test_a_source_named_twice_is_told_with_its_line(blip3o):
    text = Path("mixed.yaml").read_text()
    Path("twice.yaml").write_text(text.replace("    talks:", "    plain: {kind: jsonl, path: talks.jsonl}\n    talks:"))
    done = blip3o("train", "--config", "twice.yaml", "-o", "run")
    assert done.code == 2
    assert "twice.yaml is not YAML at line 11, column 5: key plain stands twice" in done.err
