"""mme.json."""

import pytest

from blip3o.evals.understanding import mme


def parse(case):
    assert mme.official(case["text"]) == case["official"]
    assert mme.lmms(case["text"]) == case["lmms_eval"]


def totals(protocol, data):
    """Two rows that stand beside each other are of one picture."""
    return mme.total(
        {
            name: [
                [mme.PARSERS[protocol](answer) == label.lower() for _, _, label, answer in pair]
                for pair in (rows[place : place + mme.PAIR] for place in range(0, len(rows), mme.PAIR))
            ]
            for name, rows in data.items()
        }
    )


def runs(case):
    if "raises" not in case["lmms_eval"]:
        found = totals("lmms", case["data"])
        assert {name: found[name] for name in case["lmms_eval"]} == pytest.approx(case["lmms_eval"], abs=1e-6)
    found, expected = totals("official", case["data"]), case["expected"]
    if "raises" in expected:
        assert 0 in found.values() or case["data"].keys() < set(mme.SUBTASKS)
        return
    wanted = {name: expected[name] for name in ("perception", "cognition")}
    wanted |= {f"score/{name}": value for name, value in expected["subtasks"].items()}
    assert found == pytest.approx(wanted, abs=1e-6)


GROUPS = {"parse": parse, "runs": runs}
DEVIATIONS = {"runs": "no answer of a subtask is yes or no: it counts 0, where the official tool throws a ValueError"}
UNCOMPARED = {}
