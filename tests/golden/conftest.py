"""Losses that were recorded once, and the option that records them anew."""

import json
from pathlib import Path

import pytest

RECORDED = Path(__file__).with_name("losses.json")
RECORD = "python -m pytest tests/golden --record"


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="write the losses found in place of those known")


def write(known):
    """A line for each series, so that a change shows which ones it moved."""
    lines = (f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known))
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


@pytest.fixture
def golden(request):
    """Compares the series of some losses with those recorded under this name, or records them."""

    def compare(name, found, *, tolerance):
        known = json.loads(RECORDED.read_text(encoding="utf-8"))
        found = {loss: [float(f"{value:.7g}") for value in values] for loss, values in found.items()}
        if request.config.getoption("--record", False):
            write(known | {name: found})
            return
        assert name in known, f"nothing is recorded under {name}; record it: {RECORD}"
        assert found.keys() == known[name].keys()
        for loss, values in found.items():
            moved = f"{name}: {loss} moved from {known[name][loss]} to {values}; if that is meant: {RECORD}"
            assert values == pytest.approx(known[name][loss], rel=tolerance), moved

    return compare
