"""The faults of `make mutants` can all be put into the code as it stands."""

import ast
import subprocess
import sys
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


def test_tests_that_hang_under_a_fault_have_noticed_it(tmp_path):
    (tmp_path / "test_hanging.py").write_text("import time\ndef test_hanging(): time.sleep(60)\n")
    (tmp_path / "test_passing.py").write_text("def test_passing(): pass\n")
    code = (
        "import sys; from pathlib import Path; from scripts.mutants import exit_code; folder = Path(sys.argv[1]);"
        "print(exit_code(folder, ('test_passing.py',), 60), exit_code(folder, ('test_hanging.py',), 3))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.stdout.split() == ["0", "1"], done.stderr
