"""MME's official folders and its mirror hold the same questions; both of a picture count together."""

import json
from dataclasses import replace

import pytest
from benchmark_data import mme as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.understanding.mme import Mme


def records(protocol, items, answer=lambda item: item.facts["label"]):
    benchmark = Mme(protocol)
    return [Record(item=item, answer=answer(item), verdict=benchmark.score(item, answer(item))) for item in items]


def told(items):
    return sorted((item.id, item.prompt, item.category, json.dumps(item.facts), item.unit) for item in items)


@pytest.mark.parametrize("protocol", Mme.protocols)
def test_both_formats_are_read_to_the_same_items(tmp_path, protocol):
    data.write(tmp_path / "official")
    data.write_mirror(tmp_path / "mirror")
    items = Mme(protocol).items(tmp_path / "official")
    assert told(items) == told(Mme(protocol).items(tmp_path / "mirror"))
    assert len(items) == len({item.id for item in items}) == 2 * 14


def test_texts_as_they_are_released_are_read(tmp_path):
    """With a byte-order mark, tabs at the ends of lines, and names of pictures in capitals."""
    data.write(tmp_path)
    plain = told(Mme("official").items(tmp_path))
    place = tmp_path / "MME_Benchmark_release_version" / "count"
    (place / "0001.jpg").rename(place / "0001.JPG")
    text = (place / "0001.txt").read_text().replace("\n", "\t\t\r\n")
    (place / "0001.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert told(Mme("official").items(tmp_path)) == plain


def test_the_fields_protocol_puts_its_own_instruction_in_place(tmp_path):
    data.write(tmp_path)
    prompts = {protocol: Mme(protocol).items(tmp_path)[0].prompt for protocol in Mme.protocols}
    assert prompts == {
        "official": "Is there a lamp in this image? Please answer yes or no.",
        "lmms": "Is there a lamp in this image?\nAnswer the question using a single word or phrase.",
    }


@pytest.mark.parametrize("protocol", Mme.protocols)
def test_right_answers_score_full_marks_and_wrong_ones_do_not(tmp_path, protocol):
    data.write(tmp_path)
    items = Mme(protocol).items(tmp_path)
    found = Mme(protocol).aggregate(records(protocol, items))
    assert list(found)[:2] == ["perception", "cognition"]
    assert (found["perception"], found["cognition"], found["score/OCR"]) == (2000, 800, 200)
    always = Mme(protocol).aggregate(records(protocol, items, lambda item: "Yes"))
    assert (always["perception"], always["score/OCR"]) == (500, 50)


@pytest.mark.parametrize("answer", ["", " \n", "nan", "maybe"])
@pytest.mark.parametrize("protocol", Mme.protocols)
def test_an_answer_that_is_neither_counts_nothing(tmp_path, protocol, answer):
    data.write(tmp_path)
    found = Mme(protocol).aggregate(records(protocol, Mme(protocol).items(tmp_path), lambda item: answer))
    assert set(found.values()) == {0}


def test_a_part_has_the_numbers_of_its_whole_pictures(tmp_path):
    data.write(tmp_path)
    items = Mme("official").items(tmp_path)
    found = Mme("official").aggregate(records("official", items[:3]))
    assert found == {"perception": 200, "score/existence": 200}
    assert Mme("official").aggregate(records("official", items[:1])) == {}


def test_pictures_that_are_drawn_twice_stay_apart(tmp_path):
    data.write(tmp_path)
    once = records("official", Mme("official").items(tmp_path), lambda item: "yes")
    twice = [replace(one, item=replace(one.item, unit=f"{k}/{one.item.unit}")) for k in (0, 1) for one in once]
    assert Mme("official").aggregate(twice) == Mme("official").aggregate(once)


def test_missing_parts_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Mme("official").items(tmp_path / "nowhere")
    data.write_mirror(tmp_path / "mirror", without=("count", "OCR"))
    with pytest.raises(DataError, match="holds no questions of OCR, count"):
        Mme("official").items(tmp_path / "mirror")
    data.write(tmp_path / "a")
    place = tmp_path / "a" / "MME_Benchmark_release_version"
    (place / "artwork" / "images" / "0001.jpg").unlink()
    with pytest.raises(DataError, match=r"holds no picture 0001\.jpg"):
        Mme("official").items(tmp_path / "a")
    (place / "existence" / "0001.txt").write_text("Is there a lamp in this image?\tYes\n")
    with pytest.raises(DataError, match="holds 1 lines: expected two"):
        Mme("official").items(tmp_path / "a")


def test_an_answer_that_is_no_yes_or_no_is_refused(tmp_path):
    data.write(tmp_path)
    (tmp_path / "MME_Benchmark_release_version" / "OCR" / "0001.txt").write_text("What?\tA\nAnd?\tB\n")
    with pytest.raises(DataError, match="expected Yes or No"):
        Mme("official").items(tmp_path)
