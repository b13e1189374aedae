"""The configs of sources of files: which samples come out, under which names of columns, and what is asked of them."""

import json
import random
import shutil
import tarfile
import tempfile
from pathlib import Path

import datasets
from PIL import Image

from blip3o.data.sample import SampleError
from blip3o.data.source_mixture import SourceMixtureConfig
from blip3o.data.sources import SOURCES
from blip3o.data.sources.hf_datasets import HFDatasetConfig
from blip3o.data.sources.image_folder import ImageFolderConfig
from blip3o.data.sources.jsonl import JsonLinesConfig
from blip3o.data.sources.source import Source
from blip3o.data.sources.webdataset import WebDatasetConfig
from blip3o.plugins import build
from fields.case import Case, Change

HELD = tempfile.TemporaryDirectory()
PLACE = Path(HELD.name)


def made(name, color):
    """A folder of one image and its captions, in every format."""
    folder = PLACE / name
    (folder / "streamed").mkdir(parents=True)
    Image.new("RGB", (8, 8), color).save(folder / "a.png")
    row = {"image": "a.png", "caption": [color, f"a {color} field"], "alt": f"{color}!"}
    (folder / "metadata.jsonl").write_text(json.dumps(row))
    (folder / "a.json").write_text(json.dumps(row))
    with tarfile.open(folder / "a.tar", "w") as shard:
        for part in ("a.png", "a.json"):
            shard.add(folder / part, arcname=part)
    split = datasets.Dataset.from_list([{"image": str(folder / "a.png"), "caption": row["caption"], "alt": row["alt"]}])
    split.cast_column("image", datasets.Image()).to_parquet(folder / "streamed" / "train.parquet")
    datasets.DatasetDict({"train": split, "other": split.select([0, 0])}).save_to_disk(folder / "saved")
    return folder


ONE, OTHER = made("one", "red"), made("other", "blue")
shutil.copytree(ONE, PLACE / "moved")
Image.new("RGB", (8, 8), "green").save(PLACE / "moved" / "a.png")


def samples(config, world):
    """Samples, and the prompts of many requests."""
    try:
        source = build(config, SOURCES, Source)
        rng = random.Random(0)
        prompts = [source.conversation("draw", 0, rng)[0].content[0] for _ in range(12)]
        return [(source[i].captions, source.picture(i).pixels) for i in range(len(source))], prompts
    except SampleError as error:
        return str(error)


def mixed(config, world):
    """The captions of a mixture's samples, by their source, and how many are learned by themselves."""
    source = build(config, SOURCES, Source)
    return source.tasks_of(config), [source[index].captions for index in range(len(source))], source.extent()


def streamed(config, world):
    """The same, and the blocks that they are read in."""
    return samples(config, world), build(config, SOURCES, Source).extent()


def changes(other, **more):
    return {
        "path": str(OTHER / other),
        "columns": {"caption": "alt"},
        "captions": "longest",
        "caption_dropout": 0.5,
    } | more


FIRST, SECOND = ({"kind": "image_folder", "path": str(folder)} for folder in (ONE, OTHER))

DATA = (
    Case(
        SourceMixtureConfig(sources={"a": FIRST}),
        mixed,
        {
            "sources": {"a": FIRST, "b": SECOND},
            "pictures": Change(("b",), given={"sources": {"a": FIRST, "b": SECOND}}),
        },
    ),
    Case(ImageFolderConfig(path=str(ONE)), samples, changes("")),
    Case(
        JsonLinesConfig(path=str(ONE / "metadata.jsonl")),
        samples,
        changes("metadata.jsonl", images=str(PLACE / "moved")),
    ),
    Case(WebDatasetConfig(path=str(ONE / "a.tar")), samples, changes("a.tar")),
    Case(
        HFDatasetConfig(path=str(ONE / "saved")),
        streamed,
        changes(
            "saved",
            split="other",
            streaming=Change(True, along={"path": str(ONE / "streamed")}),
            window=Change(5, given={"path": str(ONE / "streamed"), "streaming": True}),
        ),
    ),
)
