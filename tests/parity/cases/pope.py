"""pope.json."""

import math

import pytest

from blip3o.evals.understanding import pope


def answer_parse(case):
    assert pope.official(case["text"]) == case["official"]
    assert pope.plain(case["text"]) == case["lmms_eval"]


def counts(labels, answers):
    pairs = list(zip(answers, labels, strict=True))
    kinds = {"TP": ("yes", "yes"), "FP": ("yes", "no"), "TN": ("no", "no"), "FN": ("no", "yes")}
    return {name: pairs.count(pair) for name, pair in kinds.items()}


def runs(case):
    read = [pope.plain(answer) for answer in case["answers"]]
    assert pope.counted(case["labels"], read, bare=True) == pytest.approx(case["lmms_eval"], abs=1e-6)
    read = [pope.official(answer) for answer in case["answers"]]
    assert counts(case["labels"], read) == {name: case["expected"][name] for name in ("TP", "FP", "TN", "FN")}
    assert pope.counted(case["labels"], read)["yes_ratio"] == pytest.approx(case["expected"]["yes_ratio"], abs=1e-6)
    found = pope.counted(case["labels"], [pope.official(answer) for answer in case["answers"]])
    expected = case["expected"]
    if "raises" in expected:
        assert expected["raises"] == "ZeroDivisionError"
        assert any(math.isnan(value) for value in found.values())
    else:
        assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-6)


GROUPS = {"answer_parse": answer_parse, "runs": runs}
DEVIATIONS = {"runs": "nothing predicted yes, or nothing labelled so: nan, where the official script divides by zero"}
UNCOMPARED = {"answer_parse/vlmevalkit": "no protocol of ours reads answers so"}
