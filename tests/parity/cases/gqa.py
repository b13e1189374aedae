"""gqa.json."""

import pytest

from blip3o.evals.understanding import gqa

COLUMNS = {"official": "official_raw", "llava": "official_after_llava_convert", "lmms": "lmms_eval_exact_match"}
DETAILED = {
    "accuracyPerStructuralType": "structural",
    "accuracyPerSemanticType": "semantic",
    "accuracyPerSteps": "steps",
    "accuracyPerLength": "words",
}


def answer_match(case):
    for protocol, column in COLUMNS.items():
        verdict = gqa.judged({"answer": case["answer"]}, case["prediction"], protocol)
        assert verdict.score == case[column], protocol


def full_run(case):
    choices = case["choices"] or {}
    predictions = {row["questionId"]: row["prediction"] for row in case["predictions"]}
    facts = {name: gqa.facts_of(question, choices.get(name)) for name, question in case["questions"].items()}
    found = gqa.numbers(
        {
            ("", name): (known, gqa.judged(known, predictions[name], "official"))
            for name, known in facts.items()
            if name in predictions
        }
    )
    expected = case["expected"]
    if "raises" in expected:
        assert "distribution" not in found or predictions.keys() < facts.keys()
        return
    for name in ("accuracy", "binary", "open", "distribution", "validity", "plausibility", "consistency"):
        if name in expected:
            assert found.get(name, 0) == pytest.approx(expected[name], abs=1e-6), name
    for name, kind in DETAILED.items():
        of_kind = {value: found[f"accuracy/{kind}/{value}"] for value in expected[name]}
        assert of_kind == pytest.approx({value: share for value, (share, _) in expected[name].items()}, abs=1e-6)
        counts = [str(known[kind]) for known in facts.values() if known["balanced"]]
        assert {value: counts.count(value) for value in counts} == {
            value: count for value, (_, count) in expected[name].items()
        }


GROUPS = {"answer_match": answer_match, "full_run": full_run}
DEVIATIONS = {"full_run": "what cannot be computed (no choices, nothing to be consistent with) is left out, not 0"}
UNCOMPARED = {"full_run/consistency": "every run was asked for it"}
