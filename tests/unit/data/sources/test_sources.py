"""Sources of files: every format gives the same samples, and what is broken is named and passed over."""

import io
import json
import random
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blip3o.data.sample import SampleError
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import DESCRIBE, Source
from blip3o.errors import ConfigError, DataError
from blip3o.plugins import build, read_config
from blip3o.processing.conversation import Picture

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def encoded(color, form="PNG", size=(40, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, COLORS[color]).save(file, form)
    return file.getvalue()


def opened(kind, path, **values):
    return build(read_config({"kind": kind, "path": str(path), **values}, SOURCES, Source, "source"), SOURCES, Source)


def tar(path, members):
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def jsonl(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


@pytest.fixture
def folder(tmp_path):
    """Images of three colours with a caption beside each."""
    for color in COLORS:
        (tmp_path / f"{color}.png").write_bytes(encoded(color))
        (tmp_path / f"{color}.txt").write_text(f"a {color} field\n")
    return tmp_path


def shards(folder):
    members = [(f"{c}.png", (folder / f"{c}.png").read_bytes()) for c in COLORS]
    members += [(f"{c}.txt", (folder / f"{c}.txt").read_bytes()) for c in COLORS]
    tar(folder / "00.tar", dict(sorted(members)[:4]))
    tar(folder / "01.tar", dict(sorted(members)[4:]))
    return opened("webdataset", folder / "{00..01}.tar")


def lines(folder):
    return opened(
        "jsonl", jsonl(folder / "c.jsonl", *({"image": f"{c}.png", "caption": f"a {c} field"} for c in COLORS))
    )


def table(folder):
    inside = folder / "table"
    inside.mkdir()
    rows = [{"file_name": f"../{c}.png", "text": f"a {c} field"} for c in COLORS]
    jsonl(inside / "metadata.jsonl", *rows)
    return opened("image_folder", inside)


def saved(folder):
    import datasets

    rows = {"image": [str(folder / f"{c}.png") for c in COLORS], "text": [f"a {c} field" for c in COLORS]}
    datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image()).save_to_disk(folder / "saved")
    return opened("hf_datasets", folder / "saved")


@pytest.mark.parametrize("source_of", [shards, lines, table, saved, lambda folder: opened("image_folder", folder)])
def test_every_format_gives_the_same_samples(folder, source_of):
    source = source_of(folder)
    samples = {sample.captions: sample.picture for sample in map(source.__getitem__, range(len(source)))}
    assert {captions[0]: tuple(picture.pixels[0, 0]) for captions, picture in samples.items()} == {
        f"a {name} field": color for name, color in COLORS.items()
    }
    assert sorted(source.texts()) == sorted(f"a {name} field" for name in COLORS)


def test_an_image_and_its_caption_make_a_request_and_a_description(folder):
    source, rng = opened("image_folder", folder), random.Random(0)
    request, drawn = source.conversation("draw", 0, rng)
    assert (request.content, type(drawn.content[0])) == (("a blue field",), Picture)
    shown, described = source.conversation("caption", 0, rng)
    assert (shown.content[1], described.content) == (DESCRIBE, ("a blue field",))


@pytest.mark.parametrize(
    ("rule", "expected"), [("longest", {"a red field"}), ("shortest", {"red"}), ("any", {"a red field", "red"})]
)
def test_one_of_several_captions_is_chosen_by_rule(folder, rule, expected):
    rows = jsonl(folder / "many.jsonl", {"image": "red.png", "caption": ["a red field", "red"]})
    source, rng = opened("jsonl", rows, captions=rule), random.Random(0)
    assert {source.conversation("draw", 0, rng)[0].content[0] for _ in range(30)} == expected


def test_a_share_of_prompts_is_dropped(folder):
    source, rng = opened("image_folder", folder, caption_dropout=0.25), random.Random(0)
    prompts = [source.conversation("draw", 0, rng)[0].content[0] for _ in range(400)]
    assert 70 < prompts.count("") < 130
    assert all(source.conversation("caption", 0, rng)[1].content[0] for _ in range(50))


def test_columns_may_have_names_of_their_own(folder):
    rows = jsonl(folder / "own.jsonl", {"picture_file": "red.png", "alt": "a red field"})
    source = opened("jsonl", rows, columns={"image": "picture_file", "caption": "alt"})
    assert source[0].captions == ("a red field",)


def said(question, answer="Red."):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


LLAVA = {
    "image": "red.png",
    "conversations": [{"from": "human", "value": "<image>\nWhich colour?"}, {"from": "gpt", "value": "Red."}],
}
OPENAI = {
    "images": ["red.png"],
    "messages": [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which colour?"}]},
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Thanks."},
    ],
}
UNMARKED = {
    "image": "red.png",
    "conversations": [{"from": "human", "value": "Which colour?"}, {"from": "gpt", "value": "Red."}],
}


@pytest.mark.parametrize("row", [LLAVA, OPENAI, UNMARKED])
def test_both_dialects_of_conversations_are_read(folder, row):
    asked, answered = opened("jsonl", jsonl(folder / "talk.jsonl", row)).conversation("chat", 0, random.Random(0))
    picture, question = asked.content
    assert isinstance(picture, Picture)
    assert tuple(picture.pixels[0, 0]) == COLORS["red"]
    assert (question, answered.content) == ("Which colour?", ("Red.",))


def test_several_images_stand_where_their_marks_are(folder):
    turns = [{"from": "human", "value": "<image>\nand <image>\n?"}, {"from": "gpt", "value": "No."}]
    row = {"images": ["red.png", "blue.png"], "conversations": turns}
    content = opened("jsonl", jsonl(folder / "two.jsonl", row))[0].conversation[0].content
    assert [tuple(part.pixels[0, 0]) if isinstance(part, Picture) else part.strip() for part in content] == [
        COLORS["red"],
        "and",
        COLORS["blue"],
        "?",
    ]


def test_an_edit_ends_in_its_target(folder):
    row = {"source": "red.png", "instruction": "make it blue", "target": "blue.png"}
    asked, drawn = opened("jsonl", jsonl(folder / "edits.jsonl", row)).conversation("edit", 0, random.Random(0))
    assert isinstance(drawn.content[0], Picture)
    assert (asked.content[1], tuple(drawn.content[0].pixels[0, 0])) == ("make it blue", COLORS["blue"])


BROKEN = {
    "no image": {"caption": "a field"},
    "no caption": {"image": "red.png"},
    "unreadable image": {"image": "nowhere.png", "caption": "a field"},
    "truncated image": {"image": "cut.png", "caption": "a field"},
    "huge image": {"image": "huge.png", "caption": "a field"},
    "empty image": {"image": "empty.png", "caption": "a field"},
    "missing image": {"image": "red.png", "conversations": said("<image><image>")},
    "unknown role": {"conversations": [{"from": "cat", "value": "meow"}]},
    "no answer": {"conversations": [{"from": "human", "value": "hello?"}]},
    "empty turn": {"conversations": said(" ")},
    "incomplete edit": {"source": "red.png", "target": "blue.png"},
    "text too long": {"image": "red.png", "caption": "a" * 100_001},
    "no conversation": {"messages": [{"role": "user", "content": ["hello"]}, {"role": "assistant", "content": "."}]},
    "badly encoded text": {"image": "red.png", "caption": "caf\ufffd"},
    "no text": {"image": "red.png", "caption": 5},
    "no JSON": '{"image": "red.png", "capti',
    "no JSON object": "[1]",
}


@pytest.mark.parametrize("reason", BROKEN)
def test_what_is_broken_is_named_with_its_place(folder, reason):
    (folder / "cut.png").write_bytes(encoded("red", size=(300, 300))[:200])
    (folder / "empty.png").touch()
    Image.new("1", (20_000, 6_000)).save(folder / "huge.png")
    rows = jsonl(folder / "rows.jsonl", {"image": "red.png", "caption": "a red field"}, BROKEN[reason])
    source = opened("jsonl", rows)
    assert source[0].captions == ("a red field",)
    with pytest.raises(SampleError) as caught:
        source.conversation("chat", 1, random.Random(0))
    assert (caught.value.reason, caught.value.shard, caught.value.address) == (reason, str(rows), f"{rows}:2")
    assert str(caught.value).startswith(f"{rows}:2: {reason}")


def test_an_image_without_a_caption_beside_it_is_named(folder):
    (folder / "red.txt").unlink()
    source = opened("image_folder", folder)
    with pytest.raises(SampleError, match=r"red\.png: no caption \(red\.txt does not lie beside it\)"):
        source[2]


def test_a_shard_that_is_cut_gives_what_comes_before(folder):
    shards(folder)
    path = folder / "00.tar"
    path.write_bytes(path.read_bytes()[:2100])  # in the middle of the second sample
    source = opened("webdataset", path)
    assert source[0].captions == ("a blue field",)
    with pytest.raises(SampleError, match="broken shard"):
        source[1]
    assert len(source) == 2


def test_a_shard_that_changes_while_it_is_read_is_told(folder):
    source = shards(folder)
    with (folder / "00.tar").open("ab") as file:
        file.write(b"\0" * 512)
    with pytest.raises(SampleError, match="changed shard"):
        source[0]


@pytest.mark.parametrize("kind", ["webdataset", "jsonl", "image_folder"])
def test_data_that_is_not_there_is_one_line(tmp_path, kind):
    with pytest.raises(DataError, match="nowhere"):
        opened(kind, tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["jsonl", "image_folder"])
def test_data_of_no_samples_is_one_line(tmp_path, kind):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="holds no"):
        opened(kind, tmp_path / "empty.jsonl" if kind == "jsonl" else tmp_path)


def test_every_order_of_files_on_the_disk_gives_the_same_numbers(folder, monkeypatch):
    first = [sample.address for sample in map(opened("image_folder", folder).__getitem__, range(3))]
    walk = __import__("os").walk
    monkeypatch.setattr("os.walk", lambda top: ((p, d, n[::-1]) for p, d, n in walk(top)))
    assert [opened("image_folder", folder)[i].address for i in range(3)] == first == sorted(first)


def test_pixels_are_those_of_the_file(folder):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)).save(folder / "red.png")
    expected = np.asarray(Image.open(folder / "red.png"))
    assert (opened("image_folder", folder).picture(2).pixels == expected).all()


def test_a_path_of_one_shard_needs_no_pattern(folder):
    shards(folder)
    assert len(opened("webdataset", Path(folder, "00.tar"))) == 2


def test_the_configuration_of_a_data_set_is_asked_of_the_hub(monkeypatch):
    import datasets

    requests = []

    def load_dataset(*names, split):
        requests.append((*names, split))
        return datasets.Dataset.from_dict({"text": ["a red field"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(opened("hf_datasets", "somebody/pictures", name="small", split="test")) == 1
    assert requests == [("somebody/pictures", "small", "test")]


@pytest.mark.parametrize(("kind", "package"), [("webdataset", "braceexpand"), ("hf_datasets", "datasets")])
def test_a_package_that_is_not_installed_is_named(folder, monkeypatch, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"takes {package}: pip install 'blip3o\[train\]'"):
        opened(kind, folder / "a.tar")


def test_a_text_with_an_end_of_string_in_it_is_skipped_before_the_tokenizer_refuses_it(folder):
    source = opened("jsonl", jsonl(folder / "nul.jsonl", {"image": "red.png", "caption": "a red\0field"}))
    with pytest.raises(SampleError, match="badly encoded text"):
        source[0]


def test_a_table_of_lines_that_are_no_objects_is_one_line(folder):
    (folder / "metadata.jsonl").write_text('["red.png"]')
    with pytest.raises(DataError, match="no objects"):
        opened("image_folder", folder)
