"""A folder belongs to one process, for as long as that lives."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from blip3o.errors import OutputError
from blip3o.train.lock import LOCK, FolderLock

HOLD = """
import sys, time
from pathlib import Path
from blip3o.train.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_process(folder):
    """A process that has locked the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_folder_that_another_process_holds_is_refused_with_its_number(tmp_path):
    with another_process(tmp_path / "run") as process:
        for _ in range(2):
            said = rf"run is in use by process {process.pid}: .*--output"
            with pytest.raises(OutputError, match=said), FolderLock(tmp_path / "run"):
                pytest.fail("two processes in one folder")
        with FolderLock(tmp_path / "other"):
            pass


@pytest.mark.slow
def test_a_killed_process_holds_nothing(tmp_path):
    with another_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with FolderLock(tmp_path):
            assert (tmp_path / LOCK).read_text() == str(os.getpid())


def test_a_folder_is_made_and_can_be_locked_again_when_it_was_let_go(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path / "a" / "run"):
            assert (tmp_path / "a" / "run").is_dir()
    with pytest.raises(KeyboardInterrupt), FolderLock(tmp_path):
        raise KeyboardInterrupt
    with FolderLock(tmp_path), pytest.raises(OutputError, match="in use by process"), FolderLock(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_or_locked_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write to .*file"), FolderLock(tmp_path / "file"):
        pass

    def no_locks(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("blip3o.train.lock._lock", no_locks)
    with pytest.raises(OutputError, match=r"cannot lock .* \(Operation not supported\)"), FolderLock(tmp_path):
        pass
