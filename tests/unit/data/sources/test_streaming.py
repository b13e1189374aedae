"""Streamed data are read where they lie, by groups of rows, and are the same samples under the same numbers."""

import os
import random
import re

import datasets
import pytest
from data_files import encoded, opened

from blip3o.config import from_dict
from blip3o.data.blocks import Blocks
from blip3o.data.mixture import Mixture
from blip3o.data.opening import source_at
from blip3o.data.parquet_rows import ParquetRows
from blip3o.data.sample import SampleError
from blip3o.data.sources import SOURCES
from blip3o.data.sources.hf_datasets import HFDatasetConfig
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError, DataError
from blip3o.plugins import build, read_config

FILES, ROWS, GROUP = 3, 25, 10


@pytest.fixture
def folder(tmp_path):
    """Three Parquet files of 25 rows, in groups of ten."""
    for file in range(FILES):
        rows = {
            "image": [{"bytes": encoded("red"), "path": None}] * ROWS,
            "text": [f"number {file * ROWS + row}" for row in range(ROWS)],
        }
        split = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
        split.to_parquet(tmp_path / "data" / f"train-{file}.parquet", batch_size=GROUP)
    return tmp_path


@pytest.fixture(autouse=True)
def quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def stream(folder, **values):
    return opened("hf_datasets", folder, streaming=True, **values)


def test_rows_are_those_of_the_files_in_their_order(folder):
    source = stream(folder)
    assert len(source) == FILES * ROWS
    assert [source[index].captions for index in (0, 9, 10, 24, 25, 74)] == [
        (f"number {index}",) for index in (0, 9, 10, 24, 25, 74)
    ]
    assert source.picture(60).pixels.shape == (30, 40, 3)
    assert source.place(30)[1].endswith("train-1.parquet:5")
    assert sorted(source.texts()) == sorted(f"number {n}" for n in range(75))


def test_the_blocks_are_the_groups_of_rows(folder):
    assert stream(folder, window=30).extent("draw") == Blocks([10, 10, 5] * FILES, 30)


def test_each_group_is_read_once_in_an_epoch(folder, monkeypatch):
    read = []
    original = ParquetRows._read
    monkeypatch.setattr(ParquetRows, "_read", lambda rows, group: read.append(group) or original(rows, group))
    mixture = Mixture(stream(folder, window=20), {"draw": 1.0}, "seed", drawing=True)
    prompts = [str(mixture[number][0].content[0]) for number in range(75)]
    assert sorted(prompts) == sorted(f"number {n}" for n in range(75))
    assert sorted(read) == list(range(9))
    assert prompts[:20] != sorted(prompts[:20])


def test_a_mixture_with_a_stream_keeps_its_blocks(folder, tmp_path):
    (tmp_path / "red.png").write_bytes(encoded("red"))
    (tmp_path / "red.txt").write_text("a red field")
    sources = {
        "stream": {"kind": "hf_datasets", "path": str(folder), "streaming": True, "window": 30},
        "files": {"kind": "image_folder", "path": str(tmp_path)},
    }
    source = build(read_config({"kind": "mixture", "sources": sources}, SOURCES, Source, "source"), SOURCES, Source)
    assert source.extent("stream.draw") == Blocks([10, 10, 5] * FILES, 30)
    assert source.extent("files.draw") == 1
    assert source.extent() == Blocks([*[10, 10, 5] * FILES, 1], 30)


def test_a_file_that_changes_or_vanishes_is_told(folder):
    source = stream(folder)
    path = folder / "data" / "train-0.parquet"
    os.utime(path, ns=(0, 10**9))
    with pytest.raises(SampleError, match=r"train-0\.parquet:3: changed file"):
        source[3]
    path.unlink()
    with pytest.raises(SampleError, match="unreadable file"):
        source[3]
    assert source[40].captions == ("number 40",)


def test_a_damaged_group_is_told_and_the_others_are_read(folder):
    path = folder / "data" / "train-0.parquet"
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    source = stream(folder)
    with pytest.raises(SampleError, match=r"train-0\.parquet:0: (damaged|unreadable) file"):
        source[0]
    assert source[24].captions == ("number 24",)


@pytest.mark.parametrize(
    ("name", "remedy"), [("a.tar", "read it by kind webdataset"), ("a.jsonl", "leave streaming out")]
)
def test_other_files_are_refused_with_what_to_do(tmp_path, name, remedy):
    (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=rf"is no Parquet, but .*{name} in which no row can be sought: {remedy}"):
        stream(tmp_path)


def test_a_split_that_is_not_there_is_named_with_those_that_are(folder):
    with pytest.raises(DataError, match="no split 'test' to stream: choose one of train"):
        stream(folder, split="test")


def test_what_is_no_parquet_inside_is_one_line(folder):
    (folder / "data" / "train-1.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"train-1\.parquet cannot be read as Parquet .*: copy it again"):
        stream(folder)


def test_an_address_of_another_file_system_is_opened_there(folder):
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in sorted((folder / "data").iterdir()):
        memory.pipe(f"/stream/{path.name}", path.read_bytes())
    rows = ParquetRows([f"memory://stream/train-{file}.parquet" for file in range(FILES)], 10)
    assert [rows[index]["text"] for index in random.Random(0).sample(range(75), 75)] == [
        f"number {index}" for index in random.Random(0).sample(range(75), 75)
    ]


def test_a_window_of_no_rows_is_refused():
    with pytest.raises(ConfigError, match="window is 0"):
        from_dict(HFDatasetConfig, {"path": "x", "window": 0})


@pytest.mark.parametrize("pattern", ["data/train-1.parquet", "data/*.parquet", "", "data"])
def test_files_are_named_by_themselves_by_a_glob_or_by_their_folder(folder, pattern):
    source = source_at(str(folder / pattern))
    first = 25 if pattern.endswith("1.parquet") else 0
    assert (len(source), source[0].captions) == (25 if first else 75, (f"number {first}",))
    assert isinstance(source.extent(), Blocks)


def test_files_that_are_not_there_are_one_line(folder):
    for pattern in ("none.parquet", "none-*.parquet"):
        with pytest.raises(DataError, match=rf"{re.escape(pattern)} does not exist: name Parquet files"):
            stream(folder / pattern)


def test_files_may_be_copied_by_the_library_first(folder, monkeypatch):
    loaded = []

    def load_dataset(kind, *, data_files, split):
        loaded.append((kind, data_files, split))
        return datasets.Dataset.from_dict({"text": ["a red field"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(opened("hf_datasets", folder / "a.parquet")) == 1
    assert loaded == [("parquet", str(folder / "a.parquet"), "train")]
