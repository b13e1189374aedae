"""VQAv2's official files and its mirror hold the same questions; its protocols differ where they are said to."""

import json
import math

import pytest
from benchmark_data import vqav2 as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.understanding.vqav2 import VqaV2

SHORT = "\nAnswer the question using a single word or phrase."
RIGHT = {"1000": "yes", "1001": "2", "2000": "books", "2001": "grey"}


def asked(protocol, items, answers):
    benchmark = VqaV2(protocol)
    return benchmark.aggregate(
        [Record(item=item, answer=answers[item.id], verdict=benchmark.score(item, answers[item.id])) for item in items]
    )


def told(items):
    return [(item.id, item.prompt, item.category, item.facts) for item in items]


@pytest.mark.parametrize("protocol", VqaV2.protocols)
def test_both_formats_are_read_to_the_same_items(tmp_path, protocol):
    data.write(tmp_path / "official")
    data.write_mirror(tmp_path / "mirror")
    items = VqaV2(protocol).items(tmp_path / "official")
    assert told(items) == told(VqaV2(protocol).items(tmp_path / "mirror"))
    assert [item.id for item in items] == list(RIGHT)
    assert str(items[2].pictures[0]).endswith("COCO_val2014_000000000042.jpg")
    assert json.loads(json.dumps(items[1].facts)) == items[1].facts


def test_only_the_papers_protocol_asks_the_bare_question(tmp_path):
    data.write(tmp_path)
    prompts = {protocol: VqaV2(protocol).items(tmp_path)[0].prompt for protocol in VqaV2.protocols}
    bare = "Is the boat blue?"
    assert prompts == {"official": bare + SHORT, "lmms-0.3": bare, "lmms-0.7": bare + SHORT}


@pytest.mark.parametrize("protocol", VqaV2.protocols)
def test_what_most_people_say_is_fully_right_and_other_things_are_not(tmp_path, protocol):
    data.write(tmp_path)
    items = VqaV2(protocol).items(tmp_path)
    found = asked(protocol, items, RIGHT)
    assert next(iter(found.items())) == ("accuracy", 100)
    assert {"accuracy/yes/no", "accuracy/number", "accuracy/question/how many"} < found.keys()
    assert asked(protocol, items, dict.fromkeys(RIGHT, "zebra"))["accuracy"] == 0
    assert asked(protocol, items[:1], RIGHT)["accuracy"] == 100


@pytest.mark.parametrize("answer", ["", " \n", "nan", "None"])
def test_an_empty_answer_is_scored(tmp_path, answer):
    data.write(tmp_path)
    for protocol in VqaV2.protocols:
        assert VqaV2(protocol).score(VqaV2(protocol).items(tmp_path)[0], answer).score == 0


def test_where_all_agree_only_the_official_rule_minds_capitals(tmp_path):
    data.write(tmp_path)
    item = VqaV2("official").items(tmp_path)[0]
    scores = {protocol: VqaV2(protocol).score(item, "Yes.").score for protocol in VqaV2.protocols}
    assert scores == {"official": 0, "lmms-0.3": 1, "lmms-0.7": 1}


def test_an_answer_that_one_person_gave_counts_three_tenths(tmp_path):
    data.write(tmp_path)
    assert math.isclose(VqaV2("official").score(VqaV2("official").items(tmp_path)[2], "vases").score, 0.3)


def test_missing_parts_are_told(tmp_path):
    data.write(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        VqaV2("official").items(tmp_path / "nowhere")
    annotations = tmp_path / "v2_mscoco_val2014_annotations.json"
    rows = json.loads(annotations.read_text())["annotations"]
    annotations.write_text(json.dumps({"annotations": rows[1:]}))
    with pytest.raises(DataError, match="no answers to question 2001"):
        VqaV2("official").items(tmp_path)
    annotations.unlink()
    with pytest.raises(DataError, match=r"holds no v2_mscoco_val2014_annotations\.json"):
        VqaV2("official").items(tmp_path)


def test_a_missing_picture_is_told(tmp_path):
    data.write(tmp_path)
    (tmp_path / "val2014" / data.photograph(42)).unlink()
    with pytest.raises(DataError, match=f"holds no picture {data.photograph(42)}"):
        VqaV2("official").items(tmp_path)


def test_the_test_split_is_refused(tmp_path):
    data.write_mirror(tmp_path / "a", split="testdev", hidden=True)
    with pytest.raises(DataError, match="test has no answers"):
        VqaV2("official").items(tmp_path / "a")
    data.write_mirror(tmp_path / "b", hidden=True)
    with pytest.raises(DataError, match="take the validation split"):
        VqaV2("official").items(tmp_path / "b")
