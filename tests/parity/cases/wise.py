"""wise.json."""

import pytest

from blip3o.evals.generation import wise


def extract_scores_legacy(case):
    assert wise.aspects(case["text"]) == case["expected"]


def extract_score_verified(case):
    assert wise.right_or_wrong(case["text"]) == case["expected"]


def wiscore(case):
    numbers = [case[name] for name in ("consistency", "realism", "aesthetic_quality")]
    assert wise.wiscore(*numbers) == pytest.approx(case["expected"], abs=1e-6)


def aggregate(case):
    rules = wise.PROTOCOLS[case["protocol"]]
    compact = [dict(zip(("prompt_id", *rules.names), row, strict=True)) for row in case.get("records_compact", [])]
    found = wise.aggregated(case.get("records", compact), rules, case["category"])
    expected = case["expected"]
    assert found.missing == (expected["missing_ids"] or [])
    assert {name: number for name, (_, number) in found.categories.items()} == {
        name: one["n"] for name, one in expected["per_category"].items()
    }
    for name, one in expected["per_category"].items():
        assert found.categories[name][0] == pytest.approx(one["mean"], abs=1e-6)
    if expected["overall_printed"] is None:
        assert found.overall is None
    else:
        assert f"{found.overall:.2f}" == f"{expected['overall_printed']:.2f}"
        assert found.overall == pytest.approx(expected["overall_unrounded"], abs=1e-6)


GROUPS = {
    "extract_scores_legacy": extract_scores_legacy,
    "extract_score_verified": extract_score_verified,
    "wiscore": wiscore,
    "aggregate": aggregate,
}
DEVIATIONS = {}
UNCOMPARED = {}
