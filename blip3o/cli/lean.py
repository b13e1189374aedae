"""The start of a command: `transformers` without the libraries that it opens on its way and that no network here uses.

The base class of its models opens the compiler of torch, torch's distributed tensors (with sympy) and, where it is
there, scipy: more than half of the time until a picture is drawn, for features that a command never asks for. They are
left closed while that class is imported, and only in the process of a command, which is ours alone: for whoever imports
`blip3o` in a process of his own, `transformers` is whole.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

LEFT_OUT = ("scipy", "sklearn")
"""Packages that losses and assisted generation would open."""
COMPILER, TRACED = "torch._dynamo", "torch._dynamo._trace_wrapped_higher_order_op"


def leave_additions_out() -> None:
    """For the rest of this process no other library finds those of rounding and of adapters: `diffusers` would open
    them with every decoder, a second for nothing, and one would tell of the kernels that it lacks. Who asks for them
    imports them."""
    importlib.util.find_spec = _finding_all_but("bitsandbytes", "peft")


def _finding_all_but(*packages: str) -> Callable[..., Any]:
    """`find_spec`, to which these packages and what is in them are not there."""
    find = importlib.util.find_spec

    def find_others(name: str, package: str | None = None) -> Any:
        return None if name.partition(".")[0] in packages else find(name, package)

    return find_others


def open_transformers() -> None:
    """Import what all language models are built on.

    Where another version of the library needs more than stands here, it is imported as it is, when it is asked for.
    """
    import torch.distributed

    if COMPILER in sys.modules or "transformers.modeling_utils" in sys.modules:
        return
    with suppress(ImportError, AttributeError, TypeError), _closed(torch.distributed):
        importlib.import_module("transformers.modeling_utils")
        importlib.import_module("transformers.modeling_layers")
    checks = importlib.import_module("transformers.utils.import_utils")
    for name in LEFT_OUT:  # the library remembers what is installed
        with suppress(AttributeError):
            getattr(checks, f"is_{name}_available").cache_clear()


@contextmanager
def _closed(distributed: Any) -> Iterator[None]:
    """What is not to be opened is not there meanwhile."""
    find, available = importlib.util.find_spec, distributed.is_available
    compiler, traced = ModuleType(COMPILER), ModuleType(TRACED)
    compiler.__dict__["__getattr__"] = lambda name: _undecorated
    traced.__dict__["TransformGetItemToIndex"] = _indexing
    importlib.util.find_spec, distributed.is_available = _finding_all_but(*LEFT_OUT), lambda: False
    sys.modules.update({COMPILER: compiler, TRACED: traced})
    try:
        yield
    finally:
        importlib.util.find_spec, distributed.is_available = find, available
        del sys.modules[COMPILER], sys.modules[TRACED]


def _undecorated(function: Any = None, *_: Any, **__: Any) -> Any:
    """In the place of the compiler's decorators, which say what it is to leave alone in functions never used here."""
    return _undecorated if function is None else function


def _indexing() -> Any:
    """In the place of a class of the compiler, whose object it gives when one is made."""
    return importlib.import_module(TRACED).TransformGetItemToIndex()
