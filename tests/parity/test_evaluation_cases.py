"""Every benchmark gives the answers that the official code gave: all cases of all groups of all files of a folder.

BLIP3O_EVALUATION_CASES names another folder of such files. `cases/<file>.py` says how a case is asked: GROUPS maps a
group to a function that fails for a case that goes wrong, DEVIATIONS a group to what is done otherwise on purpose.
"""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("BLIP3O_EVALUATION_CASES") or HERE / "evaluation_cases")
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def asking(name: str) -> ModuleType:
    """The module that asks the cases of a file."""
    spec = importlib.util.spec_from_file_location(f"cases_{name}", HERE / "cases" / f"{name}.py")
    assert spec is not None, f"nothing asks the cases of {name}.json"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ASKED = {name: asking(name) for name in FILES}
CASES = [
    pytest.param(name, group, case, id=f"{name}/{group}/{case['id']}")
    for name, groups in FILES.items()
    for group, cases in groups.items()
    if group != "meta"
    for case in cases
]


@pytest.mark.parametrize(("name", "group", "case"), CASES)
def test_case(name, group, case):
    ASKED[name].GROUPS[group](case)


@pytest.mark.parametrize("name", FILES)
def test_every_group_of_a_file_is_asked_and_has_cases(name):
    groups = {group: cases for group, cases in FILES[name].items() if group != "meta"}
    assert groups.keys() <= ASKED[name].GROUPS.keys()
    assert all(groups.values())


@pytest.mark.parametrize("name", FILES)
def test_deviations_name_groups_and_give_a_reason(name):
    assert all(group in ASKED[name].GROUPS and reason for group, reason in ASKED[name].DEVIATIONS.items())
