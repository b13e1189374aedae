"""GEdit-Bench is read by language, and its judge's replies are scored as officially."""

import math
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_data import gedit as data
from benchmark_data import looked_at, write_picture

from blip3o.errors import DataError, JudgeRefusalError
from blip3o.evals.benchmark import USUAL, Judge, Record
from blip3o.evals.editing import gedit
from blip3o.evals.editing.gedit import Gedit


class Judging(Judge):
    """Gives the replies of a list, then the last one again and again, and keeps what it was asked."""

    name = "judging"

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append((prompt, [picture.size for picture in pictures], settings.attempt))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


GOOD = '{"score": [10, 10], "reasoning": "Well done."}'


def judged(folder, *replies, protocol="official"):
    judge = Judging(*replies)
    benchmark = Gedit(protocol, judge)
    items = benchmark.items(folder)
    edit = folder / "edit.png"
    write_picture(edit, "green", (32, 32))
    return (
        benchmark,
        judge,
        [Record(item=item, answer=(edit,), verdict=benchmark.score(item, (edit,))) for item in items],
    )


def verdicts(records):
    return [record.verdict for record in records if record.verdict is not None]


@pytest.mark.parametrize("protocol", Gedit.protocols)
def test_one_language_is_read_and_judged(tmp_path, protocol):
    data.write(tmp_path)
    benchmark, judge, records = judged(tmp_path, GOOD, protocol=protocol)
    assert [(record.item.category, record.item.prompt) for record in records] == list(data.EDITS)
    assert len({record.item.id for record in records}) == 3
    assert judge.asked[:2] == [
        ("Context.\nTwo pictures.\nAsked for: Make the car blue.", [data.SIZE, data.SIZE], 0),
        ("Context.\nOne picture.", [data.SIZE], 0),
    ]
    metrics = benchmark.aggregate(records)
    assert next(iter(metrics)) == "overall"
    assert {metrics[name] for name in ("overall", "semantics", "quality", "overall/subject-add")} == {10}
    assert metrics["overall_intersection"] == 10
    assert metrics["left_out"] == 0


def test_the_smaller_scores_count(tmp_path):
    data.write(tmp_path)
    benchmark, _judge, records = judged(tmp_path, '{"score": [9, 4]}', '{"score": [9, 9]}', GOOD)
    assert verdicts(records)[0].score == pytest.approx(6)
    assert verdicts(records)[0].parsed == [4, 9]
    assert benchmark.aggregate(records)["overall"] == pytest.approx((8 + 10) / 2)


def test_from_the_second_try_on_a_reply_without_json_is_guessed(tmp_path):
    data.write(tmp_path)
    _benchmark, judge, records = judged(tmp_path, "I like it.")
    guesses = [gedit.drawn(record.item.id, "I like it.") for record in records]
    assert [verdict.parsed for verdict in verdicts(records)] == [[guess, guess] for guess in guesses]
    assert [attempt for _, _, attempt in judge.asked[:4]] == [0, 0, 1, 1]


def test_a_guess_is_the_same_in_every_run_and_stays_in_range():
    random.seed(0)
    first = [gedit.drawn("a", str(number)) for number in range(200)]
    assert first == [gedit.drawn("a", str(number)) for number in range(200)]
    assert set(first) == set(range(11))


@pytest.mark.parametrize("reply", ['{"broken', "{}", '{"score": ["8", "7"]}', '{"score": []}', '{"score": [-1, 4]}'])
def test_replies_that_cannot_be_used_raise_in_the_end(tmp_path, reply):
    data.write(tmp_path)
    benchmark = Gedit("official", Judging(reply + "}"))
    item = benchmark.items(tmp_path)[0]
    write_picture(tmp_path / "edit.png")
    with pytest.raises(JudgeRefusalError, match="no usable scores in 10 tries"):
        benchmark.score(item, (tmp_path / "edit.png",))


def test_a_missing_picture_is_left_out(tmp_path):
    data.write(tmp_path)
    benchmark = Gedit("official", Judging(GOOD))
    records = [Record(item=item, answer=(), verdict=benchmark.score(item, ())) for item in benchmark.items(tmp_path)]
    metrics = benchmark.aggregate(records)
    assert math.isnan(metrics["overall"])
    assert metrics["left_out"] == 1


def test_without_a_judge_nothing_is_scored(tmp_path):
    data.write(tmp_path)
    benchmark = Gedit("official")
    assert benchmark.score(benchmark.items(tmp_path)[0], ()) is None


def prompts_missing(folder):
    (folder / "GEdit-Bench" / "viescore" / "vie_prompts.py").unlink()


def prompts_strange(folder):
    (folder / "GEdit-Bench" / "viescore" / "vie_prompts.py").write_text("_context_no_delimit = 'x'")


def prompts_broken(folder):
    (folder / "GEdit-Bench" / "viescore" / "vie_prompts.py").write_text("def (")


def one_language(folder):
    path = folder / "data" / "train-00000-of-00001.parquet"
    rows = [row for row in pq.read_table(path).to_pylist() if row["instruction_language"] == "cn"]
    pq.write_table(pa.Table.from_pylist(rows), path)


def strange_group(folder):
    path = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist([row | {"task_type": "x"} for row in pq.read_table(path).to_pylist()]), path)


def no_picture(folder):
    path = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns("input_image"), path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (prompts_missing, "vie_prompts.py"),
        (prompts_strange, "has no _prompts_0shot_two_image_edit_rule"),
        (prompts_broken, "is no Python"),
        (one_language, "no instructions in 'en'"),
        (strange_group, "group 'x'"),
        (no_picture, "no column input_image"),
    ],
)
def test_faulty_data_are_told_in_a_line(tmp_path, damage, told):
    data.write_parquet(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=told) as raised:
        Gedit("official", Judging(GOOD)).items(tmp_path)
    assert "\n" not in str(raised.value)


def test_arrow_and_parquet_hold_the_same_edits(tmp_path):
    data.write(tmp_path / "arrow")
    data.write_parquet(tmp_path / "parquet")
    for protocol in Gedit.protocols:
        made = [looked_at(Gedit(protocol).items(tmp_path / form)) for form in ("arrow", "parquet")]
        assert made[0] == made[1]
        assert len(made[0]) == 3
