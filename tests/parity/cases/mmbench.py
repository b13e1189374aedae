"""mmbench.json."""

import pytest

from blip3o.evals.benchmark import Item, Record
from blip3o.evals.understanding import letters, mmbench


def infer(case):
    options = dict(case["choices"])
    assert letters.vlmevalkit(str(case["answer"]), options) == case["vlmevalkit"]
    assert letters.lmms(str(case["answer"]), options) == case["lmms_eval_mmbench"]
    assert letters.ranked(str(case["answer"]), options) == case["mcq_extract"]


def found(protocol, rows):
    """The numbers of rows with predictions, 0 to 1, by name."""
    benchmark = mmbench.Mmbench(protocol)
    units = [row["index"] % mmbench.ROTATION for row in rows]
    records = []
    for row, unit in zip(rows, units, strict=True):
        facts = {"question": row["question"], "options": mmbench.options_of(row), "answer": row["answer"]}
        facts |= {"ability": row["l2-category"], "rotations": units.count(unit)}
        item = Item(id=str(row["index"]), prompt="", category=row["category"], facts=facts, unit=str(unit))
        verdict = benchmark.score(item, str(row["prediction"]))
        records.append(Record(item=item, answer=row["prediction"], verdict=verdict))
    return {name: value / 100 for name, value in benchmark.aggregate(records).items()}, records


def circular(case):
    numbers, records = found("vlmevalkit", case["rows"])
    expected = case["expected_acc"]
    if not isinstance(expected, dict):
        expected = {"Overall": expected}
    for name, value in expected.items():
        assert numbers["accuracy" if name == "Overall" else f"accuracy/{name}"] == pytest.approx(value, abs=1e-6)
    hits = case.get("expected_hits") or {records[0].item.unit: case["expected_hit"]}
    for unit, hit in hits.items():
        scores = [record.verdict.score for record in records if record.item.unit == unit]
        assert all(score == 1 for score in scores) == bool(hit)


def lmms_eval_static(case):
    numbers, _ = found("lmms-static", case["rows"])
    overall, categories, abilities = case["expected"]
    expected = {"accuracy": overall} | {f"accuracy/{name}": value for name, value in (categories | abilities).items()}
    assert numbers == pytest.approx(expected, abs=1e-6)


def judge_prompt(case):
    assert mmbench.judge_prompt(case["question"], case["options"], case["prediction"]) == case["expected"]
    assert case["options"].startswith(mmbench.judge_options({}))


def model_prompt(case):
    row = case["row"]
    hint = mmbench.cell(row.get("hint"))
    assert mmbench.lmms_prompt(hint, row["question"], mmbench.options_of(row)) == case["expected_lmms_eval"]


GROUPS = {
    "infer": infer,
    "circular": circular,
    "lmms_eval_static": lmms_eval_static,
    "judge_prompt": judge_prompt,
    "model_prompt": model_prompt,
}
DEVIATIONS = {}
UNCOMPARED = {}
