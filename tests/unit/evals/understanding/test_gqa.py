"""GQA's official file and its mirror hold the same questions; its numbers keep to what was asked."""

import json
from dataclasses import replace

import pytest
from benchmark_data import gqa as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.understanding.gqa import Gqa

RIGHT = {name: row[2] for name, row in data.ROWS.items()}


def records(protocol, items, answers):
    benchmark = Gqa(protocol)
    return [
        Record(item=item, answer=answers[item.id], verdict=benchmark.score(item, answers[item.id])) for item in items
    ]


def asked(protocol, items, answers):
    return Gqa(protocol).aggregate(records(protocol, items, answers))


def told(items):
    return [(item.id, item.prompt, item.category, item.facts, item.unit) for item in items]


def test_both_formats_are_read_to_the_same_items(tmp_path):
    data.write(tmp_path / "official")
    data.write_mirror(tmp_path / "mirror")
    items = Gqa("official").items(tmp_path / "official")
    assert told(items) == told(Gqa("official").items(tmp_path / "mirror"))
    assert items[0].prompt == "Is the kettle red?\nAnswer the question using a single word or phrase."
    assert json.loads(json.dumps(items[0].facts)) == items[0].facts


@pytest.mark.parametrize("protocol", Gqa.protocols)
def test_right_answers_score_full_marks_and_wrong_ones_do_not(tmp_path, protocol):
    data.write(tmp_path)
    items = Gqa(protocol).items(tmp_path)
    found = asked(protocol, items, RIGHT)
    assert list(found)[:4] == ["accuracy", "binary", "open", "consistency"]
    assert found.pop("distribution") == 0
    assert set(found.values()) == {100}
    assert asked(protocol, items, RIGHT | {"201": "no"})["accuracy"] == 75


def test_only_the_official_rule_minds_capitals(tmp_path):
    data.write(tmp_path)
    item = Gqa("official").items(tmp_path)[0]
    scores = {protocol: Gqa(protocol).score(item, "Yes.").score for protocol in Gqa.protocols}
    assert scores == {"official": 0, "llava": 1, "lmms": 1}


@pytest.mark.parametrize("answer", ["", " \n", "nan"])
@pytest.mark.parametrize("protocol", Gqa.protocols)
def test_an_empty_answer_is_scored(tmp_path, protocol, answer):
    data.write(tmp_path)
    items = Gqa(protocol).items(tmp_path)
    assert asked(protocol, items, dict.fromkeys(RIGHT, answer))["accuracy"] == 0


def test_questions_that_follow_from_one_another_are_of_one_unit(tmp_path):
    data.write(tmp_path)
    items = Gqa("official").items(tmp_path)
    assert items[0].unit == items[1].unit
    assert len({item.unit for item in items}) == 3


def test_units_that_are_drawn_twice_count_twice(tmp_path):
    data.write(tmp_path)
    once = records("official", Gqa("official").items(tmp_path), RIGHT | {"202": "blue"})
    twice = [replace(one, item=replace(one.item, unit=f"{k}/{one.item.unit}")) for k in (0, 1) for one in once]
    found, again = Gqa("official").aggregate(once), Gqa("official").aggregate(twice)
    assert (found["consistency"], found["accuracy"]) == (again["consistency"], again["accuracy"]) == (0, 75)


def test_a_part_has_no_consistency_where_what_follows_was_not_asked(tmp_path):
    data.write(tmp_path)
    found = asked("official", Gqa("official").items(tmp_path)[:1], RIGHT)
    assert found["accuracy"] == 100
    assert "consistency" not in found
    assert "open" not in found


def test_validity_and_plausibility_need_the_choices(tmp_path):
    data.write(tmp_path)
    assert "validity" not in asked("official", Gqa("official").items(tmp_path), RIGHT)
    data.write_choices(tmp_path)
    found = asked("official", Gqa("official").items(tmp_path), dict.fromkeys(RIGHT, "hat"))
    assert (found["accuracy"], found["validity"], found["plausibility"]) == (0, 75, 0)


def test_missing_parts_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Gqa("official").items(tmp_path / "nowhere")
    data.write(tmp_path / "a")
    (tmp_path / "a" / "images" / "n9.jpg").unlink()
    with pytest.raises(DataError, match=r"holds no picture n9\.jpg"):
        Gqa("official").items(tmp_path / "a")
    data.write_mirror(tmp_path / "b")
    next((tmp_path / "b" / "testdev_balanced_images").glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="holds no testdev_balanced_images"):
        Gqa("official").items(tmp_path / "b")


def test_another_split_is_refused(tmp_path):
    data.write(tmp_path)
    (tmp_path / "testdev_balanced_questions.json").rename(tmp_path / "val_balanced_questions.json")
    with pytest.raises(DataError, match=r"holds no testdev_balanced_questions\.json"):
        Gqa("official").items(tmp_path)


def test_questions_without_answers_are_refused(tmp_path):
    data.write(tmp_path)
    path = tmp_path / "testdev_balanced_questions.json"
    rows = json.loads(path.read_text())
    del rows["203"]["answer"]
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match="no answer to question 203"):
        Gqa("official").items(tmp_path)
