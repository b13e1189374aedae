"""pope.json."""

import math

import pytest

from blip3o.evals.understanding import pope


def answer_parse(case):
    assert pope.official(case["text"]) == case["official"]
    assert pope.plain(case["text"]) == case["lmms_eval"]


def runs(case):
    found = pope.counted(case["labels"], [pope.official(answer) for answer in case["answers"]])
    expected = case["expected"]
    if "raises" in expected:
        assert any(math.isnan(value) for value in found.values())
    else:
        assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-6)


GROUPS = {"answer_parse": answer_parse, "runs": runs}
DEVIATIONS = {"runs": "nothing predicted yes, or nothing labelled so: nan, where the official script divides by zero"}
