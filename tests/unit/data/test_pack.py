"""Packing: shards hold what the source holds, whole or not at all, and go on after a stop."""

import json
import tarfile

import datasets
import numpy as np
import pytest
from PIL import Image

from blip3o.data import pack as packing
from blip3o.data.identity import identity
from blip3o.data.opening import source_at
from blip3o.data.pack import ShardSize, pack
from blip3o.errors import ConfigError, DataError, OutputError
from blip3o.processing.conversation import Picture

TEN = ShardSize(samples=10)


def picture(path, seed, size=(20, 14), **options):
    colors = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(colors).resize(size).save(path, **options)
    return path.name


@pytest.fixture
def rows(tmp_path):
    """Every kind of row, in a JSONL file with its pictures beside it."""
    here = tmp_path / "data"
    here.mkdir()
    png, jpg = picture(here / "a.png", 0), picture(here / "b.jpg", 1, quality=30)
    webp, gif = picture(here / "c.webp", 2), picture(here / "d.gif", 3)
    tif, bmp = picture(here / "e.tif", 4), picture(here / "f.bmp", 5)
    ppm = picture(here / "g.ppm", 6)
    say, answer = {"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "ein Hund 犬"}
    several = {"role": "user", "content": "first <image>, then <image>: which?"}
    parts = [{"type": "image"}, {"type": "text", "text": "and this one?"}]
    listed = [
        {"image": png, "caption": "a field", "url": "http://x.y/z", "score": 0.5, "nothing": None},
        {"image": jpg, "captions": ["a field", "a wide field \u00e9"], "text": "another"},
        {"image": webp, "text": " spaced "},
        {"image": gif, "caption": "a moving field"},
        {"image": tif, "caption": "a field"},
        {"image": bmp, "caption": ["one", "two"]},
        {"image": ppm, "caption": "a rare field"},
        {"image": jpg, "conversations": [say, answer]},
        {"images": [png, jpg], "messages": [several, {"role": "assistant", "content": "the second"}]},
        {"images": [png], "messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "yes"}]},
        {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello"}]},
        {"image": gif, "conversations": [say, answer]},
        {"source": png, "instruction": "make it wide", "target": jpg},
        {"source_images": [png, webp], "edit_prompt": "join them", "edited_image": gif},
    ]
    (here / "rows.jsonl").write_text("\n".join(map(json.dumps, listed)), encoding="utf-8")
    return here / "rows.jsonl"


def content(sample):
    """What a sample holds, places left out."""
    said = [
        (turn.role, [part.pixels.tolist() if isinstance(part, Picture) else part for part in turn.content])
        for turn in sample.conversation
    ]
    return sample.captions, [picture.pixels.tolist() for picture in sample.pictures], said


def shards(folder):
    return source_at(str(folder / "*.tar"))


@pytest.mark.parametrize("size", [TEN, ShardSize(samples=2), ShardSize(content_bytes=900)])
def test_every_kind_of_row_comes_back_as_it_was(rows, tmp_path, size):
    source = source_at(str(rows))
    done = pack(source, tmp_path / "shards", size)
    back = shards(tmp_path / "shards")
    assert done.packed == len(source) == len(back) == 14
    assert [content(back[index]) for index in range(14)] == [content(source[index]) for index in range(14)]
    assert list(back.texts()) == list(source.texts())


def test_picture_files_go_in_as_they_are(rows, tmp_path):
    pack(source_at(str(rows)), tmp_path / "shards", TEN)
    with tarfile.open(tmp_path / "shards" / "00000.tar") as shard:
        held = {member.name: file.read() for member in shard if (file := shard.extractfile(member)) is not None}
    for name, file in (("000000000.png", "a.png"), ("000000001.jpg", "b.jpg"), ("000000008.1.jpg", "b.jpg")):
        assert held[name] == (rows.parent / file).read_bytes()
    assert held["000000000.txt"] == b"a field"
    assert json.loads(held["000000000.json"]) == {"url": "http://x.y/z", "score": 0.5}
    assert "000000002.json" not in held


def test_the_library_of_the_format_reads_the_shards(rows, tmp_path):
    from webdataset.tariterators import group_by_keys, tar_file_expander

    pack(source_at(str(rows)), tmp_path / "shards", TEN)
    with (tmp_path / "shards" / "00000.tar").open("rb") as shard:
        first, *others = list(group_by_keys(tar_file_expander([{"url": "00000.tar", "stream": shard}])))
    assert len(others) == 9
    assert (first["__key__"], first["txt"]) == ("000000000", b"a field")
    assert first["png"] == (rows.parent / "a.png").read_bytes()


def test_columns_of_other_names_and_other_formats_are_packed(rows, tmp_path):
    from blip3o.data.sources import SOURCES
    from blip3o.data.sources.jsonl import JsonLinesConfig
    from blip3o.data.sources.source import Source
    from blip3o.plugins import build

    renamed = rows.with_name("renamed.jsonl")
    renamed.write_text(json.dumps({"picture_file": "a.png", "alt": "a field"}))
    config = JsonLinesConfig(path=str(renamed), columns={"image": "picture_file", "caption": "alt"})
    pack(build(config, SOURCES, Source), tmp_path / "one", TEN)
    assert shards(tmp_path / "one")[0].captions == ("a field",)
    split = datasets.Dataset.from_list([{"image": str(rows.parent / "a.png"), "caption": ["a", "b"]}])
    split.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "saved")
    pack(source_at(str(tmp_path / "saved")), tmp_path / "two", TEN)
    assert content(shards(tmp_path / "two")[0]) == content(source_at(str(tmp_path / "saved"))[0])
    pack(shards(tmp_path / "two"), tmp_path / "again", TEN)
    assert content(shards(tmp_path / "again")[0]) == content(source_at(str(tmp_path / "saved"))[0])


def test_a_world_without_files_is_packed_as_png(tmp_path):
    from blip3o.picturebook.source import Scenes, ScenesConfig

    book = Scenes(ScenesConfig(seed="tests", stories=1))
    pack(book, tmp_path / "shards", TEN)
    back = shards(tmp_path / "shards")
    assert [content(back[index]) for index in range(3)] == [content(book[index]) for index in range(3)]


@pytest.fixture
def many(tmp_path):
    """Twenty pictures, of which two are broken and one has no caption."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(20):
        picture(folder / f"{number:02}.png", number)
        (folder / f"{number:02}.txt").write_text(f"field {number}")
    (folder / "03.png").write_bytes(b"no picture")
    (folder / "12.png").write_bytes((folder / "12.png").read_bytes()[:60])
    (folder / "15.txt").unlink()
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_faulty_samples_are_left_out_and_listed(many, tmp_path):
    done = pack(source_at(str(many)), tmp_path / "shards", ShardSize(samples=4))
    assert (done.packed, sum(done.skipped.values())) == (17, 3)
    lines = [json.loads(line) for line in (tmp_path / "shards" / "samples_skipped.jsonl").read_text().splitlines()]
    assert [(line["sample"], line["reason"]) for line in lines] == [
        (3, "unreadable image"),
        (12, "truncated image"),
        (15, "no caption"),
    ]
    captions = [shards(tmp_path / "shards")[index].captions[0] for index in range(17)]
    assert captions == [f"field {number}" for number in range(20) if number not in (3, 12, 15)]


def test_the_index_lists_the_shards_as_they_are(many, tmp_path):
    pack(source_at(str(many)), tmp_path / "shards", ShardSize(samples=4))
    index = json.loads((tmp_path / "shards" / "index.json").read_text())
    assert (index["wids_version"], len(index["shardlist"])) == (1, 5)
    for shard in index["shardlist"]:
        path = tmp_path / "shards" / shard["url"]
        assert path.stat().st_size == shard["filesize"]
        with tarfile.open(path) as tar:
            assert len({member.name.partition(".")[0] for member in tar}) == shard["nsamples"]


@pytest.mark.parametrize("stop", [1, 5, 9, 14, 20])
def test_a_stopped_run_goes_on_and_ends_as_the_unbroken_one(many, tmp_path, stop):
    source, size = source_at(str(many)), ShardSize(samples=4)
    pack(source, tmp_path / "whole", size)

    def interrupt(done, total):
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "parts", size, interrupt)
    for path in (tmp_path / "parts").glob("*.tar"):
        with tarfile.open(path) as shard:
            assert len(shard.getmembers()) == 8
    seen = []
    pack(source, tmp_path / "parts", size, lambda done, total: seen.append(done))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert len(seen) < 20 or stop < 6


def test_a_run_that_is_killed_before_its_index_is_written_goes_on(many, tmp_path, monkeypatch):
    source, size = source_at(str(many)), ShardSize(samples=4)
    pack(source, tmp_path / "whole", size)

    def killed(path, text):
        if path.name == "index.json":
            raise SystemExit
        return path.write_text(text)

    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_text", killed)
        with pytest.raises(SystemExit):
            pack(source, tmp_path / "parts", size)
    pack(source, tmp_path / "parts", size)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_nothing_is_overwritten(many, tmp_path):
    source = source_at(str(many))
    pack(source, tmp_path / "shards", ShardSize(samples=4))
    before = contents(tmp_path / "shards")
    pack(source, tmp_path / "shards", ShardSize(samples=4))
    assert contents(tmp_path / "shards") == before
    with pytest.raises(OutputError, match="another shard size"):
        pack(source, tmp_path / "shards", ShardSize(samples=5))
    picture(many / "00.png", 99, (30, 30))
    with pytest.raises(OutputError, match="before it changed"):
        pack(source_at(str(many)), tmp_path / "shards", ShardSize(samples=4))
    assert contents(tmp_path / "shards") == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds notes\.txt"):
        pack(source, other, ShardSize(samples=4))
    assert contents(other) == {"notes.txt": b"mine"}


def test_a_source_of_which_nothing_can_be_trained_on_is_told(many, tmp_path):
    for path in many.glob("*.txt"):
        path.unlink()
    with pytest.raises(DataError, match="not one of 20 samples"):
        pack(source_at(str(many)), tmp_path / "shards", ShardSize(samples=4))
    assert [path.name for path in (tmp_path / "shards").glob("*.tar")] == []


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100", ShardSize(samples=100)),
        ("500MB", ShardSize(content_bytes=500_000_000)),
        ("2 gb", ShardSize(content_bytes=2_000_000_000)),
        ("16kb", ShardSize(content_bytes=16_000)),
    ],
)
def test_a_size_is_read_as_people_write_it(text, size):
    assert ShardSize.read(text) == size


@pytest.mark.parametrize("text", ["", "0", "-3", "many", "1.5GB", "MB"])
def test_a_size_that_is_none_is_one_line(text):
    with pytest.raises(ConfigError, match="expected samples such as 10000"):
        ShardSize.read(text)


def test_the_identity_of_a_source_is_of_what_it_holds_and_not_of_where_it_lies(many, tmp_path):
    first = identity(source_at(str(many)))
    moved = many.rename(tmp_path / "moved" if not (tmp_path / "moved").exists() else tmp_path / "m")
    moved.rename(moved.with_name("many"))
    assert identity(source_at(str(many))) == first
    here = tmp_path / "elsewhere"
    here.mkdir()
    many.rename(here / "many")
    assert identity(source_at(str(here / "many"))) == first
    (here / "many" / "07.png").unlink()
    assert identity(source_at(str(here / "many"))) != first
