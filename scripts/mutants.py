"""Puts faults into a copy of the code, one at a time (scripts/mutants.yaml), and shows which of them no test notices.

python scripts/mutants.py [--only PATTERN]     also `make mutants`; exit code 1 if a fault survives
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "scripts" / "mutants.yaml"
HEAVY = (
    "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
    "transformers.models.siglip.modeling_siglip",
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.transformers.sana_transformer",
    "accelerate",
)
"""What nearly every test imports: imported once, before the process that runs the tests parts from this one."""
HOW = ("-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""In order, until the first failure; a plugin of pytest may have come along with what was imported."""
LONGEST = 900.0
"""Seconds for the tests of a fault."""
OUTCOMES = {0: "survived", 1: "killed"}
"""Exit code of pytest -> what came of the fault; another one says that no test could be run."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, and the tests of which one must fail because of it."""

    name: str
    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]

    def put(self, text: str) -> str:
        """The text of the file with the fault. Raises ValueError where its place is not there, or there twice."""
        if text.count(self.was) != 1:
            raise ValueError(f"{self.file}: {self.was!r} stands there {text.count(self.was)} times, expected once")
        return text.replace(self.was, self.becomes)


def faults() -> list[Fault]:
    """All faults of the table; one without tests of its own is for those of its file."""
    return [
        Fault(
            name=name,
            file=file,
            was=fault["was"],
            becomes=fault["becomes"],
            tests=tuple(fault.get("tests", part["tests"]).split()),
        )
        for file, part in yaml.safe_load(TABLE.read_text(encoding="utf-8")).items()
        for name, fault in part["faults"].items()
    ]


def copy(folder: Path) -> None:
    """Copy the files of the project that git knows, or does not ignore."""
    asked = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def exit_code(folder: Path, tests: tuple[str, ...], longest: float | None = None) -> int:
    """The exit code of pytest for these tests of a copy, which run in a process of their own until one fails; 1 where
    they hang for longer than so many seconds, as a fault may make them."""
    process = get_context("fork").Process(target=_pytest, args=(folder, tests))
    process.start()
    try:
        process.join(longest)
        return 1 if process.is_alive() else process.exitcode or 0
    finally:
        if process.is_alive():
            os.killpg(process.pid or 0, signal.SIGKILL)  # with the processes that its tests have started
            process.join()


def _pytest(folder: Path, tests: tuple[str, ...]) -> None:
    os.setpgrp()
    os.chdir(folder)
    with (folder / "tests.log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        code = import_module("pytest").main([*HOW, *tests])
    os._exit(int(code))


@contextmanager
def mutated(folder: Path, fault: Fault) -> Iterator[None]:
    """The copy with the fault, for as long as this lasts."""
    path = folder / fault.file
    text = path.read_text(encoding="utf-8")
    try:
        _write(path, fault.put(text))
        yield
    finally:
        _write(path, text)


def _write(path: Path, text: str) -> None:
    """Write a module, and drop what was compiled of it: Python would take it for the same by its time and its size."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def run(folder: Path, chosen: list[Fault]) -> list[Fault]:
    """The faults that survive. Raises SystemExit where the tests fail without a fault."""
    needed = tuple(dict.fromkeys(path for fault in chosen for path in fault.tests))
    print("the tests without a fault ...", flush=True)
    if exit_code(folder, needed) != 0:
        raise SystemExit(f"without a fault these do not pass:\n{(folder / 'tests.log').read_text(encoding='utf-8')}")
    left = []
    for number, fault in enumerate(chosen, 1):
        began = time.monotonic()
        with mutated(folder, fault):
            code = exit_code(folder, fault.tests, LONGEST)
        outcome = OUTCOMES.get(code, f"not tested (pytest ended with {code})")
        print(
            f"[{number}/{len(chosen)}] {outcome:8} {time.monotonic() - began:5.1f} s  {fault.file}: {fault.name}",
            flush=True,
        )
        if code != 1:
            left.append(fault)
    return left


def main() -> int:
    """Test the chosen faults, and tell which survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="only faults whose `file: name` matches")
    pattern = f"*{parser.parse_args().only}*"
    chosen = [fault for fault in faults() if fnmatch(f"{fault.file}: {fault.name}", pattern)]
    os.environ["OMP_NUM_THREADS"] = "1"
    for module in HEAVY:
        import_module(module)
    with TemporaryDirectory() as temporary:
        copy(Path(temporary))
        left = run(Path(temporary), chosen)
    print(
        f"{len(left)} of {len(chosen)} faults survive", *(f"  {fault.file}: {fault.name}" for fault in left), sep="\n"
    )
    return 1 if left or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
