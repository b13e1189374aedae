"""Intervals come from whole units, and files say what they hold."""

import json

import pytest
from PIL import Image

from blip3o.errors import DataError, OutputError
from blip3o.evals.benchmark import Item, Record, Verdict, with_intervals
from blip3o.evals.results import Answers, digest, keep_picture
from blip3o.evals.saved_results import Identity, lines_of


def share(records):
    """The mean score."""
    return {"mean": sum(record.verdict.score for record in records) / len(records)}


def pairs(records):
    """The share of units whose items are all right."""
    units = {}
    for record in records:
        units.setdefault(record.item.unit, []).append(record.verdict.score)
    assert all(len(scores) == 2 for scores in units.values())
    return {"pairs": sum(all(scores) for scores in units.values()) / len(units), "none": float("nan")}


def width(metric):
    """Of an interval."""
    return metric["high"] - metric["low"]


def records(scores, per_unit=1):
    return [
        Record(item=Item(id=str(k), prompt="", unit=str(k // per_unit)), answer="", verdict=Verdict(score=score))
        for k, score in enumerate(scores)
    ]


def test_the_interval_of_a_share_is_as_wide_as_the_binomial_says():
    metric = with_intervals(share, records([1.0, 0.0] * 100))["mean"]
    assert metric["value"] == 0.5
    assert width(metric) == pytest.approx(2 * 1.96 * (0.25 / 200) ** 0.5, rel=0.15)


def test_units_are_drawn_whole_and_one_drawn_twice_counts_twice():
    metrics = with_intervals(pairs, records([1.0, 1.0, 1.0, 0.0] * 25, per_unit=2))
    assert metrics["pairs"]["value"] == 0.5
    assert width(metrics["pairs"]) == pytest.approx(2 * 1.96 * (0.25 / 50) ** 0.5, rel=0.2)
    assert metrics["none"] == {"value": None, "low": None, "high": None}


def test_one_unit_has_no_interval():
    assert with_intervals(share, records([1.0, 0.0], per_unit=2))["mean"] == {"value": 0.5, "low": None, "high": None}


def test_the_digest_changes_with_what_is_asked_and_what_is_right():
    items = [Item(id="1", prompt="a", facts={"answer": "b"})]
    other = [[Item(id="1", prompt="a", facts={"answer": "c"})], [Item(id="1", prompt="b", facts={"answer": "b"})]]
    assert len({digest(items), *map(digest, other)}) == 3
    assert digest(items) == digest([Item(id="1", prompt="a", facts={"answer": "b"}, pictures=(b"x",))])


def test_a_cut_line_is_dropped_and_the_newest_line_of_an_item_counts(tmp_path):
    answers = Answers(tmp_path, "toy")
    (tmp_path / "toy.samples.jsonl").write_text(json.dumps({"id": "1", "score": 0}) + "\n")
    part = tmp_path / "toy.samples.0.jsonl"
    part.write_text(json.dumps({"id": "1", "score": 1}) + "\n" + '{"id": "2", "sc')
    assert answers.read() == {"1": {"id": "1", "score": 1}}
    assert answers.part(0) == part
    assert lines_of(part) == [{"id": "1", "score": 1}]
    assert part.read_text().endswith("\n")


def test_a_spoiled_line_in_the_middle_is_dropped_and_the_others_stay(tmp_path):
    path = tmp_path / "toy.samples.0.jsonl"
    path.write_text('{"id": "1"}\n\0\0\0\0\n{"id": "3"}\n')
    assert lines_of(path) == [{"id": "1"}, {"id": "3"}]


def test_what_is_forgotten_takes_its_pictures_along_and_no_others(tmp_path):
    answers = Answers(tmp_path / "out", "toy")
    names = ["toy/1.png", "../mine.png"]
    for name in (*names, "toy/kept.png"):
        keep_picture(Image.new("RGB", (8, 8)), tmp_path / "out" / name)
    lines = [{"id": "1", "answer": names}, {"id": "2", "answer": "yes"}, {"id": "3"}]
    answers.finish(lines)
    answers.forget()
    assert answers.read() == {}
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["kept.png", "mine.png"]


def test_the_folder_of_another_run_is_told_by_what_differs_alone(tmp_path):
    def identity(weights):
        model = {"name": "m", "words": ["a word"] * 1000, "loaded": {"dtype": "float32"}, "weights": weights}
        return Identity(benchmark="toy", protocol="official", model=model, seed=0, digest="d")

    answers = Answers(tmp_path, "toy")
    kept = {"benchmark": "toy", "protocol": "official", "model": dict(identity("abc").model), "seed": 0}
    answers.write_result({**kept, "data": {"digest": "d"}})
    answers.check(identity("abc"))
    with pytest.raises(
        DataError, match=r"of another run \(model weights abc, now def\): name another --output"
    ) as raised:
        answers.check(identity("def"))
    assert len(str(raised.value)) < 250


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "full.png").mkdir()
    with pytest.raises(OutputError, match=r"full.png .*: make room; what is answered is kept"):
        keep_picture(Image.new("RGB", (8, 8)), tmp_path / "full.png")
