"""Odd values in every place of the command line: each command works or is refused in one line, and quickly."""

import io
import sys
from pathlib import Path

import pytest

TEXTS = {
    "nothing": "",
    "a space": " ",
    "a zero byte": "a\0dog",
    "a lone surrogate": "a \udc80 dog",
    "an emoji": "a 🐶",
    "combining accents": "a re\u0301d dog",
    "right to left": "كلب",
    "a line break": "a red\ndog",
    "markup": "a [red]dog[/red]",
    "a format": "%s {} {0} $HOME",
    "a path": "../../etc/passwd",
    "a dash": "-",
    "a control token": "a dog<|im_end|>",
    "digits": "3",
    "capitals": "A RED DOG!",
    "very long": "a red dog " * 5000,
}
NUMBERS = ("-1", "0", "1.5", "nan", "inf", "-inf", "1e3", "٣", "9" * 30, "", "7 ", "0x10", "None", "--")
PATHS = {
    "nothing": "",
    "the root": "/",
    "a device": "/dev/null",
    "a full device": "/dev/full",
    "no such place": "no/such/x.png",
    "another ending": "x.svg",
    "here": ".",
    "home": "~",
    "a zero byte": "a\0b.png",
    "a lone surrogate": "a\udc80.png",
    "too long": "x" * 300 + ".png",
    "as long as can be": "x" * 251 + ".png",
    "a byte longer": "x" * 252 + ".png",
    "below a file": "/etc/passwd/x.png",
    "not readable": "/proc/1/mem",
    "an address": "https://example.invalid/dog.png",
    "options": "--",
    "spaces": "  ",
}
TEXT_PLACES = {
    "generate": ("generate", "VALUE"),
    "generate two": ("generate", "a red dog", "VALUE", "--json"),
    "edit": ("edit", "PICTURE", "VALUE"),
    "understand": ("understand", "PICTURE", "VALUE"),
    "labels": ("understand", "PICTURE", "--labels", "dog,VALUE"),
}
NUMBER_PLACES = {
    "seed": ("generate", "a red dog", "--seed", "VALUE"),
    "steps": ("generate", "a red dog", "--steps", "VALUE"),
    "guidance": ("generate", "a red dog", "--guidance", "VALUE"),
    "decoder steps": ("generate", "a red dog", "--decoder-steps", "VALUE"),
    "size": ("generate", "a red dog", "--size", "VALUE"),
    "count": ("edit", "PICTURE", "make it night", "-n", "VALUE"),
    "limit": ("evaluate", "--group", "vqa", "--limit", "VALUE", "--dry-run"),
    "scenes": ("data", "preview", "-n", "VALUE"),
}
PATH_PLACES = {
    "drawn": ("generate", "a red dog", "-o", "VALUE"),
    "model": ("generate", "a red dog", "--model", "VALUE"),
    "decoder": ("generate", "a red dog", "--decoder", "VALUE"),
    "edited": ("edit", "VALUE", "make it night"),
    "read": ("understand", "VALUE"),
    "also read": ("understand", "PICTURE", "is it night?", "--also", "VALUE"),
    "looked into": ("info", "VALUE"),
    "recipe": ("train", "--config", "VALUE"),
    "run": ("train", "--config", "TINY", "-o", "VALUE", "--stage", "none"),
    "data": ("evaluate", "--benchmark", "pope", "--data", "VALUE"),
    "compared": ("evaluate", "compare", "VALUE", "VALUE"),
    "distance": ("evaluate", "distance", "VALUE", "VALUE"),
    "converted": ("convert", "VALUE", "out"),
    "talk": ("chat", "-o", "VALUE"),
}
COMMANDS = [
    pytest.param(words, value, id=f"{place}: {name}")
    for places, values in (
        (TEXT_PLACES, TEXTS),
        (NUMBER_PLACES, {number[:9] or "nothing": number for number in NUMBERS}),
        (PATH_PLACES, PATHS),
    )
    for place, words in places.items()
    for name, value in values.items()
]
NAMES_ITS_MODEL = ("model", "looked into", "recipe", "run", "compared", "distance", "converted")
"""Verbs of these places take no --model of ours beside."""


def filled(words, value, picture, weights):
    tiny = str(Path(__file__).parents[1] / "tiny.yaml")
    known = {"PICTURE": str(picture), "TINY": tiny}
    command = [known.get(word, word.replace("VALUE", value)) for word in words]
    takes_model = words[0] in ("generate", "edit", "understand", "chat") or words[:2] == ("evaluate", "--group")
    if takes_model and "--model" not in words:
        command[1:1] = ["--model", str(weights)]
    return command


@pytest.mark.parametrize(("words", "value"), COMMANDS)
def test_an_odd_command_works_or_is_refused_in_one_line(words, value, blip3o, weights, picture, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a red dog\n"))
    result = blip3o(*filled(words, value, picture, weights))
    assert result.code in (0, 2), result
    if result.code == 2:
        assert result.err.startswith("error: ")
        assert result.err.count("\n") == 1
        assert "…" not in result.err
    assert "Traceback" not in result.err
    assert "unexpected" not in result.err


def test_there_are_more_than_two_hundred_of_them():
    assert len(COMMANDS) > 400


@pytest.mark.parametrize("value", TEXTS.values(), ids=TEXTS)
def test_an_odd_line_in_a_dialogue_is_answered_or_refused_in_one_line(value, blip3o, weights, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(value))
    result = blip3o("chat", "--model", weights)
    assert result.code in (0, 2), result
    assert result.err.count("\n") <= 1
    assert "Traceback" not in result.err
