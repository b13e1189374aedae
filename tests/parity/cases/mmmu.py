"""mmmu.json."""

import math

import pytest

from blip3o.evals.benchmark import Item, Record
from blip3o.evals.understanding import mmmu

COLUMNS = {"official": "official", "lmms_eval": "lmms"}


def sortable(value):
    """A number before a text; what is no plain number as the cases write it."""
    if isinstance(value, float) and not math.isfinite(value):
        return (1, str(value))
    return (1, value) if isinstance(value, str) else (0, value)


def parse_multi_choice(case):
    options = {letter: str(case["index2ans"][letter]) for letter in case["all_choices"]}
    for column, protocol in COLUMNS.items():
        found = mmmu.choice(case["response"], options, mmmu.WAYS[protocol].marks)
        if isinstance(case[column], dict):
            assert found is None
            facts = {"options": options, "answer": "A"}
            drawn = mmmu.Mmmu(protocol).score(Item(id="x", prompt="", facts=facts), case["response"]).parsed
            assert drawn in case[column]["random_from"]
        else:
            assert found == case[column]


def parse_open(case):
    found = sorted(mmmu.opened(case["response"]), key=sortable)
    assert found == sorted(case["expected"], key=sortable)


def normalize_str(case):
    assert [sortable(value)[1] for value in mmmu.normalise(case["input"])] == case["expected"]


def extract_numbers(case):
    assert mmmu.numbers(case["input"]) == case["expected"]


def eval_open(case):
    assert mmmu.holds(mmmu.opened(case["response"]), case["gold"]) == case["expected"]


def eval_multi_choice(case):
    assert mmmu.chosen(case["pred"], case["gold"]) == case["expected"]


def full_run(case):
    benchmark = mmmu.Mmmu("official")
    assert list(case["index2ans"]) == case["all_choices"]
    records = []
    for one in case["samples"]:
        options = dict(case["index2ans"]) if one["question_type"] == mmmu.CHOICE else {}
        subject = one["id"].removeprefix("validation_").rpartition("_")[0]
        item = Item(id=one["id"], prompt="", category=subject, facts={"options": options, "answer": one["answer"]})
        verdict = benchmark.score(item, one["response"])
        assert ("Correct" if verdict.score else "Wrong") == case["expected"]["judge"][one["id"]]
        records.append(Record(item=item, answer=one["response"], verdict=verdict))
    found = benchmark.aggregate(records)
    assert found["accuracy"] / 100 == pytest.approx(case["expected"]["overall"], abs=1e-6)
    for subject, part in case["expected"]["per_subject"].items():
        assert found[f"accuracy/{subject}"] / 100 == pytest.approx(part["acc"], abs=1e-6)
        assert sum(record.item.category == subject for record in records) == part["num"]


GROUPS = {
    "parse_multi_choice": parse_multi_choice,
    "parse_open": parse_open,
    "normalize_str": normalize_str,
    "extract_numbers": extract_numbers,
    "eval_open": eval_open,
    "eval_multi_choice": eval_multi_choice,
    "full_run": full_run,
}
DEVIATIONS = {}
UNCOMPARED = {}
