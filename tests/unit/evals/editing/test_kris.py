"""KRIS-Bench's folders and its mirror hold the same items, each judged in the way of its task."""

import json
import math
import shutil

import pytest
from benchmark_data import kris as data
from benchmark_data import write_picture

from blip3o.errors import DataError
from blip3o.evals.benchmark import USUAL, Judge, Record
from blip3o.evals.editing import kris, kris_replies
from blip3o.evals.editing.kris import Kris


class Judging(Judge):
    """Gives one reply, and keeps what it was asked."""

    name = "judging"

    def __init__(self, reply):
        self.reply, self.asked = reply, []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append((prompt, [picture.getpixel((0, 0)) for picture in pictures]))
        return self.reply


def reply(score):
    return json.dumps({f"{kind}_score": score for kind in ("consistency", "instruction", "knowledge", "quality")})


RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def judged(folder, said):
    judge = Judging(said)
    benchmark = Kris("official", judge)
    edit = folder / "edit.png"
    write_picture(edit, "green")
    return (
        benchmark,
        judge,
        [Record(item=item, answer=(edit,), verdict=benchmark.score(item, (edit,))) for item in benchmark.items(folder)],
    )


def near(found, expected):
    return all(
        abs(a - b) <= 2 for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("write", [data.write, data.write_mirror])
def test_both_formats_hold_the_same_items_and_are_judged(tmp_path, write):
    write(tmp_path)
    benchmark, judge, records = judged(tmp_path, reply(5))
    assert [record.item.id for record in records] == [
        f"{task}/{key}" for task, rows in data.TASKS.items() for key in rows
    ]
    assert [len(record.item.pictures) for record in records] == [1, 1, 2, 3, 1]
    metrics = benchmark.aggregate(records)
    assert next(iter(metrics)) == "overall"
    assert {metrics[name] for name in ("overall", "overall/Factual Knowledge", "KP/Natural Science", "VC/biology")} == {
        100
    }
    assert "KP/count_change" not in metrics
    asked = judge.asked
    assert asked[0][0] == (
        'prompt_consist: Show the egg later. {"x_score": X}\nThis is the original image:\nThis is the edited image:'
    )
    assert near(asked[0][1], [RED, GREEN])
    assert asked[1][0].startswith("prompt_dual_evaluation")
    assert asked[2][0] == "prompt_quality\nThis is the edited image:"
    assert [line for line in asked[9][0].splitlines() if "Frame" in line] == [
        "Frame 1 (Reference):",
        "Frame 2 (Reference):",
        "Frame 3 (Generated):",
        "Frame 4 (Reference):",
    ]
    assert near(asked[9][1], [RED, RED, GREEN, RED])
    assert asked[6][0].splitlines()[1:] == ["Reference Image 1:", "Reference Image 2:", "Predicted Image:"]
    assert asked[13][0].startswith("prompt_view_instruction_following")
    assert near(asked[13][1], [RED, GREEN, BLUE])


def test_a_poor_edit_scores_less(tmp_path):
    data.write(tmp_path)
    benchmark, _judge, records = judged(tmp_path, reply(2))
    assert benchmark.aggregate(records)["overall"] == 25
    assert [record.verdict.score for record in records if record.verdict] == [25] * 5


@pytest.mark.parametrize("said", ["", "no score", '{"consistency_score": NaN}'])
def test_replies_without_a_score_are_left_out(tmp_path, said):
    data.write(tmp_path)
    benchmark, _judge, records = judged(tmp_path, said)
    metrics = benchmark.aggregate(records)
    assert math.isnan(metrics["overall"])
    assert metrics["left_out"] == 1


def test_a_missing_picture_is_left_out_and_any_part_has_numbers(tmp_path):
    data.write(tmp_path)
    benchmark, _judge, records = judged(tmp_path, reply(4))
    empty = Record(item=records[0].item, answer=(), verdict=benchmark.score(records[0].item, ()))
    assert benchmark.aggregate([empty, records[1]])["overall"] == 75
    assert benchmark.aggregate([empty, records[1]])["left_out"] == 0.5


def test_every_task_has_a_way_and_twenty_there_are():
    assert len(kris.PLACES) == len(kris.WAYS) == len(kris.SHOWING) == 20
    assert {task for task, way in kris.WAYS.items() if way.knowing} == {
        task for task, (_, category) in kris.PLACES.items() if category in kris.KNOWING
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["7-1.jpg", "7-2.jpg", "7-4.jpg"], ([1, 2, 4], 3)),
        (["7-2.jpg", "7-3.jpg", "7-4.jpg"], ([2, 3, 4], 1)),
        (["7-1.jpg", "7-2.jpg"], ([1, 2], 3)),
        (["a.jpg", "b.jpg"], ([1, 2], 3)),
    ],
)
def test_the_frame_to_draw_is_the_one_that_is_missing(names, expected):
    assert kris.frames(names) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('{"instruction_score": 4, "knowledge_score": 2}', (4, 2)),
        ('Well: {"a": {"b": 1}, "instruction_score": 4, "knowledge_score": null} yes', (4, None)),
        ("instruction_score: 3, knowledge score: 5", (3, 5)),
        ('"instruction_score": 3, {"knowledge_score": 5', (3, 5)),
        ("5", (None, None)),
        ("", (None, None)),
        ('{"instruction_score": "high", "knowledge_score": 5}', (None, 5)),
    ],
)
def test_both_scores_are_read_from_one_reply(said, expected):
    assert tuple(kris_replies.both_scores(said).values()) == expected


def test_the_three_ways_of_reading_differ_where_the_official_ones_do():
    said = "consistency_score: 2, that is 4/5"
    assert (kris_replies.prefixed_score("consistency", said), kris_replies.plain_score("consistency", said)) == (2, 4)
    null = '{"consistency_score": null, "was": 3}'
    assert (kris_replies.prefixed_score("consistency", null), kris_replies.known_score("consistency", null)) == (
        3,
        None,
    )


def task_strange(folder):
    (folder / "KRIS_Bench" / "biology").rename(folder / "KRIS_Bench" / "alchemy")


def picture_missing(folder):
    (folder / "KRIS_Bench" / "count_change" / "1.jpg").unlink()


def truth_missing(folder):
    (folder / "KRIS_Bench" / "viewpoint_change" / "1_gt.jpg").unlink()


def prompts_missing(folder):
    (folder / "utils" / "prompts.py").write_text("prompt_consist = ''")


def words_missing(folder):
    (folder / "KRIS_Bench" / "biology" / "annotation.json").write_text('{"1": {"ori_img": "1.jpg"}}')


def all_missing(folder):
    shutil.rmtree(folder / "KRIS_Bench")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (task_strange, "task 'alchemy'"),
        (picture_missing, "holds no picture 1.jpg"),
        (truth_missing, "holds no picture 1_gt.jpg"),
        (prompts_missing, "has no prompt_consist_multi"),
        (words_missing, "no column ins_en"),
        (all_missing, r"holds no \*.parquet"),
    ],
)
def test_faulty_data_are_told_in_a_line(tmp_path, damage, told):
    data.write(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=told) as raised:
        Kris("official", Judging("")).items(tmp_path)
    assert "\n" not in str(raised.value)
