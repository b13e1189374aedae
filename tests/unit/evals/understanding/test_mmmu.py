"""MMMU: both formats hold the same questions; letters are read and open answers found as the official code does."""

import json

import pytest
from benchmark_data import looked_at
from benchmark_data import mmmu as data

from blip3o.errors import DataError, PictureError
from blip3o.evals.benchmark import Record
from blip3o.evals.tables import opened
from blip3o.evals.understanding.mmmu import Mmmu

WHOLE = {"accuracy", "accuracy/Art and Design", "accuracy/Science"}


@pytest.fixture
def items(tmp_path):
    data.write(tmp_path)
    return Mmmu("official").items(tmp_path)


def best(item):
    return str(data.BEST.get(item.id.removeprefix("validation_"), item.facts["answer"]))


def answered(benchmark, items, answer):
    return [Record(item=item, answer=answer(item), verdict=benchmark.score(item, answer(item))) for item in items]


@pytest.mark.parametrize("protocol", Mmmu.protocols)
def test_both_formats_hold_the_same_items(tmp_path, protocol):
    data.write(tmp_path / "official")
    data.write_mirror(tmp_path / "mirror")
    benchmark = Mmmu(protocol)
    items = benchmark.items(tmp_path / "official")
    assert looked_at(items) == looked_at(benchmark.items(tmp_path / "mirror"))
    assert [item.id.removeprefix("validation_") for item in items] == [name for name, *_ in data.QUESTIONS]
    metrics = benchmark.aggregate(answered(benchmark, items, best))
    assert metrics.keys() == WHOLE | {"accuracy/Art", "accuracy/Math", "accuracy/Music"}
    assert set(metrics.values()) == {100}


def test_prompts_and_pictures(items, tmp_path):
    letter = "Answer with the option's letter from the given choices directly."
    assert items[0].prompt == f"Which colour does <image 1> show?\n(A) red\n(B) green\n(C) blue\n\n{letter}"
    lmms = Mmmu("lmms").items(tmp_path)
    assert lmms[0].prompt == f"Which colour does <image 1> show?\nA. red\nB. green\nC. blue\n\n{letter}"
    short = "Answer the question using a single word or phrase."
    assert items[2].prompt == f"How long is the side in <image 1>?\n{short}"
    assert lmms[2].prompt == f"How long is the side in <image 1>?\n\n{short}"
    assert [len(item.pictures) for item in items] == [1, 2, 1, 1, 1, 1]


def test_a_question_counts_in_its_subject_its_domain_and_in_all(items):
    benchmark = Mmmu("official")
    records = answered(benchmark, items, lambda item: "12" if item.category == "Math" else best(item))
    metrics = benchmark.aggregate(records)
    assert (metrics["accuracy/Math"], metrics["accuracy/Art and Design"]) == (0, 100)
    assert metrics["accuracy"] == pytest.approx(100 * 4 / 6)
    assert benchmark.aggregate(records[:1]).keys() == {"accuracy", "accuracy/Art and Design", "accuracy/Art"}


@pytest.mark.parametrize("protocol", Mmmu.protocols)
def test_right_open_answers_are_right(items, protocol):
    """lmms-eval 0.3.5 to 0.7.2 took a text for a list of its letters and counted every open answer wrong."""
    free = [item for item in items if not item.facts["options"]]
    assert [Mmmu(protocol).score(item, best(item)).score for item in free] == [1, 1, 1]
    assert [item.facts["answer"] for item in free] == ["12.5", ["3:2", "1.5"], "treble"]


def test_a_draw_is_the_same_each_time_and_not_the_same_for_all(items):
    chosen = [item for item in items if item.facts["options"]]
    first = [Mmmu("official").score(item, "no idea").parsed for item in chosen]
    assert [Mmmu("official").score(item, "another").parsed for item in reversed(chosen)] == first[::-1]
    assert all(letter in item.facts["options"] for letter, item in zip(first, chosen, strict=True))
    assert Mmmu("official").score(chosen[0], "no idea").details == {"by_chance": True}
    assert Mmmu("official").score(chosen[0], "B").details == {"by_chance": False}


@pytest.mark.parametrize("answer", ["", " ", "nan", "inf", "\n\n", "-inf\n1e999", "😀", "(", "is "])
@pytest.mark.parametrize("protocol", Mmmu.protocols)
def test_any_answer_is_scored(items, protocol, answer):
    for item in items:
        verdict = Mmmu(protocol).score(item, answer)
        assert verdict.score in ((0, 1) if item.facts["options"] else (0,))
        json.dumps(verdict.parsed, allow_nan=False)


def test_a_question_without_its_picture_stays_and_is_told_when_it_is_opened(tmp_path):
    rows = [data.row(*data.QUESTIONS[0]) | {"image_1": None}, data.row(*data.QUESTIONS[2])]
    data.save(tmp_path / "validation-00000-of-00001.parquet", rows)
    bad, good = Mmmu("official").items(tmp_path)
    assert opened(good.pictures[0]).size == (64, 48)
    with pytest.raises(PictureError, match="a picture inside the data is empty"):
        opened(bad.pictures[0])


def test_missing_data_and_other_splits_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Mmmu("official").items(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no validation"):
        Mmmu("official").items(tmp_path)
    row = data.row(*data.QUESTIONS[0])
    path = tmp_path / "validation-00000-of-00001.parquet"
    for change, message in (
        ({"id": "test_Art_1"}, "no questions of MMMU's validation split"),
        ({"answer": "?"}, "validation_Art_1, has no right answer"),
        ({"options": "['red', "}, "validation_Art_1, has no options"),
    ):
        data.save(path, [row | change])
        with pytest.raises(DataError, match=message):
            Mmmu("official").items(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="no whole Parquet file"):
        Mmmu("official").items(tmp_path)
