"""One model that reads, draws, edits and talks. The public names, each imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blip3o.api import BLIP3o, Chat
    from blip3o.errors import UserError
    from blip3o.evals.evaluate import evaluate
    from blip3o.pipeline.generation import Reply
    from blip3o.processing.conversation import Picture, Turn

__version__ = "0.1.0"

__all__ = ["BLIP3o", "Chat", "Picture", "Reply", "Turn", "UserError", "evaluate"]

_HOMES = {
    "BLIP3o": "blip3o.api",
    "Chat": "blip3o.api",
    "Picture": "blip3o.processing.conversation",
    "Reply": "blip3o.pipeline.generation",
    "Turn": "blip3o.processing.conversation",
    "UserError": "blip3o.errors",
    "evaluate": "blip3o.evals.evaluate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'blip3o' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
