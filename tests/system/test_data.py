"""blip3o data on somebody's own files: what is there, and what would be skipped."""

import base64
import json
import re
import shlex
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blip3o.data.sample import SampleError


@pytest.fixture
def pictures(tmp_path):
    """Five pictures, of which one is broken, one has no caption and one is there twice."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, color in enumerate(("red", "blue", "red", "green")):
        Image.new("RGB", (30 + 10 * number if color != "red" else 30, 20), color).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"a {color} field")
    (folder / "3.txt").unlink()
    (folder / "4.png").write_bytes(b"no picture")
    (folder / "4.txt").write_text("a field")
    return folder


def test_a_check_says_what_is_there_and_what_is_wrong(blip3o, pictures):
    done = blip3o("data", "check", "mine")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[:4] == [
        "3 of 5 samples can be trained on",
        "width: 30 to 40 px, median 30",
        "height: 20 to 20 px, median 20",
        "caption: 11 to 12 characters, median 11",
    ]
    assert lines[4] == "languages: en 100%"
    assert "skipped: 1 x no caption (1 in mine)" in lines
    assert "  mine/3.png: no caption (3.txt does not lie beside it)" in lines
    assert "skipped: 1 x unreadable image (1 in mine)" in lines
    assert lines[-2:] == ["1 pictures are the same as an earlier one", "  mine/2.png = mine/0.png"]
    report = json.loads(blip3o("data", "check", "mine", "--json").out)
    assert (report["samples"], report["usable"], report["duplicates"]) == (5, 3, [["mine/2.png", "mine/0.png"]])


def test_the_page_of_a_check_shows_what_is_there_and_what_is_wrong(blip3o, pictures):
    (pictures / "4.txt").write_text("<b>bold</b> & a field")
    (pictures / "0.txt").write_text("<i>a red field</i> & more")
    done = blip3o("data", "check", "mine", "--output", "pages/report.html")
    assert (done.code, done.err) == (1, "")
    page = Path("pages/report.html").read_text(encoding="utf-8")
    for words in ("3 of 5 samples can be trained on", "no caption", "unreadable image", "The same picture: 1"):
        assert words in page
    assert "&lt;i&gt;a red field&lt;/i&gt; &amp; more" in page
    assert "<i>a red" not in page
    assert page.count("<svg") == 4
    assert 'href="../mine/3.png"' in page
    shown = [decoded(one) for one in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)]
    assert sorted(set(shown)) == ["blue", "green", "red"]  # green: without its caption, and still a picture
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


def decoded(content):
    """The nearest pure colour of a picture in base64."""
    with Image.open(BytesIO(base64.b64decode(content))) as image:
        brightest = int(np.asarray(image.convert("RGB"))[2, 2].argmax())
    return ("red", "green", "blue")[brightest]


def test_a_page_has_the_name_of_one(blip3o, pictures):
    done = blip3o("data", "check", "mine", "--output", "report.pdf")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "ends in .html" in done.err


def test_a_check_of_whole_data_ends_well(blip3o, pictures):
    Path("rows.jsonl").write_text(json.dumps({"image": "mine/0.png", "caption": "a red field"}) + "\n")
    done = blip3o("data", "check", "rows.jsonl")
    assert (done.code, done.out.splitlines()[0]) == (0, "1 of 1 samples can be trained on")


def test_a_preview_shows_what_can_be_read(blip3o, pictures):
    done = blip3o("data", "preview", "mine", "-n", 12, "--json")
    shown = json.loads(done.out)
    assert sorted(shown["captions"]) == ["a blue field", "a red field", "a red field"]
    with Image.open(shown["path"]) as page:
        colors = set(page.convert("RGB").get_flattened_data())
    assert {(255, 0, 0), (0, 0, 255)} <= colors


@pytest.mark.parametrize(("path", "said"), [("nowhere", "is no data"), ("nowhere.jsonl", "does not exist")])
def test_data_that_is_not_there_is_one_line(blip3o, path, said):
    for verb in ("check", "preview"):
        done = blip3o("data", verb, path)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert said in done.err


def test_a_folder_of_which_nothing_can_be_read_is_told_so(blip3o, pictures):
    for path in pictures.glob("*.txt"):
        path.unlink()
    done = blip3o("data", "preview", "mine")
    assert (done.code, done.err) == (
        2,
        "error: mine holds no sample with a picture that can be read: see `blip3o data check mine`\n",
    )


def test_packing_goes_from_a_folder_to_shards_that_a_check_finds_whole(blip3o, pictures):
    done = blip3o("data", "pack", "mine", "--output", "shards", "--shard-size", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "3 of 5 samples in 2 shards: shards",
        "left out: 1 x no caption",
        "left out: 1 x unreadable image",
    ]
    assert blip3o("data", "check", "shards/{00000..00001}.tar").out.startswith("3 of 3 samples")
    again = blip3o("data", "pack", "mine", "--output", "shards", "--shard-size", "2")
    assert (again.code, again.out) == (0, done.out)
    other = blip3o("data", "pack", "mine", "--output", "shards", "--shard-size", "3")
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "another shard size" in other.err


def test_a_shard_size_that_is_none_is_one_line(blip3o, pictures):
    done = blip3o("data", "pack", "mine", "--output", "shards", "--shard-size", "many")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "'many', expected samples such as 10000, or bytes such as 500MB" in done.err
    assert not Path("shards/index.json").exists()


def test_features_are_kept_for_one_model_and_one_set_of_data(blip3o, pictures, weights):
    done = blip3o("data", "cache", "mine", "--model", weights, "--output", "features")
    assert (done.code, done.err) == (0, "")
    assert done.out == "features of 5 pictures, 720 bytes: features\n"
    assert blip3o("data", "cache", "mine", "--model", weights, "--output", "features").out == done.out
    Image.new("RGB", (30, 21), "white").save(pictures / "5.png")
    other = blip3o("data", "cache", "mine", "--model", weights, "--output", "features")
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "was made of another source: nothing is overwritten" in other.err


def test_features_of_the_source_of_a_recipe_are_kept(blip3o, pictures, weights):
    Path("mine.yaml").write_text("extends: folder\nchanges: {source: {kind: image_folder, path: mine}}\n")
    done = blip3o("data", "cache", "--config", "mine.yaml", "--model", weights, "--output", "features", "--json")
    assert json.loads(done.out)["samples"] == 5
    none = blip3o("data", "cache", "--model", weights, "--output", "others")
    assert (none.code, none.err) == (2, "error: no data named: give a path, or a recipe with --config\n")
    other = blip3o("data", "cache", "nowhere", "--config", "mine.yaml", "--model", weights, "--output", "others")
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "nowhere is no folder" in other.err


def test_a_preview_of_conversations_shows_who_says_what(blip3o, pictures):
    turns = [{"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "a red field"}]
    edit = {"source": "mine/0.png", "instruction": "make it blue", "target": "mine/1.png"}
    rows = [{"image": "mine/0.png", "conversations": turns}, edit]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = blip3o("data", "preview", "rows.jsonl", "--json")
    shown = json.loads(done.out)
    assert sorted(shown["captions"]) == [
        "user: [1] make it blue\n-> assistant: [2]",
        "user: [1] what is it?\n-> assistant: a red field",
    ]
    with Image.open(shown["path"]) as page:
        colors = set(page.convert("RGB").get_flattened_data())
    assert {(255, 0, 0), (0, 0, 255)} <= colors


def test_a_preview_is_written_where_one_stands_and_not_beside_what_it_shows(blip3o, pictures, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in (tmp_path / "mine", "../mine/"):
        assert blip3o("data", "preview", name, "-n", 2).code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["mine-2.png", "mine.png"]
    assert not list(tmp_path.glob("*.png"))


def test_a_preview_of_a_recipe_shows_what_its_stages_learn_from(blip3o, pictures):
    for name in ("3.png", "4.png"):
        (pictures / name).unlink()
    done = blip3o("data", "preview", "mine", "--config", "folder", "-n", 2, "--json")
    assert (done.code, done.err) == (0, "")
    captions = json.loads(done.out)["captions"]
    assert captions[:4] == ["", "", "", ""]  # the pictures of two stages
    drawing = [text for text in captions if text.endswith("-> assistant: [1]")]
    reading = [text for text in captions if text.startswith("user: [1] describe this picture.")]
    assert (len(drawing), len(reading), len(captions)) == (2, 4, 10)
    assert {text.split("\n")[0] for text in drawing} <= {"user: a red field", "user: a blue field"}


def test_a_preview_leaves_out_what_the_recipe_holds_out(blip3o):
    from blip3o.cli.preview import stages
    from blip3o.config import load
    from blip3o.data.opening import source_at
    from blip3o.train.recipe import Recipe

    Path("mine").mkdir()
    for number in range(12):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(f"mine/{number:02}.png")
        Path(f"mine/{number:02}.txt").write_text(f"field {number}")
    recipe, source = load(Recipe, "folder", ["source.path=mine", "validation.share=0.4"]), source_at("mine")
    shown = stages(recipe, source, 40)
    learned = source.indices("training", ["draw"])["draw"]
    assert 0 < len(learned) < 12
    drawn = {text.split("\n")[0] for _, text in dict(shown)["generation: draw 100%"]}
    assert drawn == {f"user: field {number}" for number in learned}
    pictures = {int(np.asarray(image)[96, 96, 0]) for image, _ in dict(shown)["encoder: pictures"]}
    assert pictures == {20 * number for number in learned}


def test_the_preview_of_a_stage_is_what_training_takes(blip3o, pictures):
    from blip3o.cli.preview import stages
    from blip3o.config import load
    from blip3o.data.opening import source_at
    from blip3o.data.transcript import transcript
    from blip3o.pipeline.pipeline import Pipeline
    from blip3o.processing.tokenizer import learn
    from blip3o.train.objectives.unified import UnifiedObjective
    from blip3o.train.recipe import Recipe

    source = source_at("mine")
    recipe = load(Recipe, "folder", ["source.path=mine", "seed=3"])
    stage = recipe.stages[-1]
    pipeline = Pipeline(recipe.model, learn(source.texts(), recipe.model.unified.backbone.text.vocab_size))
    objective = UnifiedObjective(replace(stage.objective, features="online"), pipeline, source)
    run = f"train/3/{stage.name}/draw"
    taken = []
    for number in range(30):
        try:
            taken.append(transcript(objective.mixture("draw", run)[number]))
        except SampleError:
            continue
    shown = dict(stages(recipe, source, 5))["generation: draw 100%"]
    assert [text for _, text in shown] == taken[:5]


def test_the_commands_of_the_page_about_data_do_what_they_say(blip3o, pictures):
    for name in ("3.png", "4.png"):
        (pictures / name).unlink()
    pictures.rename("my-pictures")
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    commands = re.findall(r"^blip3o (data .+)$", blocks, re.MULTILINE)
    assert {command.split()[1] for command in commands} == {"check", "preview", "pack", "cache"}
    for command in commands:
        done = blip3o(*shlex.split(command))
        assert (done.code, done.err) == (0, ""), command
    assert Path("report.html").is_file()
    assert json.loads(Path("features/store.json").read_text())["count"] == 3
    assert json.loads(Path("conditions/store.json").read_text())["count"] == 3  # two captions and the empty prompt
    assert [path.name for path in sorted(Path("shards").glob("[!.]*"))] == ["00000.tar", "index.json"]
