"""The errors a user can meet are one family."""

import inspect

import pytest

from blip3o import errors

TOLD = errors.AlreadyToldError
"""The end of a process after another has told the user why: nobody meets it."""
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind is not TOLD]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_caught_as_a_user_error(kind):
    with pytest.raises(errors.UserError, match="slot is 64 positions"):
        raise kind("slot is 64 positions but the head fills 729: set prompt.slot_length=729")


def test_a_user_error_is_a_value_error():
    assert issubclass(errors.UserError, ValueError)


def test_of_what_a_library_says_the_first_sentence_is_told_and_no_word_is_cut():
    told = "We couldn't connect to 'https://hub.co' to load v1.5 of it,\n and found no file. Check your connection."
    assert (
        errors.brief(OSError(told)) == "We couldn't connect to 'https://hub.co' to load v1.5 of it, and found no file"
    )
    assert errors.brief(OSError("word " * 100), longest=20) == "word word word ..."
