"""A member of a shard may name the column of its picture: `key.source.png` is the column `source`."""

import io
import json
import random
import tarfile

import numpy as np
import pytest
from PIL import Image

from blip3o.data.sources.webdataset import WebDataset, WebDatasetConfig


def png(color):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def shard(tmp_path):
    members = {
        "a.source.png": png("red"),
        "a.target.png": png("blue"),
        "a.json": json.dumps({"instruction": "make it blue"}).encode(),
        "b.png": png("green"),
        "b.txt": b"a green square",
    }
    with tarfile.open(tmp_path / "00.tar", "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return WebDataset(WebDatasetConfig(path=str(tmp_path / "00.tar")))


def test_an_edit_is_read_from_a_shard(shard):
    request, answer = shard.conversation("edit", 0, random.Random(0))
    before, instruction = request.content
    assert instruction == "make it blue"
    for picture, color in ((before, (255, 0, 0)), (answer.content[0], (0, 0, 255))):
        assert (np.asarray(picture.pixels) == color).all()


def test_a_picture_without_a_column_is_read_as_before(shard):
    assert shard[1].captions == ("a green square",)
    assert (shard.picture(1).pixels == (0, 128, 0)).all()
