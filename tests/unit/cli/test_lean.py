"""The start of a command leaves closed what no network needs, and everything can be opened later."""

import importlib.util
import subprocess
import sys

import pytest

SCRIPT = """
import importlib.util, sys
from blip3o.cli.lean import leave_additions_out, open_transformers

{before}
open_transformers()
closed = {{"torch._dynamo", "sympy", "torch.distributed.tensor", "scipy", "sklearn"}} & set(sys.modules)
assert {allowed} or not closed, closed
import torch.distributed
from transformers.masking_utils import TransformGetItemToIndex
from transformers.modeling_utils import PreTrainedModel
from transformers.utils.import_utils import is_scipy_available

assert torch.distributed.is_available() == {distributed}
assert is_scipy_available() == (importlib.util.find_spec("scipy") is not None)
with TransformGetItemToIndex():
    pass
import torch._dynamo

assert torch._dynamo.is_compiling() is False
leave_additions_out()
assert importlib.util.find_spec("bitsandbytes") is None
assert importlib.util.find_spec("torch") is not None
"""
BROKEN = "import blip3o.cli.lean as lean; lean._undecorated = 7"  # a library that needs more than is left there


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "allowed"), [("", False), ("import torch._dynamo", True), (BROKEN, True)], ids=["", "late", "broken"]
)
def test_what_is_left_closed_opens_when_it_is_asked_for(before, allowed):
    import torch.distributed

    script = SCRIPT.format(before=before, allowed=allowed, distributed=torch.distributed.is_available())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_whoever_imports_the_package_finds_everything_as_it_was():
    assert importlib.util.find_spec.__module__ == "importlib.util"
