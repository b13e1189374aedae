"""kill -9 at any moment, then the same command: nothing is lost, nothing repeated (kills.py does the killing)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).with_name("kills.py")


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_as_the_unbroken_one():
    done = subprocess.run(
        [sys.executable, KILLS, "--count", "20"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *moments, at_random = done.stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in moments] == ["as the unbroken run"] * 6
    assert at_random.startswith("20 kills in ")
