"""docs/benchmarks.md says of each benchmark what its class says."""

import re
from pathlib import Path

import pytest

from blip3o.evals.registry import SUITES, find

TEXT = (Path(__file__).parents[3] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.split("|")] for line in TEXT.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("name", SUITES["all"])
def test_the_page_tells_mirror_and_protocols(name):
    benchmark = find(name)[0]
    rows = [row for row in ROWS if any(re.search(rf"--benchmark {name}\b", cell) for cell in row)]
    assert len(rows) == 1
    _, _, _, place, _, command, protocols, *_ = rows[0]
    assert place.endswith(f"; {benchmark.mirror or 'none'}")
    assert ("--judge" in command) == benchmark.needs_judge
    assert tuple(re.split(r", ", re.sub(r"\*|;.*", "", protocols))) == benchmark.protocols
