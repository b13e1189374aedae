"""mmvet.json: the judge is a script of replies, the data stand beside the cases."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from blip3o.evals.benchmark import USUAL
from blip3o.evals.understanding import mmvet

HERE = Path(__file__).parent.parent / "evaluation_cases"
META = json.loads((Path(os.environ.get("BLIP3O_EVALUATION_CASES") or HERE) / "mmvet.json").read_text())["meta"]


def shown(value):
    """A number as the cases write it."""
    return "nan" if isinstance(value, float) and math.isnan(value) else value


class Scripted:
    """A judge that replies as a case says, and keeps what it is asked."""

    name = "scripted"

    def __init__(self, replies):
        self.replies, self.asked = iter(replies), []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append((prompt, settings))
        return next(self.replies)


def grades_of(case):
    """All grades by question, and what the judge was asked, run after run as the official script does."""
    judges = {identity: Scripted(replies) for identity, replies in case["judge_replies"].items()}
    grades, calls = {identity: [] for identity in META["data"]}, []
    for run in range(case["num_run"]):
        for identity, row in META["data"].items():
            text = mmvet.request("WORDS", row["question"], row["answer"], META["predictions"][identity])
            judge, before = judges[identity], len(judges[identity].asked)
            grades[identity].append(mmvet.graded(judge, text, run))
            for attempt, (prompt, settings) in enumerate(judge.asked[before:]):
                assert prompt == text + (mmvet.AGAIN if attempt else "")
                assert settings.attempt == run * mmvet.TRIES + attempt
                call = {"id": identity, "max_tokens": settings.max_tokens, "suffix": attempt > 0}
                calls.append(call | {"temperature": settings.temperature})
    return grades, calls


def runs(case):
    grades, calls = grades_of(case)
    if "expected_calls" in case:
        assert calls == [{name: call[name] for name in calls[0]} for call in case["expected_calls"]]
    expected = case["expected"]
    for identity, found in grades.items():
        assert [shown(grade.score) for grade in found] == expected["grades"][identity]["score"]
        assert [grade.content for grade in found] == expected["grades"][identity]["content"]
    numbers = mmvet.report(
        [(META["data"][name]["capability"], [grade.score for grade in found]) for name, found in grades.items()]
    )
    for group in ("capability", "integration"):
        for name, value in expected[group].items():
            mine = numbers[name if name in ("total", "std") else f"{group}/{name}"]
            rounded = shown(float(np.round(mine, case["decimal_places"])))
            assert rounded == (value if value == "nan" else pytest.approx(value, abs=1e-6))


GROUPS = {"runs": runs}
DEVIATIONS = {}
UNCOMPARED = {}
