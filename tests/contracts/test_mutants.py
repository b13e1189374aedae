"""The faults of `make mutants` can all be put into the code as it stands."""

import ast
from pathlib import Path

import pytest

from scripts.mutants import faults

ROOT = Path(__file__).parents[2]
FAULTS = faults()


def test_there_are_sixty_faults_or_more_and_no_two_are_the_same():
    assert len(FAULTS) >= 60
    assert len({(fault.file, fault.was, fault.becomes) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file}: {fault.name}")
def test_a_fault_has_one_place_in_its_file_and_leaves_it_python(fault):
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    changed = fault.put(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))


def test_the_tests_that_must_fail_exist():
    paths = {path.partition("::")[0] for fault in FAULTS for path in fault.tests}
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
