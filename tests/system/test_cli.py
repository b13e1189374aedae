"""Every verb does its work."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blip3o.picturebook.world.scene import SIZE
from blip3o.processing.images import open_picture

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "tiny.yaml"


def pixels(path):
    return np.asarray(open_picture(path))


def test_a_drawn_picture_carries_where_it_comes_from(blip3o, weights):
    assert blip3o("generate", "a red dog", "--model", weights, "--seed", 7).out == "a-red-dog.png\n"
    with Image.open("a-red-dog.png") as image:
        facts = {key: image.info[key] for key in ("prompt", "seed", "model", "version")}
    assert facts == {"prompt": "a red dog", "seed": "7", "model": "tiny", "version": "0.1.0"}


def test_drawing_twice_overwrites_nothing(blip3o, weights):
    said = [blip3o("generate", "a red dog", "--model", weights, "--steps", 1).out for _ in range(2)]
    assert said == ["a-red-dog.png\n", "a-red-dog-2.png\n"]


def test_a_picture_of_a_batch_is_the_one_that_its_seed_gives_alone(blip3o, weights):
    found = json.loads(blip3o("generate", "a cup", "a red dog", "-n", 3, "-o", "out", "-m", weights, "--json").out)
    assert [entry["seed"] for entry in found] == [0, 1, 2, 3, 4, 5]
    blip3o("generate", "a red dog", "--seed", 5, "-o", "alone.png", "-m", weights)
    assert (pixels(found[5]["path"]) == pixels("alone.png")).all()
    assert Path("out/grid.png").is_file()


def test_a_named_file_is_replaced(blip3o, weights):
    for seed in (1, 2):
        assert blip3o("generate", "a cup", "-o", "cup.png", "--seed", seed, "-m", weights).code == 0
    with Image.open("cup.png") as image:
        assert image.info["seed"] == "2"
    assert [path.name for path in Path().iterdir()] == ["cup.png"]


def test_a_picture_is_never_edited_onto_itself(blip3o, weights, picture):
    before = picture.read_bytes()
    done = blip3o("edit", picture, "make it night", "-o", picture, "-m", weights)
    assert (done.code, picture.read_bytes()) == (2, before)
    assert "it is the picture to change" in done.err


def test_thinking_is_told(blip3o, weights):
    assert blip3o("generate", "a cup", "--think", "-m", weights).out.startswith("thought: ")


def test_an_edit_is_a_new_file_that_names_its_source(blip3o, weights, picture):
    before = picture.read_bytes()
    done = blip3o("edit", picture, "make it night", "--model", weights)
    assert done.out == "dog-make-it-night.png\n"
    with Image.open("dog-make-it-night.png") as image:
        assert (image.info["prompt"], image.info["source"]) == ("make it night", str(picture))
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "task", "key"),
    [
        ((), "caption", "caption"),
        (("--long",), "caption", "caption"),
        (("what is this?",), "vqa", "answer"),
        (("--task", "image_classification"), "image_classification", "labels"),
    ],
)
def test_the_task_follows_from_what_is_asked(blip3o, weights, picture, words, task, key):
    found = json.loads(blip3o("understand", picture, *words, "--model", weights, "--json").out)
    assert found["task"] == task
    assert key in found


def test_classification_is_over_the_given_labels(blip3o, weights, picture):
    asked = ("understand", picture, "--task", "image_classification", "--labels", "dog, cat", "--model", weights)
    found = json.loads(blip3o(*asked, "--json").out)
    assert sorted(found["labels"]) == ["cat", "dog"]
    assert sum(found["labels"].values()) == pytest.approx(1)
    assert len(blip3o(*asked).out.splitlines()) == 2


class Lines:
    """Standard input from a pipe."""

    def __init__(self, *lines):
        self.lines = list(lines)

    def isatty(self):
        return False

    def readline(self):
        return f"{self.lines.pop(0)}\n" if self.lines else ""


@pytest.fixture
def draws(monkeypatch):
    """The model draws whenever it hears the word, and else says what it was shown."""
    from blip3o import api

    def send(self, text, image=None):
        drawn = Image.new("RGB", (8, 8), "blue") if "draw" in text else None
        return api.Reply(text="" if drawn else f"shown {image and image.size}", image=drawn)

    monkeypatch.setattr(api.Chat, "send", send)


def test_a_dialogue_through_a_pipe_keeps_pictures_and_text(blip3o, weights, picture, draws, monkeypatch):
    lines = Lines(
        "draw a dog", f"/image {picture}", "what is this?", "what now?", "", "/save", "/new", "draw it", "/quit", "x"
    )
    monkeypatch.setattr(sys, "stdin", lines)
    done = blip3o("chat", "--model", weights, "--output", "talk")
    assert done.code == 0
    assert done.out.splitlines() == [
        "[picture: talk/01-draw-a-dog.png]",
        f"shown {(SIZE, SIZE)}",
        "shown None",
        "[picture: talk/01-draw-it.png]",
    ]
    assert "![draw a dog](" in Path("talk/dialogue.md").read_text()
    assert lines.lines == ["x"]


def test_a_dialogue_as_json_is_a_line_for_each_turn(blip3o, weights, draws, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Lines("draw a dog", "what is this?"))
    told = [json.loads(line) for line in blip3o("chat", "--model", weights, "--json").out.splitlines()]
    assert [turn["image"] for turn in told] == ["chat/01-draw-a-dog.png", None]


def test_a_dialogue_with_the_model_itself(blip3o, weights, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Lines("a red dog", "make it night"))
    assert blip3o("chat", "--model", weights, "--think").code == 0


def test_the_demo_shows_everything_and_says_where(blip3o, weights):
    done = blip3o("demo", "--model", weights)
    assert done.code == 0
    assert all(part in done.out for part in ("draws", "edits", "reads", "dialogue", "thinks", "demo/contact-sheet.png"))
    with Image.open("demo/contact-sheet.png") as sheet:
        assert sheet.info["model"] == "tiny"
    assert {"drawn", "edited", "read", "dialogue", "riddles"} <= json.loads(
        Path("demo/transcript.json").read_text()
    ).keys()


def test_an_evaluation_gives_scores_and_keeps_the_answers(blip3o, weights):
    asked = ("evaluate", "--limit", 1, "--group", "vqa", "--group", "generation", "-o", "scores", "-m", weights)
    done = blip3o(*asked, "--json")
    scores = json.loads(done.out)
    assert scores["metrics"]["vqa"].keys() == {"value", "n", "low", "high"}
    assert scores["judge"]["accuracy"]["n"] == 1000
    assert json.loads(Path("scores", weights.name, "picturebook.json").read_text())["metrics"] == scores["metrics"]


def test_the_preview_of_the_data_is_a_sheet(blip3o):
    said = [blip3o("data", "preview", "picturebook", "-n", 3, "--json") for _ in range(2)]
    found = [json.loads(one.out) for one in said]
    assert [one["path"] for one in found] == ["picturebook.png", "picturebook-2.png"]
    assert found[0]["captions"] == found[1]["captions"]


def test_info_tells_parts_bytes_and_words(blip3o, weights):
    facts = json.loads(blip3o("info", weights, "--json").out)
    assert facts["parameters"] == sum(facts["parts"].values())
    assert facts["weights"]["commit"] == "abc"
    assert facts["bytes"]["float32"] == 4 * facts["parameters"]
    assert facts["size_on_disk"] > facts["bytes"]["bfloat16"]
    assert facts["peak"]["float32"]["full"] > facts["bytes"]["float32"]
    shown = blip3o("info", weights).out
    assert all(part in shown for part in (*facts["parts"], "balanced", "nf4", "dog"))


@pytest.fixture
def unjudged(monkeypatch):
    """No scores while training; they have their own test."""
    monkeypatch.setattr("blip3o.cli.train_progress.benchmark_scores", lambda model, benchmark, tasks: {})


def test_training_ends_in_a_checkpoint_that_draws(blip3o, unjudged):
    done = blip3o("train", "--config", TINY, "--output", "run")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("run/checkpoint\n")
    sheets = {path.parent.name for path in Path("run/samples").rglob("*.png")}
    assert sheets == {f"{stage}-000004" for stage in ("encoder", "decoder", "generation", "instruction")}
    assert blip3o("generate", "a red dog", "--model", "run/checkpoint").code == 0


def test_a_stage_can_be_trained_alone_and_then_the_next(blip3o, unjudged):
    assert blip3o("train", "--config", TINY, "--stage", "encoder", "-o", "run").code == 0
    assert [path.name for path in Path("run/stages").iterdir()] == ["encoder"]
    assert blip3o("train", "--config", TINY, "--stage", "decoder", "-o", "run").code == 0
    assert blip3o("train", "--config", TINY, "--stage", "generation", "-o", "run").code == 2


def test_a_run_does_not_go_on_from_a_stage_that_another_recipe_trained(blip3o, unjudged):
    asked = ("train", "--config", TINY, "--stage", "encoder", "-o", "run")
    assert blip3o(*asked).code == 0
    other = blip3o(*asked, "stages.encoder.learning_rate=0.75")
    assert other.code == 2
    assert "run holds stage encoder as another recipe trained it" in other.err
    assert "0.75" not in Path("run/recipe.yaml").read_text()
    assert blip3o(*asked, "stages.decoder.steps=9").code == 0


def test_a_restart_puts_the_earlier_run_aside(blip3o, unjudged):
    for words in ((), ("--restart",)):
        assert blip3o("train", "--config", TINY, "--stage", "encoder", "-o", "run", *words).code == 0
    kept = [path for path in Path().iterdir() if path.name.startswith("run.")]
    assert (kept[0] / "stages" / "encoder" / "model.safetensors").is_file()


def test_scores_while_training_are_of_questions_apart_from_the_final_ones(weights):
    from blip3o.api import BLIP3o
    from blip3o.cli import train_progress as watching

    assert watching.SEED != 0
    assert watching.benchmark_scores(BLIP3o.load(weights), "picturebook", ["question"]).keys() == {"vqa"}


SCRIPTS = {
    "run_inference.py": ("--task", "image_classification", "--input_path", "{picture}", "--checkpoint", "{weights}"),
    "generate_image.py": ("--prompt", "a red dog", "--output_path", "output.jpg", "--checkpoint", "{weights}"),
    "evaluate.py": ("--task", "image_understanding", "--checkpoint", "{weights}", "--limit", "1"),
    "train.py": ("--config", str(TINY), "--output_dir", "run", "--stage", "encoder"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_commands_of_the_original_documentation_work(script, weights, picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [word.format(picture=picture, weights=weights) for word in SCRIPTS[script]]
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert end.value.code == 0


def test_the_recipe_of_the_original_command_is_whole():
    from blip3o.config import load
    from blip3o.train.recipe import Recipe

    recipe, whole = (load(Recipe, name) for name in (ROOT / "configs" / "train_blip3u.yaml", "picturebook"))
    assert [stage.name for stage in recipe.stages] == [stage.name for stage in whole.stages]
    assert all(stage.steps <= 100 for stage in recipe.stages)


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "blip3o", "nonsense"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
