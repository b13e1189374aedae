"""RealWorldQA's file and its mirror hold the same questions; its protocols differ where they are said to."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_data import realworldqa as data

from blip3o.errors import DataError, PictureError
from blip3o.evals.benchmark import Record
from blip3o.evals.tables import opened
from blip3o.evals.understanding.realworldqa import RealWorldQa


def asked(protocol, items, answers):
    benchmark = RealWorldQa(protocol)
    return benchmark.aggregate(
        [
            Record(item=item, answer=answer, verdict=benchmark.score(item, answer))
            for item, answer in zip(items, answers, strict=True)
        ]
    )


def told(items):
    return [(item.id, item.prompt, item.facts) for item in items]


def test_both_formats_are_read_to_the_same_items(tmp_path):
    data.write(tmp_path / "first")
    data.write_mirror(tmp_path / "mirror")
    items = RealWorldQa("lmms-0.3").items(tmp_path / "first")
    assert told(items) == told(RealWorldQa("lmms-0.3").items(tmp_path / "mirror"))
    assert items[1].prompt == data.ROWS[1][0]
    assert json.loads(json.dumps(items[0].facts)) == items[0].facts


@pytest.mark.parametrize("protocol", RealWorldQa.protocols)
def test_right_answers_score_full_marks_and_wrong_ones_do_not(tmp_path, protocol):
    data.write(tmp_path)
    items = RealWorldQa(protocol).items(tmp_path)
    assert asked(protocol, items, ["B.", "2", "yes"]) == {"accuracy": 100}
    assert asked(protocol, items, ["A", "2", "no"])["accuracy"] == pytest.approx(100 / 3)
    assert asked(protocol, items[:1], ["B"]) == {"accuracy": 100}


def test_the_older_rule_takes_words_and_the_newer_one_takes_sentences(tmp_path):
    data.write(tmp_path)
    items = RealWorldQa("lmms-0.3").items(tmp_path)
    answers = ["Straight on", "two", "Yes!"]
    assert asked("lmms-0.3", items, answers)["accuracy"] == 100
    assert asked("lmms-0.7", items, answers)["accuracy"] == 0
    said = ["The answer is B.", "3", "no"]
    assert asked("lmms-0.3", items, said)["accuracy"] == 0
    assert asked("lmms-0.7", items, said)["accuracy"] == pytest.approx(100 / 3)


@pytest.mark.parametrize("answer", ["", " \n", "nan"])
@pytest.mark.parametrize("protocol", RealWorldQa.protocols)
def test_an_empty_answer_is_scored(tmp_path, protocol, answer):
    data.write(tmp_path)
    assert asked(protocol, RealWorldQa(protocol).items(tmp_path), [answer] * 3)["accuracy"] == 0


def test_missing_and_other_data_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        RealWorldQa("lmms-0.3").items(tmp_path / "nowhere")
    pq.write_table(pa.Table.from_pylist([{"question": "?", "answer": "A"}]), tmp_path / "test-0.parquet")
    with pytest.raises(DataError, match="has no column image"):
        RealWorldQa("lmms-0.3").items(tmp_path)
    rows = [{"question": "?", "answer": "A", "image": {"bytes": None, "path": "a.jpg"}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "test-0.parquet")
    (item,) = RealWorldQa("lmms-0.3").items(tmp_path)
    with pytest.raises(PictureError, match=r"row 0 of test-0\.parquet is empty"):
        opened(item.pictures[0])
