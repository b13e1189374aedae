"""vqa_v2.json."""

import pytest

from blip3o.evals.understanding import vqav2, words

COLUMNS = {"official": "expected", "lmms-0.3": "lmms_eval_0_3", "lmms-0.7": "lmms_eval_0_7"}


def process_punctuation(case):
    assert words.punctuation(case["input"]) == case["expected"]


def process_digit_article(case):
    assert words.digits_and_articles(case["input"]) == case["expected"]


def normalise_full(case):
    assert words.vqa(words.one_line(case["input"])) == case["expected"]


def share(protocol, prediction, given, marks=None):
    return words.agreement(*vqav2.RULES[protocol](prediction, given), marks)


def per_question(case):
    for protocol, column in COLUMNS.items():
        found = share(protocol, case["prediction"], case["answers"])
        assert found == pytest.approx(case[column], abs=1e-6), protocol


def optional_no_answer_id(case):
    given = [row["answer"] for row in case["answers"]]
    found = share("official", case["prediction"], given, vqav2.marks(case["answers"]))
    assert found == pytest.approx(case["expected"], abs=1e-6)


def aggregate(case):
    rows, expected = case["items"], case["expected"]
    scores = [share("official", row["prediction"], row["answers"]) for row in rows]
    found = vqav2.summary(scores, [row["question_type"] for row in rows], [row["answer_type"] for row in rows])
    assert found == pytest.approx(
        {"accuracy": expected["overall"]}
        | {f"accuracy/{kind}": value for kind, value in expected["perAnswerType"].items()}
        | {f"accuracy/question/{kind}": value for kind, value in expected["perQuestionType"].items()},
        abs=1e-6,
    )


GROUPS = {
    "process_punctuation": process_punctuation,
    "process_digit_article": process_digit_article,
    "normalise_full": normalise_full,
    "per_question": per_question,
    "optional_no_answer_id": optional_no_answer_id,
    "aggregate": aggregate,
}
DEVIATIONS = {}
UNCOMPARED = {}
