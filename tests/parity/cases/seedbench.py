"""seedbench.json."""

import pytest

from blip3o.evals.benchmark import Item, Record
from blip3o.evals.understanding import seedbench


def prompt(case):
    assert seedbench.prompt(case["doc"]) == case["expected"]


def verdict(protocol, answer, options, prediction):
    item = Item(id="x", prompt="", facts={"answer": answer, "options": options})
    return seedbench.Seedbench(protocol).score(item, prediction)


def answer(case):
    options, said = dict(case["choices"]), case["prediction"]
    assert verdict("lmms", case["answer"], options, said).score == case["lmms_eval"]
    assert verdict("llava", case["answer"], options, said).score == case["llava_exact"]
    assert verdict("vlmevalkit", case["answer"], options, said).parsed == case["vlmevalkit_opt"]


def numbers(protocol, items):
    benchmark, records = seedbench.Seedbench(protocol), []
    for one in items:
        facts = {"answer": one["answer"], "options": {}, "medium": one["data_type"], "type": one["question_type_id"]}
        item = Item(id=one["question_id"], prompt="", facts=facts)
        records.append(Record(item=item, answer=one["text"], verdict=benchmark.score(item, one["text"])))
    return benchmark.aggregate(records)


def aggregate(case):
    expected = {name.removeprefix("seed_"): value for name, value in case["expected"]["lmms_eval"].items()}
    found = numbers("lmms", case["items"])
    assert {name: found[name] / 100 for name in expected} == pytest.approx(expected, abs=1e-6)
    if isinstance(case["expected"].get("llava_print"), str):
        printed = dict(line.split(": ") for line in case["expected"]["llava_print"].splitlines())
        found = numbers("llava", case["items"])
        shown = {"Total accuracy": "all", "image accuracy": "image", "video accuracy": "video"}
        shown |= {f"type{number}": f"all/{name}" for number, name in seedbench.TYPES.items()}
        assert {name: f"{found[shown[name]]:.2f}%" for name in printed} == printed


GROUPS = {"prompt": prompt, "answer": answer, "aggregate": aggregate}
DEVIATIONS = {"aggregate": "a type without a right answer is 0, where LLaVA's script throws KeyError"}
UNCOMPARED = {}
