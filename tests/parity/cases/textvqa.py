"""textvqa.json."""

import pytest

from blip3o.evals.understanding import textvqa, words


def normalise(case):
    assert words.evalai(case["input"]) == case["expected"]


def per_question(case):
    assert textvqa.share(case["prediction"], case["answers"]) == pytest.approx(case["expected"], abs=1e-6)


def aggregate(case):
    scores = [textvqa.share(row["pred_answer"], row["gt_answers"]) for row in case["items"]]
    assert textvqa.mean(scores) == pytest.approx(case["expected"], abs=1e-6)


GROUPS = {"normalise": normalise, "per_question": per_question, "aggregate": aggregate}
DEVIATIONS = {}
UNCOMPARED = {}
