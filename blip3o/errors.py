"""The errors a user can meet: each is one line that says what was wrong, the value got and what to do.

The command line prints that line and exits 2; a traceback is shown only with `--debug`. A mistake of the programmer is
an `assert` or a plain Python error, never one of these.
"""

import re
from textwrap import shorten


def brief(error: Exception, longest: int = 160) -> str:
    """The first sentence of what a library says, to be told in an error of ours; a long one ends at a whole word."""
    sentence = re.split(r"\.\s+(?=[A-Z])", " ".join(str(error).split()))[0]
    return shorten(sentence.rstrip("."), longest, placeholder=" ...")


class UserError(ValueError):
    """Something the user can put right; raise one of the classes below, catch this one."""


class ConfigError(UserError):
    """A recipe, an override or an option that cannot be used: unknown key, wrong type, value out of range."""


class CheckpointError(UserError):
    """Weights that cannot be loaded: no such model, a truncated file, tensors missing, extra, renamed or misshapen."""


class PictureError(UserError):
    """A picture that cannot be read: missing, empty, huge, truncated, or no picture at all. `reason` is one of these
    in two words, by which faults of data are counted."""

    def __init__(self, message: str, reason: str = "unreadable image") -> None:
        super().__init__(message)
        self.reason = reason


class PromptError(UserError):
    """Words the model cannot take: an empty or too long prompt, an unknown word, the text of a special token."""


class TrainingError(UserError):
    """A run that cannot go on: its loss is no longer a number."""


class AlreadyToldError(Exception):
    """The end of one of several processes, after another has told the user why."""


class OutputError(UserError):
    """A result that cannot be written where it was asked for."""


class DataError(UserError):
    """Data of a benchmark that cannot be used: missing, partial, of another split, without its pictures."""


class JudgeError(UserError):
    """A judge that gives no usable reply: out of reach, or over its limits."""


class JudgeRefusalError(JudgeError):
    """A judge that has no opinion on one item, whenever it is asked: it is filtered, or only nonsense comes back."""
