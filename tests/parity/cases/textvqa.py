"""textvqa.json."""

import pytest

from blip3o.evals.benchmark import Item, Record
from blip3o.evals.understanding import textvqa, words


def normalise(case):
    assert words.evalai(case["input"]) == case["expected"]


def per_question(case):
    assert textvqa.share(case["prediction"], case["answers"]) == pytest.approx(case["expected"], abs=1e-6)


def aggregate(case):
    benchmark, records = textvqa.TextVqa("official"), []
    for row in case["items"]:
        item = Item(id="x", prompt="", facts={"answers": row["gt_answers"]})
        verdict = benchmark.score(item, row["pred_answer"])
        records.append(Record(item=item, answer=row["pred_answer"], verdict=verdict))
    assert benchmark.aggregate(records)["accuracy"] / 100 == pytest.approx(case["expected"], abs=1e-6)


GROUPS = {"normalise": normalise, "per_question": per_question, "aggregate": aggregate}
DEVIATIONS = {}
UNCOMPARED = {}
