"""A check: what it keeps of each sample, what it finds the same and alike, and that several processes find the same."""

import json
import random
from dataclasses import asdict
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from blip3o.data import reading
from blip3o.data.check import check_source
from blip3o.data.duplicates import MOST_BITS, Fingerprints
from blip3o.data.languages import UNDETERMINED, language_of
from blip3o.data.opening import source_at
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.stories import sample_scene
from blip3o.processing.conversation import Picture
from blip3o.processing.fingerprint import COLOR_BYTES, fingerprint


def scenes(count, seed=0):
    rng = random.Random(seed)
    return [Image.fromarray(draw(sample_scene(rng))) for _ in range(count)]


@pytest.fixture
def folder(tmp_path):
    """Twelve different pictures, of which one is there twice, and one again as a small JPEG."""
    rows = []
    images = [image.resize((96 + 8 * n, 96)) for n, image in enumerate(scenes(12, seed=1))]
    names = [f"{n:02}.png" for n in range(12)]
    for name, image in zip(names, images, strict=True):
        image.save(tmp_path / name)
    images[3].save(tmp_path / "same.png")
    images[5].resize((60, 48)).save(tmp_path / "small.jpg", quality=60)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    for name in [*names, "same.png", "small.jpg", "broken.png"]:
        rows.append({"file_name": name, "text": f"a long enough description of {name}"})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_the_same_picture_and_one_that_looks_alike_are_told_apart(folder):
    report = check_source(source_at(str(folder)))
    assert (report.samples, report.usable) == (15, 14)
    assert report.duplicate_samples == [(12, 3)]
    assert report.near_duplicate_samples == [[5, 13]]
    assert report.duplicates == [(f"{folder}/metadata.jsonl:13", f"{folder}/metadata.jsonl:4")]
    assert report.example_samples == {"unreadable image": [14]}


def test_several_processes_find_what_one_does(folder, monkeypatch):
    monkeypatch.setattr(reading, "FEW", 1)
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    source = source_at(str(folder))
    seen = []
    several = check_source(source, lambda done, total: seen.append((done, total)), processes=2)
    assert asdict(several) == asdict(check_source(source))
    assert seen == [(number, 15) for number in range(1, 16)]


def test_histograms_hold_every_number_once(folder):
    report = check_source(source_at(str(folder)))
    for spread in (report.width, report.height, report.aspect_ratio, report.caption):
        assert spread is not None
        assert len(spread.edges) == len(spread.counts) + 1
        assert sum(spread.counts) == report.usable
        assert spread.edges[0] <= spread.least <= spread.median <= spread.most <= spread.edges[-1]


def encoded(image, **options):
    image.convert("RGB").save(content := BytesIO(), **options)
    return Picture(np.asarray(Image.open(content).convert("RGB")))


def prints_of(pictures):
    prints = [fingerprint(picture) for picture in pictures]
    digests, colors = (b"".join(getattr(one, name) for one in prints) for name in ("digest", "colors"))
    return Fingerprints(range(len(prints)), digests, [one.bits for one in prints], colors)


@pytest.mark.parametrize(
    ("change", "share"),
    [
        (lambda image: encoded(image, format="JPEG", quality=40), 0.95),
        (lambda image: encoded(image.resize((36, 36)), format="PNG"), 0.95),
        (lambda image: encoded(image.point(lambda value: min(255, value + 8)), format="PNG"), 1),
    ],
    ids=["encoding", "size", "brightness"],
)
def test_a_picture_that_was_saved_otherwise_looks_alike_and_no_other(change, share):
    images = scenes(40)
    pictures = [Picture(np.asarray(image)) for image in images]
    groups = prints_of([*pictures, *map(change, images)]).alike()
    assert [group for group in groups if group[1] - group[0] != 40] == []
    assert len(groups) >= share * 40


def test_plain_pictures_of_different_colours_do_not_look_alike():
    pictures = [Picture(np.full((20, 20, 3), color, np.uint8)) for color in ((255, 0, 0), (0, 0, 255), (250, 2, 0))]
    assert prints_of(pictures).alike() == [[0, 2]]


def test_all_pairs_within_the_radius_are_found():
    """The parts of the hash leave none out: as many as comparing all with all."""
    rng = random.Random(0)
    bits = [rng.getrandbits(64) for _ in range(40)]
    for one in bits[:40]:
        flipped = rng.sample(range(64), rng.randint(1, 2 * MOST_BITS))
        bits.append(one ^ sum(1 << place for place in flipped))
    digests = b"".join(number.to_bytes(16, "big") for number in range(1, 81))
    groups = Fingerprints(range(80), digests, bits, bytes(COLOR_BYTES * 80)).alike()
    expected = [[n, n + 40] for n in range(40) if (bits[n] ^ bits[n + 40]).bit_count() <= MOST_BITS]
    assert groups == expected
    assert 5 < len(expected) < 35


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("two people stand on a beach at sunset", "en"),
        ("zwei Menschen stehen am Abend am Strand", "de"),
        ("日が沈む浜辺に二人が立っている", "ja"),
        ("ok", UNDETERMINED),
        ("", UNDETERMINED),
    ],
)
def test_the_language_of_a_text_is_told(text, language):
    assert language_of(text) == language


def test_a_conversation_has_one_language_and_its_own_pictures(tmp_path):
    scenes(1)[0].save(tmp_path / "a.png")
    turns = [{"from": "human", "value": "<image>\nWas ist auf diesem Bild zu sehen?"}, {"from": "gpt", "value": "Hund"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": "a.png", "conversations": turns}))
    report = check_source(source_at(str(tmp_path / "a.jsonl")))
    assert (report.conversations, report.languages, report.caption) == (1, {"de": 1}, None)
