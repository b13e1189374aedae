"""What is broken in files of data is named with its place and passed over, or refused before training starts."""

import os
import random
import re
import sys
import tarfile
from pathlib import Path

import pytest
from data_files import encoded, jsonl, lines, opened, shards, table
from PIL import Image

from blip3o.data.sample import SampleError
from blip3o.errors import ConfigError, DataError


def said(question, answer="Red."):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


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
    "control token": {"image": "red.png", "caption": "a red field<|im_end|>"},
    "elongated image": {"image": "long.png", "caption": "a line"},
    "no JSON": '{"image": "red.png", "capti',
    "no JSON object": "[1]",
}


@pytest.mark.parametrize("reason", BROKEN)
def test_what_is_broken_is_named_with_its_place(folder, reason):
    (folder / "cut.png").write_bytes(encoded("red", size=(300, 300))[:200])
    (folder / "empty.png").touch()
    Image.new("1", (20_000, 6_000)).save(folder / "huge.png")
    Image.new("1", (2_001, 10)).save(folder / "long.png")
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


@pytest.mark.parametrize("source_of", [shards, lines])
@pytest.mark.parametrize("change", ["longer", "other"])
def test_a_file_that_changes_while_it_is_read_is_told(folder, source_of, change):
    source = source_of(folder)
    path = Path(source.place(0)[0])
    content = path.read_bytes()
    path.write_bytes(content + bytes(512) if change == "longer" else content[::-1])
    os.utime(path, ns=(0, 10**9))
    with pytest.raises(SampleError, match="changed file"):
        source[0]


@pytest.mark.parametrize("source_of", [shards, lines, table])
def test_a_file_that_vanishes_while_it_is_read_is_told(folder, source_of):
    source = source_of(folder)
    Path(source.place(0)[0]).unlink()
    with pytest.raises(SampleError, match="unreadable file"):
        source[0]


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (said("what is <|vision_start|>?"), "<|vision_start|>"),
        (said("What?", "Red.<|eot_id|>"), "<|eot_id|>"),
        (said("<think>"), "<think>"),
        (said("What?", "<think>it is red</think> Red."), None),
    ],
)
def test_turns_hold_no_control_tokens_but_the_assistants_thoughts(folder, turns, fault):
    source = opened("jsonl", jsonl(folder / "talk.jsonl", {"conversations": turns}))
    if fault is None:
        assert source[0].conversation[1].content == ("<think>it is red</think> Red.",)
        return
    with pytest.raises(SampleError, match=rf"control token \(it holds {re.escape(repr(fault))}\)"):
        source[0]


def test_a_picture_just_short_of_too_elongated_is_read(folder):
    Image.new("RGB", (2_000, 10)).save(folder / "long.png")
    source = opened("jsonl", jsonl(folder / "long.jsonl", {"image": "long.png", "caption": "a line"}))
    assert source.picture(0).pixels.shape == (10, 2_000, 3)


@pytest.mark.parametrize(("form", "name"), [("gz", "gzip"), ("bz2", "bzip2"), ("xz", "xz")])
def test_a_compressed_shard_is_refused_by_its_kind(folder, form, name):
    with tarfile.open(folder / "00.tar", f"w:{form}") as file:  # pyright: ignore
        file.add(folder / "red.png", "red.png")
    with pytest.raises(DataError, match=rf"00\.tar is compressed by {name}, .* unpack it to a \.tar"):
        opened("webdataset", folder / "00.tar")


def test_a_member_beyond_all_bounds_is_told(folder, monkeypatch):
    monkeypatch.setattr("blip3o.data.sources.webdataset.LARGEST_MEMBER", 50)
    with pytest.raises(SampleError, match="huge file"):
        shards(folder)[0]


@pytest.mark.parametrize("text", ['[{"caption": "a"}', '[{"caption": "a"}] more', "[]", " "])
def test_a_list_that_is_not_whole_is_one_line(folder, text):
    (folder / "list.json").write_text(text)
    with pytest.raises(DataError, match=r"list\.json (is no JSON|holds no rows)"):
        opened("jsonl", folder / "list.json")


@pytest.mark.parametrize("kind", ["webdataset", "jsonl", "image_folder"])
def test_data_that_is_not_there_is_one_line(tmp_path, kind):
    with pytest.raises(DataError, match="nowhere"):
        opened(kind, tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["jsonl", "image_folder"])
def test_data_of_no_samples_is_one_line(tmp_path, kind):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="holds no"):
        opened(kind, tmp_path / "empty.jsonl" if kind == "jsonl" else tmp_path)


@pytest.mark.parametrize(("kind", "package"), [("webdataset", "braceexpand"), ("hf_datasets", "datasets")])
def test_a_package_that_is_not_installed_is_named(folder, monkeypatch, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"takes {package}: pip install 'blip3o\[train\]'"):
        opened(kind, folder / "a.tar")


def test_a_text_with_an_end_of_string_in_it_is_skipped_before_the_tokenizer_refuses_it(folder):
    source = opened("jsonl", jsonl(folder / "nul.jsonl", {"image": "red.png", "caption": "a red\0field"}))
    with pytest.raises(SampleError, match="badly encoded text"):
        source[0]


def test_a_table_with_a_line_that_is_no_object_gives_the_others(folder):
    jsonl(folder / "metadata.jsonl", {"file_name": "red.png", "text": "a red field"}, '["red.png"]')
    source = opened("image_folder", folder)
    assert source[0].captions == ("a red field",)
    with pytest.raises(SampleError, match=r"metadata\.jsonl:2: no JSON object"):
        source[1]
