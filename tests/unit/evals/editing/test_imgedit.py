"""ImgEdit-Bench's files and its mirror hold the same edits, and a judge's replies are scored as officially."""

import math

import pytest
from benchmark_data import imgedit as data
from benchmark_data import write_picture

from blip3o.errors import DataError
from blip3o.evals.benchmark import USUAL, Judge, Record
from blip3o.evals.editing.imgedit import ImgEdit


class Judging(Judge):
    """Gives one reply, and keeps what it was asked."""

    name = "judging"

    def __init__(self, reply):
        self.reply, self.asked = reply, []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append((prompt, [picture.size for picture in pictures]))
        return self.reply


GOOD, BAD = "Fine work.\nCompliance: 5\nNaturalness: 5\nDetail: 5", "Compliance: 1\nNaturalness: 1\nDetail: 2"


def asked(folder, reply, pictures=True):
    judge = Judging(reply)
    benchmark = ImgEdit("official", judge)
    items = benchmark.items(folder)
    edit = folder / "edit.png"
    write_picture(edit, "green", (32, 32))
    answers = [(edit,) if pictures else () for _ in items]
    records = [
        Record(item=item, answer=answer, verdict=benchmark.score(item, answer))
        for item, answer in zip(items, answers, strict=True)
    ]
    return benchmark, judge, records


@pytest.mark.parametrize("write", [data.write, data.write_mirror, data.write_prepared])
def test_both_formats_hold_the_same_edits_and_are_judged(tmp_path, write):
    write(tmp_path)
    benchmark, judge, records = asked(tmp_path, GOOD)
    assert [(record.item.id, record.item.prompt, record.item.category) for record in records] == [
        (key, row["prompt"], row["edit_type"]) for key, row in data.ROWS.items()
    ]
    assert judge.asked[0] == ("Judge this add: Give the cat a hat.", [(64, 48), (32, 32)])
    metrics = benchmark.aggregate(records)
    assert metrics == {"overall": 5, "overall/style": 5, "overall/add": 5, "overall/remove": 5, "left_out": 0}
    assert next(iter(metrics)) == "overall"


def test_a_poor_edit_scores_what_the_judge_says(tmp_path):
    data.write(tmp_path)
    benchmark, _, records = asked(tmp_path, BAD)
    assert benchmark.aggregate(records)["overall"] == 1.33


@pytest.mark.parametrize(("reply", "pictures"), [("", True), ("nan", True), ("Score: five", True), (GOOD, False)])
def test_replies_without_a_score_and_missing_pictures_are_left_out(tmp_path, reply, pictures):
    data.write(tmp_path)
    benchmark, _, records = asked(tmp_path, reply, pictures)
    verdicts = [record.verdict for record in records if record.verdict is not None]
    assert [(verdict.parsed, verdict.score) for verdict in verdicts] == [(None, 0)] * 4
    metrics = benchmark.aggregate(records)
    assert math.isnan(metrics["overall"])
    assert metrics["left_out"] == 1


def test_a_part_of_the_items_has_numbers(tmp_path):
    data.write(tmp_path)
    benchmark, _, records = asked(tmp_path, GOOD)
    assert benchmark.aggregate(records[:1]) == {"overall": 5, "overall/add": 5, "left_out": 0}


def test_without_a_judge_nothing_is_scored_and_no_prompts_are_needed(tmp_path):
    data.write(tmp_path)
    (tmp_path / "prompts.json").unlink()
    benchmark = ImgEdit("official")
    assert benchmark.score(benchmark.items(tmp_path)[0], ()) is None


def damage_picture(folder):
    (folder / "originals" / "pets" / "0001.jpg").unlink()


def damage_prompts(folder):
    (folder / "prompts.json").write_text('{"add": "x"}')


def damage_suite(folder):
    (folder / "basic_edit.json").write_text('{"1": {"id": "pets/0001.jpg", "prompt": "x", "edit_type": "hard"}}')


def damage_table(folder):
    (folder / "basic_edit.json").write_text("[1, 2]")


def damage_column(folder):
    (folder / "basic_edit.json").write_text('{"1": {"id": "pets/0001.jpg", "edit_type": "add"}}')


def damage_all(folder):
    (folder / "basic_edit.json").unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damage_picture, "holds no picture pets/0001.jpg"),
        (damage_prompts, "no prompt for remove, style"),
        (damage_suite, "type 'hard'"),
        (damage_table, "no table of edits by key"),
        (damage_column, "no column prompt"),
        (damage_all, r"holds no \*.parquet"),
    ],
)
def test_faulty_data_are_told_in_a_line(tmp_path, damage, told):
    data.write(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=told) as raised:
        ImgEdit("official", Judging(GOOD)).items(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        ImgEdit("official").items(tmp_path / "nowhere")
