"""POPE's official files and its mirror hold the same questions."""

import pytest
from benchmark_data import pope as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.understanding.pope import Pope


@pytest.mark.parametrize("write", [data.write, data.write_mirror])
def test_both_formats_are_read(tmp_path, write):
    write(tmp_path)
    items = Pope("official").items(tmp_path)
    assert len({item.id for item in items}) == len(items) == 6
    assert items[0].prompt == "Is there a dog in the image?\nAnswer the question using a single word or phrase."
    benchmark = Pope("official")
    records = [
        Record(item=item, answer=item.facts["label"], verdict=benchmark.score(item, item.facts["label"]))
        for item in items
    ]
    assert benchmark.aggregate(records)["f1"] == 100
    assert benchmark.aggregate(records)["yes_ratio/random"] == 0.5


def test_a_missing_picture_and_a_missing_folder_are_told(tmp_path):
    data.write(tmp_path)
    (tmp_path / "val2014" / data.IMAGE).unlink()
    with pytest.raises(DataError, match=f"holds no picture {data.IMAGE}"):
        Pope("official").items(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        Pope("official").items(tmp_path / "nowhere")


def test_two_settings_are_not_pope(tmp_path):
    data.write(tmp_path)
    (tmp_path / "coco_pope_popular.json").unlink()
    with pytest.raises(DataError, match=r"lacks coco_pope_popular.json"):
        Pope("official").items(tmp_path)


def test_a_missing_file_of_the_mirror_is_told(tmp_path):
    data.write_mirror(tmp_path)
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    path.rename(path.with_name("test-00000-of-00002.parquet"))
    with pytest.raises(DataError, match=r"lacks test-00001-of-00002.parquet"):
        Pope("official").items(tmp_path)


def metrics_of(protocol, items, answers):
    benchmark = Pope(protocol)
    return benchmark.aggregate(
        [
            Record(item=item, answer=answer, verdict=benchmark.score(item, answer))
            for item, answer in zip(items, answers, strict=True)
        ]
    )


def test_by_lmms_eval_all_questions_are_one_and_only_a_bare_no_misses_a_yes(tmp_path):
    data.write(tmp_path)
    items = Pope("lmms").items(tmp_path)
    settings = [item.category for item in items]
    answers = ["maybe" if item.category == "popular" else item.facts["label"] for item in items]
    found = metrics_of("lmms", items, answers)
    assert (found["f1"], found["recall/all"], found["precision/all"]) == (100, 1, 1)
    assert found["accuracy/all"] == pytest.approx(4 / 6)
    assert (found["f1/popular"], found["recall/popular"]) == (0, 0)
    answers = ["no" if setting == "popular" else "yes" for setting in settings]
    found = metrics_of("lmms", items, answers)
    assert found["f1"] == pytest.approx(100 * 2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert found["yes_ratio/all"] == 0.5
    assert metrics_of("official", items, answers)["f1/random"] == pytest.approx(2 / 3)
