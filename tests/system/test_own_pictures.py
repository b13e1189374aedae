"""A folder of somebody's own pictures trains, by the command line, from nothing; what is broken in it is skipped."""

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from blip3o.weights import checkpoint

SMALL = """
name: own
description: a test
source: {{kind: image_folder, path: pictures, caption_dropout: 0.1}}
save_every: 2
model: {model}
stages:
  - {{name: encoder, objective: {{kind: autoencoder}}, trains: [space], steps: 3, batch_size: 4, learning_rate: 1e-3}}
  - name: whole
    objective: {{kind: unified, draw: {{draw: 1}}, text: {{caption: 1}}, text_batch_size: 2}}
    trains: [unified]
    steps: 4
    batch_size: 4
    learning_rate: 1e-3
"""


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures of no common size with captions, and the recipe of a small model."""
    import yaml

    model = yaml.safe_load((Path(__file__).parents[1] / "tiny.yaml").read_text())["model"]
    model["unified"]["backbone"]["text"]["vocab_size"] = 300
    (tmp_path / "own.yaml").write_text(SMALL.format(model=json.dumps(model)))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        picture = Image.new("RGB", (60 + 7 * number, 90), "white")
        ImageDraw.Draw(picture).ellipse((10, 10, 50, 50), fill=("red", "blue")[number % 2])
        picture.save(folder / f"{number:02d}.{('png', 'jpg', 'webp')[number % 3]}")
        (folder / f"{number:02d}.txt").write_text(f"A {('red', 'blue')[number % 2]} circle, no. {number}.")
    return folder


def skipped(run):
    return [json.loads(line) for line in (run / "samples_skipped.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_folder_trains_a_model_that_draws_and_describes(blip3o, pictures):
    (pictures / "03.txt").unlink()
    (pictures / "05.webp").write_bytes((pictures / "05.webp").read_bytes()[:60])
    done = blip3o("train", "--config", "own.yaml", "-o", "run")
    assert done.code == 0, done.err
    assert {(Path(line["address"]).name, line["reason"]) for line in skipped(Path("run"))} <= {
        ("03.png", "no caption"),
        ("05.webp", "truncated image"),
        ("05.webp", "unreadable image"),
    }
    assert skipped(Path("run"))
    assert blip3o("generate", "A green circle, no. 99!", "-m", "run/checkpoint", "-o", "out").code == 0
    assert blip3o("understand", pictures / "00.png", "describe this picture.", "-m", "run/checkpoint").code == 0


@pytest.mark.slow
def test_a_folder_of_broken_pictures_stops_the_run_with_a_report_and_keeps_its_state(blip3o, pictures):
    for path in pictures.glob("*.png"):
        path.write_bytes(b"no picture")
    done = blip3o("train", "--config", "own.yaml", "-o", "run", "skip_limit=0.0")
    assert done.code == 2
    assert "samples were skipped, more than 0.0%" in done.err
    assert "unreadable image in pictures" in done.err
    assert [*Path("run/states").glob("*/state.safetensors")]


@pytest.mark.slow
def test_a_run_on_a_folder_goes_on_where_it_was_stopped(blip3o, pictures, monkeypatch):
    from blip3o.train.steps import StageSteps

    assert blip3o("train", "--config", "own.yaml", "-o", "whole").code == 0
    step = StageSteps.step

    def stopped(steps):
        if steps.stage.name == "whole" and steps.done == 2:
            raise KeyboardInterrupt
        return step(steps)

    monkeypatch.setattr(StageSteps, "step", stopped)
    assert blip3o("train", "--config", "own.yaml", "-o", "parts").code == 130
    monkeypatch.setattr(StageSteps, "step", step)
    assert blip3o("train", "--config", "own.yaml", "-o", "parts").code == 0
    whole, parts = (checkpoint.read_tensors(Path(run, "checkpoint/model.safetensors"))[0] for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all((whole[name] == parts[name]).all() for name in whole)


def test_a_folder_that_is_not_there_is_one_line(blip3o):
    done = blip3o("train", "--config", "folder", "source.path=nowhere")
    assert (done.code, done.err) == (2, "error: nowhere is no folder: name a folder of images as the source's path\n")
