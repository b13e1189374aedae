"""GenEval as a benchmark: its prompts, boxes from a file or from a detector, and the numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_data import geneval as data
from benchmark_data import write_picture

from blip3o.errors import ConfigError, DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.generation.geneval_benchmark import GenEval


def names(item):
    return tuple(Path(f"somewhere/{item.id}/samples/{number:04d}.png") for number in range(item.count))


def detections(items, wrong=()):
    """What is seen in the pictures of all items: nothing in those of the wrong ones but the first."""
    return {
        "/".join(path.parts[-3:]): {} if item.id in wrong and number else seen
        for item, seen in zip(items, data.SEEN, strict=True)
        for number, path in enumerate(names(item))
    }


def records(benchmark, items):
    return [Record(item=item, answer=names(item), verdict=benchmark.score(item, names(item))) for item in items]


@pytest.fixture
def items(tmp_path):
    data.write(tmp_path)
    return GenEval("hf-detector").items(tmp_path)


def test_the_prompts_are_asked_four_times_as_they_stand(items):
    assert [item.prompt for item in items] == [row["prompt"] for row in data.ROWS]
    assert {item.count for item in items} == {4}
    assert [item.id for item in items][-1] == "00005"
    json.dumps([dict(item.facts) for item in items])


def test_right_pictures_score_full_marks(items, tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(detections(items)))
    benchmark = GenEval("mmdet-json", detections=path)
    numbers = benchmark.aggregate(records(benchmark, items))
    assert next(iter(numbers)) == "overall"
    assert numbers["overall"] == numbers["task/colors"] == 1
    assert numbers["images_percent"] == numbers["prompts_percent"] == 100


def test_wrong_pictures_count_as_pictures_and_a_prompt_needs_only_one(items):
    benchmark = GenEval("mmdet-json", detections=detections(items, wrong=("00004",)))
    scored = records(benchmark, items)
    numbers = benchmark.aggregate(scored)
    assert numbers["task/position"] == 0.25
    assert numbers["overall"] == pytest.approx(5.25 / 6)
    assert numbers["images_percent"] == pytest.approx(100 * 21 / 24)
    assert numbers["prompts_percent"] == 100
    assert scored[4].verdict is not None
    assert scored[4].verdict.details["reasons"][1] == "expected vase>=1, found 0\nexpected clock>=1, found 0"


def test_a_part_of_the_prompts_has_numbers_and_a_unit_drawn_twice_is_two_prompts(items):
    benchmark = GenEval("mmdet-json", detections=detections(items, wrong=("00000",)))
    (one,) = records(benchmark, items[:1])
    assert benchmark.aggregate([one])["overall"] == 0.25
    again = replace(one, item=replace(one.item, unit="again"))
    assert benchmark.aggregate([one, again])["prompts_percent"] == 100


def test_without_a_detector_nothing_is_scored(items):
    assert GenEval("hf-detector").score(items[0], names(items[0])) is None
    assert GenEval("mmdet-json").score(items[0], names(items[0])) is None
    with pytest.raises(ConfigError, match="tells colours"):
        GenEval("hf-detector", detector=DetectionSource())


class DetectionSource:
    """Sees one blue bear and one white boat, and tells a colour by what a crop shows in its middle."""

    def detect(self, picture):
        boxes = {"bear": np.array([[0, 0, 20, 20, 0.9]], np.float32), "boat": np.array([[30, 0, 60, 20, 0.6]])}
        masks = {kind: np.ones((1, picture.height, picture.width), bool) for kind in boxes}
        masks["boat"][0] = False
        return boxes, masks

    def classify(self, kind, crops):
        assert kind in ("bear", "boat")
        names = {(0, 0, 255): "blue", (0x99, 0x99, 0x99): "white"}
        return [names[crop.getpixel((crop.width // 2, crop.height // 2))] for crop in crops]


def test_a_detector_sees_the_pictures_and_colours_are_told_by_the_masks(items, tmp_path):
    path = tmp_path / "drawn.png"
    write_picture(path, "blue")
    eyes = DetectionSource()
    verdict = GenEval("hf-detector", detector=eyes, colors=eyes).score(items[5], (path,))
    assert verdict is not None
    assert verdict.score == 1


def test_faulty_prompts_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        GenEval("hf-detector").items(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no evaluation_metadata\.jsonl"):
        GenEval("hf-detector").items(tmp_path)
    path = tmp_path / "evaluation_metadata.jsonl"
    for lines, fault in {
        "": "is empty",
        '{"tag": "colors"}': "no column prompt",
        '{"tag": "colors", "prompt": "p"}': "no column include",
        '{"tag": "spelling", "prompt": "p", "include": []}': "the task 'spelling'",
        '{"tag": "colors", "prompt": "p", "include": [{"class": "unicorn", "count": 1}]}': "the class 'unicorn'",
        '{"tag": "colors", "prompt": "p", "include": [{"class": "dog"}]}': "is none of GenEval's",
        '{"tag": ': "line 1, is no JSON",
    }.items():
        path.write_text(lines)
        with pytest.raises(DataError, match=fault):
            GenEval("hf-detector").items(tmp_path)


def test_faulty_detections_are_told(items, tmp_path):
    for content, fault in {
        "[]": "no object of objects",
        '{"a.png": []}': "no object of objects",
        '{"a.png": {"remote": []}}': "the class 'remote'",
    }.items():
        path = tmp_path / "boxes.json"
        path.write_text(content)
        with pytest.raises(DataError, match=fault):
            GenEval("mmdet-json", detections=path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.json"):
        GenEval("mmdet-json", detections=tmp_path / "empty")


@pytest.mark.parametrize(
    ("boxes", "fault"),
    [
        ({}, "hold nothing of the picture"),
        ({"one.png": {"train": [[1, 2, 3, 0.5]]}}, "hold a box that is not"),
        ({"one.png": {"train": [[0, 0, 9, 9, 0.5, "beige"]]}}, "the colour 'beige'"),
        ({"one.png": {"train": [[0, 0, 9, 9, 0.5]]}}, "tell no colour of 'train'"),
    ],
)
def test_a_picture_that_the_detections_do_not_cover_is_told(items, boxes, fault):
    with pytest.raises(DataError, match=fault):
        GenEval("mmdet-json", detections=boxes).score(items[3], (Path("drawn/one.png"),))


def test_a_picture_that_cannot_be_read_is_told(items, tmp_path):
    eyes = DetectionSource()
    with pytest.raises(DataError, match="is no picture"):
        GenEval("hf-detector", detector=eyes, colors=eyes).score(items[5], (tmp_path / "missing.png",))


@pytest.mark.parametrize("name", ["geneval_prompt.jsonl", "evaluation_metadata_long.jsonl"])
def test_other_files_of_its_prompts_are_read_and_named_and_the_official_one_goes_first(tmp_path, name):
    data.write(tmp_path)
    official = tmp_path / "evaluation_metadata.jsonl"
    (tmp_path / name).write_text(official.read_text().replace("a photo of", "one fine photo of"))
    benchmark = GenEval("hf-detector")
    benchmark.items(tmp_path)
    assert benchmark.read == official.name
    official.unlink()
    items = benchmark.items(tmp_path)
    assert (benchmark.read, items[0].prompt) == (name, "one fine photo of a bench")
