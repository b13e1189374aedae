"""MM-Vet: both formats hold the same questions, and a judge's replies become grades as in the official script."""

import json
import math

import pytest
from benchmark_data import mmvet as data

from blip3o.errors import DataError, JudgeError
from blip3o.evals.benchmark import USUAL, Record
from blip3o.evals.understanding.mmvet import AGAIN, TRIES, Mmvet


class Grader:
    """A judge that gives a grade by what is asked, or one reply after another."""

    name = "grader"

    def __init__(self, *replies, good="", bad="0.0"):
        self.replies, self.good, self.bad, self.asked = replies, good, bad, []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append((prompt, settings.temperature, settings.max_tokens, settings.attempt))
        if self.replies:
            return self.replies[settings.attempt % len(self.replies)]
        return "1.0" if f" | {self.good} | " in prompt else self.bad


def answered(benchmark, items, answer):
    return [Record(item=item, answer=answer, verdict=benchmark.score(item, answer)) for item in items]


def read(tmp_path, judge=None, protocol="official"):
    if not (tmp_path / "mm-vet.json").exists():
        data.write(tmp_path)
    benchmark = Mmvet(protocol, judge)
    return benchmark, benchmark.items(tmp_path)


def test_both_formats_hold_the_same_questions(tmp_path):
    made = []
    for write, folder in ((data.write, tmp_path / "official"), (data.write_mirror, tmp_path / "mirror")):
        folder.mkdir()
        write(folder)
        benchmark = Mmvet("official", Grader(good="yes"))
        items = benchmark.items(folder)
        made.append([(item.id, item.prompt, item.category, item.facts) for item in items])
        metrics = benchmark.aggregate(answered(benchmark, items, "yes"))
        assert list(metrics)[:2] == ["total", "std"]
        assert {value for name, value in metrics.items() if name != "std"} == {100}
        assert benchmark.aggregate(answered(benchmark, items, "no"))["total"] == 0
    assert made[0] == made[1]
    assert [row[0] for row in made[0]] == list(data.QUESTIONS)


def test_the_judge_is_asked_in_the_words_of_the_script(tmp_path):
    judge = Grader("0.5")
    benchmark, items = read(tmp_path, judge)
    verdict = benchmark.score(items[0], "2 or so")
    assert verdict is not None
    assert verdict.score == 0.5
    assert judge.asked == [(f"{data.WORDS}\nWhat are the two roots? | 2 <AND> -7 | 2 or so | ", 0.0, 3, 0)]


def test_a_question_counts_for_each_ability_it_needs_and_for_their_set(tmp_path):
    benchmark, items = read(tmp_path, Grader("0.4"))
    records = answered(benchmark, items, "something")
    assert benchmark.aggregate(records) == pytest.approx(
        {
            "total": 40,
            "std": 0,
            **{f"capability/{name}": 40 for name in ("math", "ocr", "rec", "spat")},
            **{f"integration/{name}": 40 for name in ("math_ocr", "rec", "rec_spat")},
        }
    )
    assert benchmark.aggregate(records[:1]).keys() == {
        "total",
        "std",
        "capability/math",
        "capability/ocr",
        "integration/math_ocr",
    }


def test_a_reply_that_is_no_grade_is_asked_for_again_ever_more_freely_and_counts_nothing_in_the_end(tmp_path):
    judge = Grader("I would say", "1.5", "-1", "", "one", "0.9")
    benchmark, items = read(tmp_path, judge)
    verdict = benchmark.score(items[0], "2")
    assert verdict is not None
    assert (verdict.score, verdict.details["replies"]) == (0, ["0.9"])
    assert [temperature for _, temperature, _, _ in judge.asked] == [0, 0, 0.5, 1, 1.5, 2]
    assert [prompt.endswith(AGAIN) for prompt, *_ in judge.asked] == [False] + [True] * 5


def test_five_runs_have_their_own_replies_and_give_a_deviation(tmp_path):
    judge = Grader("0.1", "", "", "", "", "", "0.3", "", "", "", "", "", "0.2")
    benchmark, items = read(tmp_path, judge, "official-5-runs")
    judge.replies = tuple(reply for grade in ("0.1", "0.2", "0.3", "0.4", "0.5") for reply in [grade] * TRIES)
    records = answered(benchmark, items[:1], "2")
    assert [attempt for *_, attempt in judge.asked] == [0, TRIES, 2 * TRIES, 3 * TRIES, 4 * TRIES]
    assert benchmark.aggregate(records)["total"] == pytest.approx(30)
    assert benchmark.aggregate(records)["std"] == pytest.approx(100 * math.sqrt(0.02))


def test_without_a_judge_nothing_is_scored(tmp_path):
    benchmark, items = read(tmp_path)
    records = answered(benchmark, items, "anything")
    assert [record.verdict for record in records] == [None] * 3
    assert math.isnan(benchmark.aggregate(records)["total"])


@pytest.mark.parametrize("answer", ["", " ", "nan", "\n\n", "a | b", "😀"])
def test_any_answer_is_scored(tmp_path, answer):
    benchmark, items = read(tmp_path, Grader("0.0"))
    verdict = benchmark.score(items[1], answer)
    assert verdict is not None
    assert verdict.score == 0
    json.dumps([verdict.parsed, verdict.details])


def test_a_judge_that_cannot_be_had_is_not_a_zero(tmp_path):
    class Gone(Grader):
        def ask(self, prompt, pictures=(), settings=USUAL):
            raise JudgeError("out of reach")

    benchmark, items = read(tmp_path, Gone())
    with pytest.raises(JudgeError, match="out of reach"):
        benchmark.score(items[0], "2")


def test_the_script_is_needed_only_by_a_judge(tmp_path):
    data.write(tmp_path)
    script = tmp_path / "mm-vet_evaluator.py"
    for text, message in (("prompts = 1\n", "sets no prompt"), ("prompt = '", "is no script of MM-Vet")):
        script.write_text(text)
        with pytest.raises(DataError, match=message):
            read(tmp_path, Grader("1"))
    script.unlink()
    assert len(read(tmp_path)[1]) == 3
    with pytest.raises(DataError, match=r"holds no mm-vet_evaluator\.py"):
        read(tmp_path, Grader("1"))


def test_missing_and_other_data_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Mmvet("official").items(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no"):
        Mmvet("official").items(tmp_path)
    data.write(tmp_path)
    (tmp_path / "images" / "v1_1.jpg").unlink()
    with pytest.raises(DataError, match=r"holds no picture v1_1\.jpg"):
        Mmvet("official").items(tmp_path)
    path = tmp_path / "mm-vet.json"
    for content, message in (
        ([], "is no MM-Vet"),
        ({"v1_0": {"image": "x"}}, "has no column imagename"),
        ({"v1_0": {"imagename": "v1_0.png", "question": "?", "answer": "!", "capability": []}}, "needs no capability"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=message):
            Mmvet("official").items(tmp_path)


def test_an_empty_answer_is_worth_nothing_without_asking_the_judge(tmp_path):
    data.write(tmp_path)
    judge = Grader("1.0")
    benchmark = Mmvet("official-5-runs", judge)
    items = benchmark.items(tmp_path)
    verdict = benchmark.score(items[0], "")
    assert verdict is not None
    assert (verdict.score, verdict.details["scores"], judge.asked) == (0, [0.0] * 5, [])
    assert benchmark.aggregate([Record(item=items[0], answer="", verdict=verdict)])["total"] == 0


def test_a_judge_that_has_three_tokens_is_told_not_to_think(tmp_path):
    thoughts = []

    class Thinker(Grader):
        def ask(self, prompt, pictures=(), settings=USUAL):
            thoughts.append(settings.think)
            return "1.0"

    benchmark, items = read(tmp_path, Thinker())
    benchmark.score(items[0], "yes")
    assert thoughts == [False]
