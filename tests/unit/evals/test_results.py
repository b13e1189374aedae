"""Intervals come from whole units, and files say what they hold."""

import json

import pytest

from blip3o.evals.benchmark import Item, Sample, Verdict
from blip3o.evals.results import Answers, digest, whole_lines, with_intervals


def share(samples):
    """The mean score."""
    return {"mean": sum(sample.verdict.score for sample in samples) / len(samples)}


def pairs(samples):
    """The share of units whose items are all right."""
    units = {}
    for sample in samples:
        units.setdefault(sample.item.unit, []).append(sample.verdict.score)
    assert all(len(scores) == 2 for scores in units.values())
    return {"pairs": sum(all(scores) for scores in units.values()) / len(units), "none": float("nan")}


def width(metric):
    """Of an interval."""
    return metric["high"] - metric["low"]


def samples(scores, per_unit=1):
    return [
        Sample(item=Item(id=str(k), prompt="", unit=str(k // per_unit)), answer="", verdict=Verdict(score=score))
        for k, score in enumerate(scores)
    ]


def test_the_interval_of_a_share_is_as_wide_as_the_binomial_says():
    metric = with_intervals(share, samples([1.0, 0.0] * 100))["mean"]
    assert metric["value"] == 0.5
    assert width(metric) == pytest.approx(2 * 1.96 * (0.25 / 200) ** 0.5, rel=0.15)


def test_units_are_drawn_whole_and_one_drawn_twice_counts_twice():
    metrics = with_intervals(pairs, samples([1.0, 1.0, 1.0, 0.0] * 25, per_unit=2))
    assert metrics["pairs"]["value"] == 0.5
    assert width(metrics["pairs"]) == pytest.approx(2 * 1.96 * (0.25 / 50) ** 0.5, rel=0.2)
    assert metrics["none"] == {"value": None, "low": None, "high": None}


def test_one_unit_has_no_interval():
    assert with_intervals(share, samples([1.0, 0.0], per_unit=2))["mean"] == {"value": 0.5, "low": None, "high": None}


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
    assert whole_lines(part) == [{"id": "1", "score": 1}]
    assert part.read_text().endswith("\n")


def test_a_spoiled_line_in_the_middle_is_dropped_and_the_others_stay(tmp_path):
    path = tmp_path / "toy.samples.0.jsonl"
    path.write_text('{"id": "1"}\n\0\0\0\0\n{"id": "3"}\n')
    assert whole_lines(path) == [{"id": "1"}, {"id": "3"}]
