"""Layers that are compiled learn as others do: in a process of its own, where no type of a signature is checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compiled_step.py")


def step(compiled, anew, trains):
    command = [sys.executable, str(SCRIPT), compiled, anew, trains]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("anew", "trains"), [("once", "unified.head"), ("anew", "unified")])
def test_compiled_layers_give_the_same_losses_and_gradients(anew, trains):
    plain, compiled = step("plain", "once", trains), step("compiled", anew, trains)
    assert plain["graphs"] == 0
    assert compiled["graphs"] >= 2  # of the language model and of the denoiser, at least
    assert compiled["losses"] == pytest.approx(plain["losses"], rel=1e-5)
    assert compiled["norms"] == pytest.approx(plain["norms"], rel=1e-3, abs=1e-6)
