"""Skipped samples are counted, listed once, and never too many."""

import json

import pytest

from blip3o.data.sample import SampleError
from blip3o.data.skipped import LISTED, SkippedSamples
from blip3o.errors import DataError


def broken(number, reason="truncated image"):
    return SampleError(reason, "a.tar", f"a.tar/{number}", "it ends")


def lines(folder):
    return [json.loads(line) for line in (folder / LISTED).read_text().splitlines()]


def test_a_sample_is_listed_once_however_often_its_turn_comes(tmp_path):
    skipped = SkippedSamples(tmp_path, 0.5)
    skipped.add(8, [broken(1), broken(2)])
    skipped.add(8, [broken(1)])
    SkippedSamples(tmp_path, 0.5).add(8, [broken(1), broken(3)])
    assert [line["address"] for line in lines(tmp_path)] == ["a.tar/1", "a.tar/2", "a.tar/3"]
    assert lines(tmp_path)[0] == {
        "address": "a.tar/1",
        "reason": "truncated image",
        "shard": "a.tar",
        "detail": "it ends",
    }


def test_past_the_share_the_run_stops_with_a_report(tmp_path):
    skipped = SkippedSamples(tmp_path, 0.01)
    skipped.add(900, [broken(number) for number in range(9)])
    with pytest.raises(
        DataError, match=r"12 of 1000 samples .* more than 1\.0%: 9 x truncated image in a\.tar, 3 x no"
    ):
        skipped.add(100, [broken(number, "no caption") for number in range(20, 23)])
    assert len(lines(tmp_path)) == 12


def test_few_samples_say_nothing_about_a_share(tmp_path):
    SkippedSamples(tmp_path, 0.01).add(4, [broken(number) for number in range(4)])


def test_a_line_that_a_kill_has_cut_is_passed_over(tmp_path):
    SkippedSamples(tmp_path, 0.5).add(8, [broken(1)])
    with (tmp_path / LISTED).open("a") as file:
        file.write('{"address": "a.tar/2", "rea')
    SkippedSamples(tmp_path, 0.5).add(8, [broken(3)])
    SkippedSamples(tmp_path, 0.5).add(8, [broken(1)])
