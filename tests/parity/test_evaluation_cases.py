"""Every benchmark gives the answers that the official code gave: all cases of all groups of all files of a folder.

BLIP3O_EVALUATION_CASES names another folder of such files. `cases/<file>.py` says how a case is asked: GROUPS maps a
group to a function that fails for a case that goes wrong, DEVIATIONS a group to what is done otherwise on purpose, and
UNCOMPARED a column ("group/column", or "group/column/part") to the reason why nothing is compared with it.
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
GROUPS = [(name, group) for name, groups in FILES.items() for group in groups if group != "meta"]
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


NO_COLUMNS = {"id", "note", "tolerance"}
"""What every case has about itself."""
TOLD = ("expected", "lmms", "official", "vlmevalkit", "llava", "mcq")
"""How the columns begin that official code has filled."""


def changes(value):
    """Other values of the kind."""
    if isinstance(value, str):
        return f"{value} 7 ", "", "no", "A"
    if isinstance(value, list):
        return [*value, *(value[:1] or ["x"])], [], value[::-1], value[1:]
    if isinstance(value, dict):
        return {}, value | {"x": 1}
    return (not value,) if isinstance(value, bool | None) else (value + 3, 0, -value)


def columns(case):
    """The places in a case where a value stands, as paths of keys: its columns, and all parts of what is expected."""
    for name, value in case.items():
        yield from ((name, *part) for part in parts(value)) if name.startswith(TOLD) else [(name,)]


def parts(value):
    if not isinstance(value, dict) or not value:
        return [()]
    return [(name, *part) for name, inner in value.items() for part in parts(inner)]


def with_changes(case, path):
    """The case with another value in this place, each time another one."""
    if not path:
        return changes(case)
    return [case | {path[0]: inner} for inner in with_changes(case[path[0]], path[1:])]


def is_noticed(ask, case):
    try:
        ask(case)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - a case may go wrong in any way
        return True
    return False


@pytest.mark.parametrize(("name", "group"), GROUPS, ids=[f"{name}/{group}" for name, group in GROUPS])
def test_a_change_of_any_column_is_noticed_by_some_case(name, group):
    """So nothing that the official code gave stands in a file without being compared."""
    cases, asked = FILES[name][group], ASKED[name]
    paths = {path for case in cases for path in columns(case) if path[0] not in NO_COLUMNS}
    unnoticed = {
        "/".join((group, *path))
        for path in paths
        if not any(
            is_noticed(asked.GROUPS[group], other)
            for case in cases
            if path in set(columns(case))
            for other in with_changes(case, path)
        )
    }
    assert unnoticed == {column for column in asked.UNCOMPARED if column.split("/")[0] == group}
    assert all(asked.UNCOMPARED.values())


@pytest.mark.parametrize("name", FILES)
def test_every_group_of_a_file_is_asked_and_has_cases(name):
    groups = {group: cases for group, cases in FILES[name].items() if group != "meta"}
    assert groups.keys() <= ASKED[name].GROUPS.keys()
    assert all(groups.values())


@pytest.mark.parametrize("name", FILES)
def test_deviations_name_groups_and_give_a_reason(name):
    assert all(group in ASKED[name].GROUPS and reason for group, reason in ASKED[name].DEVIATIONS.items())
