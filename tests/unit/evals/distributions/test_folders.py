"""Folders of pictures are compared in batches, and faults are told in a line."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from blip3o.errors import DataError, PictureError
from blip3o.evals.distributions.folders import alignment, compare, features, picture_files, prompts_of
from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.evals.distributions.kid import kernel_distances

RNG = np.random.default_rng(0)


def test_a_folder_that_vanishes_while_others_are_listed_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    walk = os.walk

    def vanishing(folder):
        for place in walk(folder):
            shutil.rmtree(tmp_path / "gone", ignore_errors=True)
            yield place

    monkeypatch.setattr(os, "walk", vanishing)
    assert picture_files(tmp_path) == [tmp_path / "a.png"]


def mean_color(pictures):
    return np.stack([np.asarray(picture, dtype=np.float32).mean(axis=(0, 1)) / 255 for picture in pictures])


def corner(pictures):
    return np.stack([np.asarray(picture, dtype=np.float32)[0, 0] / 255 for picture in pictures])


ENCODERS = {"mean": mean_color, "corner": corner}


def write(folder, count=6, shift=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = RNG.integers(shift, 156 + shift, size=(6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")
    return folder


def test_two_folders_have_distances_by_every_encoder_whatever_the_batch(tmp_path):
    drawn, real = write(tmp_path / "drawn", 7, 99), write(tmp_path / "real", 9)
    told = []
    metrics = compare(drawn, real, ENCODERS, batch=2, progress=lambda done, total: told.append((done, total)))
    assert set(metrics) == {"fd/mean", "kid/mean", "fd/corner", "kid/corner"}
    rows = [features(picture_files(folder), mean_color, 100) for folder in (drawn, real)]
    assert metrics["fd/mean"] == pytest.approx(frechet_distance(*rows))
    assert metrics["kid/mean"] == pytest.approx(kernel_distances(*rows).mean())
    assert told[-1] == (32, 32)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_validation_set_gives_fdr_and_is_itself_1(tmp_path):
    drawn, real, other = write(tmp_path / "drawn", shift=99), write(tmp_path / "real"), write(tmp_path / "other")
    metrics = compare(drawn, real, ENCODERS, validation=other)
    assert next(iter(metrics)) == "fdr"
    assert metrics["fdr"] > 1
    assert compare(other, real, ENCODERS, validation=other)["fdr"] == pytest.approx(1)


def test_a_validation_set_of_the_real_pictures_themselves_is_told(tmp_path):
    drawn, real = write(tmp_path / "drawn"), write(tmp_path / "real")
    gray = {"gray": lambda pictures: np.zeros((len(pictures), 2), dtype=np.float32)}
    with pytest.raises(DataError, match="no distance above 0 for gray"):
        compare(drawn, real, gray, validation=real)


@pytest.mark.parametrize(
    ("name", "count", "told"),
    [("none", None, "is no folder"), ("empty", 0, "holds no pictures"), ("one", 1, "one picture")],
)
def test_folders_without_enough_pictures_are_told(tmp_path, name, count, told):
    if count is not None:
        write(tmp_path / name, count)
    real = write(tmp_path / "real")
    for pair in ((tmp_path / name, real), (real, tmp_path / name)):
        with pytest.raises(DataError, match=told):
            compare(*pair, ENCODERS)
    with pytest.raises(DataError, match=told):
        compare(real, real, ENCODERS, validation=tmp_path / name)


def test_no_encoder_and_a_damaged_picture_are_told(tmp_path):
    real = write(tmp_path / "real")
    with pytest.raises(DataError, match="no encoder"):
        compare(real, real, {})
    (real / "003.png").write_bytes(b"")
    with pytest.raises(PictureError, match=r"003.png is empty"):
        compare(real, real, ENCODERS)


def scorer(pictures, prompts):
    return np.array([len(prompt) / 100 for prompt in prompts])


def test_pictures_are_scored_with_their_prompts(tmp_path):
    drawn = write(tmp_path / "drawn", 3)
    table = tmp_path / "prompts.json"
    table.write_text(json.dumps({"002": "aaa", "000.png": "a", "001": "aa"}))
    told = []
    values = alignment(drawn, table, scorer, batch=2, progress=lambda done, total: told.append((done, total)))
    assert values == pytest.approx(np.array([0.01, 0.02, 0.03]))
    assert told == [(2, 3), (3, 3)]


def test_prompts_may_stand_beside_the_pictures(tmp_path):
    drawn = write(tmp_path / "drawn", 2)
    for index in range(2):
        (drawn / f"{index:03}.txt").write_text(f" prompt {index}\n")
    assert prompts_of(picture_files(drawn), drawn, None) == ["prompt 0", "prompt 1"]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"000": "a"}, r"has no prompt for .*001.png and 1 more"),
        ({"000": "a", "001": "b", "002": "c", "003": "d"}, "no picture for the prompt of 003"),
        (["a", "b"], "is no table of prompts"),
        ({"000": 1}, "is no table of prompts"),
        (None, "no text file beside .*000.png and 2 more"),
    ],
)
def test_pictures_and_prompts_that_do_not_go_together_are_told(tmp_path, table, told):
    drawn = write(tmp_path / "drawn", 3)
    path = None
    if table is not None:
        path = tmp_path / "prompts.json"
        path.write_text(json.dumps(table))
    with pytest.raises(DataError, match=told) as raised:
        alignment(drawn, path, scorer)
    assert "\n" not in str(raised.value)
