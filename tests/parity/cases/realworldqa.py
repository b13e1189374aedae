"""realworldqa.json."""

from blip3o.evals.understanding import realworldqa

COLUMNS = {"lmms-0.3": "lmms_eval_0_3", "lmms-0.7": "lmms_eval_0_7"}


def answer(case):
    assert realworldqa.filtered(case["prediction"], case["question"]) == case["lmms_eval_0_3_filtered"]
    for protocol, column in COLUMNS.items():
        parsed = realworldqa.RULES[protocol](case["prediction"], case["question"], case["answer"])
        assert float(parsed == case["answer"].lower().strip()) == case[column], protocol


GROUPS = {"answer": answer}
DEVIATIONS = {}
UNCOMPARED = {}
