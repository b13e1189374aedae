"""TextVQA's official file and its mirror hold the same questions."""

import json

import pytest
from benchmark_data import textvqa as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.understanding.textvqa import TextVqa

RIGHT = {"34602": "STOP.", "34603": "10:30", "34604": "Tom's"}


def asked(items, answers):
    benchmark = TextVqa("official")
    return benchmark.aggregate(
        [Record(item=item, answer=answers[item.id], verdict=benchmark.score(item, answers[item.id])) for item in items]
    )


def told(items):
    return [(item.id, item.prompt, item.facts) for item in items]


def test_both_formats_are_read_to_the_same_items(tmp_path):
    data.write(tmp_path / "official")
    data.write_mirror(tmp_path / "mirror")
    items = TextVqa("official").items(tmp_path / "official")
    assert told(items) == told(TextVqa("official").items(tmp_path / "mirror"))
    assert items[0].prompt == "What does the sign say?\nAnswer the question using a single word or phrase."
    assert json.loads(json.dumps(items[0].facts)) == items[0].facts


def test_right_answers_in_any_case_score_full_marks_and_wrong_ones_do_not(tmp_path):
    data.write(tmp_path)
    items = TextVqa("official").items(tmp_path)
    assert asked(items, RIGHT) == {"accuracy": 100}
    assert asked(items[1:], RIGHT) == {"accuracy": 100}
    assert asked(items, RIGHT | {"34602": "go"})["accuracy"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("answer", ["", " \n", "nan"])
def test_an_empty_answer_is_scored(tmp_path, answer):
    data.write(tmp_path)
    assert TextVqa("official").score(TextVqa("official").items(tmp_path)[0], answer).score == 0


def test_missing_parts_and_the_test_split_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        TextVqa("official").items(tmp_path / "nowhere")
    data.write_mirror(tmp_path / "test", split="test")
    with pytest.raises(DataError, match=r"holds no validation-\*\.parquet, nor the official files of TextVQA"):
        TextVqa("official").items(tmp_path / "test")
    data.write(tmp_path / "a")
    (tmp_path / "a" / "train_images" / "bb22.jpg").unlink()
    with pytest.raises(DataError, match=r"holds no picture bb22\.jpg"):
        TextVqa("official").items(tmp_path / "a")


def test_a_file_without_answers_is_refused(tmp_path):
    data.write(tmp_path)
    path = tmp_path / "TextVQA_0.5.1_val.json"
    rows = json.loads(path.read_text())["data"]
    path.write_text(json.dumps({"data": [{key: row[key] for key in row if key != "answers"} for row in rows]}))
    with pytest.raises(DataError, match="take the validation split"):
        TextVqa("official").items(tmp_path)
