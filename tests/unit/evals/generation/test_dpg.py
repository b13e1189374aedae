"""DPG-Bench: its prompts and questions, answers of a judge or of a file, and the numbers."""

import json
import math
from pathlib import Path

import pytest
from benchmark_data import dpg as data
from benchmark_data import write_picture
from PIL import Image

from blip3o.errors import DataError
from blip3o.evals.benchmark import USUAL, Record
from blip3o.evals.generation.dpg import DpgBench

NOBODY = tuple(Path(f"nowhere/{number}.png") for number in range(4))


class Says:
    """A judge that gives one answer to all, or another one to a question, and keeps the pictures."""

    name = "a judge of a test"

    def __init__(self, answer="yes", **others):
        self.answer, self.others, self.seen = answer, others, []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.seen += pictures
        return self.others.get(prompt.split()[-1].strip("?"), self.answer)


@pytest.fixture
def pictures(tmp_path):
    colors = ("red", "green", "blue", "black")
    for number, color in enumerate(colors):
        write_picture(tmp_path / "drawn" / f"{number}.png", color)
    return tuple(tmp_path / "drawn" / f"{number}.png" for number in range(4))


def read(folder, protocol="fixed", **options):
    data.write(folder / "data")
    benchmark = DpgBench(protocol, **options)
    return benchmark, benchmark.items(folder / "data")


def numbers(benchmark, items, answer=NOBODY):
    records = [Record(item=item, answer=answer, verdict=benchmark.score(item, answer)) for item in items]
    json.dumps([dict(record.verdict.details) for record in records if record.verdict])
    return benchmark.aggregate(records)


def test_prompts_are_read_with_their_questions(tmp_path):
    _, items = read(tmp_path)
    assert {item.id: item.prompt for item in items} == data.PROMPTS
    assert sum(len(item.facts["questions"]) for item in items) == len(data.QUESTIONS)
    assert {item.count for item in items} == {4}
    json.dumps([dict(item.facts) for item in items])


def test_every_yes_is_full_marks(tmp_path, pictures):
    benchmark, items = read(tmp_path, judge=Says("yes"))
    found = numbers(benchmark, items, pictures)
    assert next(iter(found)) == "dpg"
    assert found["dpg"] == found["category/entity"] == found["detail/global -"] == 100


def test_a_no_takes_along_what_hangs_on_it(tmp_path, pictures):
    benchmark, items = read(tmp_path, judge=Says("yes", teapot="no"))
    verdict = benchmark.score(next(item for item in items if item.id == "midjourney3"), pictures)
    assert verdict is not None
    assert verdict.parsed == [0.25] * 4
    assert numbers(benchmark, items, pictures)["category/attribute"] == 100


def test_the_official_protocol_loses_the_item_of_the_first_row_and_takes_yes_by_the_letter(tmp_path, pictures):
    benchmark, items = read(tmp_path, "official", judge=Says("yes"))
    lost = next(item for item in items if item.id == "partiprompts97")
    verdict = benchmark.score(lost, pictures)
    assert verdict is not None
    assert "left_out" in verdict.details
    assert numbers(benchmark, items, pictures)["dpg"] == 100
    assert math.isnan(numbers(benchmark, [lost], pictures)["dpg"])
    assert numbers(DpgBench("official", Says("Yes.")), items, pictures)["dpg"] == 0
    assert numbers(DpgBench("fixed", Says("Yes.")), items[:1], pictures)["dpg"] == 100


@pytest.mark.parametrize("answer", ["", "nan", "maybe"])
def test_answers_that_say_nothing_are_no(tmp_path, pictures, answer):
    benchmark, items = read(tmp_path, judge=Says(answer))
    assert numbers(benchmark, items, pictures)["dpg"] == 0


def test_answers_come_from_a_file(tmp_path):
    answers = {name: [{str(q[1]): "yes" for q in data.QUESTIONS if q[0] == name}] * 4 for name in data.PROMPTS}
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(answers))
    benchmark, items = read(tmp_path, answers=path)
    assert numbers(benchmark, items)["dpg"] == 100


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({}, "hold nothing of item 12"),
        ({"12": [{"1": "yes"}]}, "no answer to question 2"),
        ({"12": ["yes"]}, "no list of objects"),
    ],
)
def test_answers_that_lack_something_are_told(tmp_path, answers, fault):
    benchmark, items = read(tmp_path, answers=answers)
    with pytest.raises(DataError, match=fault):
        benchmark.score(items[0], NOBODY)


def test_nothing_is_scored_without_a_judge_or_answers(tmp_path):
    benchmark, items = read(tmp_path)
    assert benchmark.score(items[0], NOBODY) is None


def test_a_grid_is_cut_into_its_four_pictures(tmp_path):
    path = tmp_path / "grid.png"
    grid = Image.new("RGB", (8, 8))
    for index, color in enumerate(("red", "lime", "blue", "white")):
        grid.paste(color, (4 * (index % 2), 4 * (index // 2), 4 * (index % 2) + 4, 4 * (index // 2) + 4))
    grid.save(path)
    judge = Says("yes")
    benchmark, items = read(tmp_path, judge=judge, grid=True)
    verdict = benchmark.score(items[0], (path,))
    assert verdict is not None
    assert len(verdict.parsed) == 4
    assert {one.size for one in judge.seen} == {(4, 4)}
    colors = [one.getcolors() for one in judge.seen[::3]]
    assert colors == [[(16, color)] for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))]


def test_faulty_files_are_told(tmp_path):
    data.write(tmp_path)
    benchmark = DpgBench("official")
    table = tmp_path / "dpg_bench.csv"
    whole = table.read_text()
    for text, fault in {
        whole.replace("dependency", "parents"): "no column dependency",
        whole.replace(",1,0,", ",one,0,"): "is no question",
        whole.replace('"1,2"', '"1,9"'): "hangs on question 9",
        whole[: whole.index("\n12,") + 1]: "asks nothing of 12",
    }.items():
        table.write_text(text)
        with pytest.raises(DataError, match=fault):
            benchmark.items(tmp_path)
    table.write_text(whole)
    (tmp_path / "prompts" / "12.txt").unlink()
    with pytest.raises(DataError, match=r"holds no 12\.txt"):
        benchmark.items(tmp_path)
    table.unlink()
    with pytest.raises(DataError, match=r"holds no dpg_bench\.csv"):
        benchmark.items(tmp_path)


def test_a_picture_that_cannot_be_read_is_told(tmp_path):
    benchmark, items = read(tmp_path, judge=Says("yes"))
    with pytest.raises(DataError, match="is no picture"):
        benchmark.score(items[0], NOBODY)


def test_kinds_of_facts_are_told_by_all_four_pictures_officially_by_the_last(tmp_path, pictures):
    class Half(Says):
        """Says yes of the first two pictures."""

        def ask(self, prompt, pictures=(), settings=USUAL):
            return "yes" if pictures[0].getpixel((0, 0)) in ((255, 0, 0), (0, 128, 0)) else "no"

    benchmark, items = read(tmp_path, judge=Half())
    assert numbers(benchmark, items, pictures)["category/entity"] == 50
    assert numbers(benchmark, items, pictures)["detail/other - count"] == 50
    official = DpgBench("official", Half())
    items = official.items(tmp_path / "data")
    assert numbers(official, items, pictures)["category/entity"] == 0
    assert numbers(official, items, pictures[::-1])["category/entity"] == 100


def test_an_item_without_pictures_counts_nothing_officially_it_is_left_out(tmp_path, pictures):
    benchmark, items = read(tmp_path, judge=Says("yes"))
    answers = [pictures, pictures, ()]

    def scored(benchmark):
        records = [
            Record(item=item, answer=answer, verdict=benchmark.score(item, answer))
            for item, answer in zip(items, answers, strict=True)
        ]
        return benchmark.aggregate(records)

    found = scored(benchmark)
    assert found["dpg"] == pytest.approx(100 * 2 / 3)
    assert found["category/entity"] == pytest.approx(100 * 3 / 4)
    assert scored(DpgBench("official", Says("yes")))["dpg"] == 100
