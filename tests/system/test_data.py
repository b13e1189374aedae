"""blip3o data on somebody's own files: what is there, and what would be skipped."""

import base64
import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


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
