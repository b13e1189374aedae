"""The command line as a whole: help, exit codes, one line for every failure."""

import importlib.util
import sys
import warnings

import pytest
from verbs import VERBS

from blip3o.cli import app, main, run
from blip3o.cli.options import Stopped
from blip3o.errors import PictureError


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example_and_debug(verb, capsys):
    assert run([*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"blip3o {verb}" in shown.partition("Examples:")[2]
    assert "--debug" in shown


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_a_short_h_is_help_everywhere(verb, capsys):
    shown = []
    for flag in ("-h", "--help"):
        assert run([*verb.split(), flag]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_no_arguments_at_all_show_every_verb(capsys):
    assert run([]) == 0
    shown = capsys.readouterr().out
    assert all(verb.split()[0] in shown for verb in VERBS)


def test_the_version_is_told(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("blip3o ")


@pytest.mark.parametrize("words", [["--version"], ["info", "--help"]])
def test_warnings_are_kept_from_users_and_not_from_tests(words, monkeypatch):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run(words)
        warnings.warn("of a library", stacklevel=1)
        monkeypatch.setattr(sys, "argv", ["blip3o", *words])
        monkeypatch.setattr(importlib.util, "find_spec", importlib.util.find_spec)  # put back after `main` changed it
        with pytest.raises(SystemExit):
            main()
        warnings.warn("of a library, too", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["of a library"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["draw"], "No such command 'draw'"),
        (["generate"], "name prompts, or a file of them with --prompts"),
        (["generate", "x", "--sed", "1"], "No such option: --sed"),
        (["generate", "x", "--seed", "-1"], "seed is -1, expected a whole number from 0 to 2147483647"),
        (["generate", "x", "--seed", "one"], "got 'one'"),
        (["generate", "x", "--steps", "0"], "steps is 0, expected a whole number from 1 to 1000"),
        (["generate", "x", "--steps", "1000000000"], "steps is 1000000000"),
        (["generate", "x", "--guidance", "nan"], "guidance is nan, expected a number from 0 to 100"),
        (["edit", "x.png", "x", "--guidance", "inf"], "guidance is inf"),
        (["edit", "x.png", "x", "-n", "1001"], "count is 1001, expected a whole number from 1 to 1000"),
        (["chat", "--seed", str(2**64)], f"seed is {2**64}"),
        (["generate", "x", "--device", "abacus"], "abacus"),
        (["understand", "x.png", "--task", "guess"], "guess"),
    ],
)
def test_a_command_that_cannot_be_is_refused_in_one_line(arguments, told, capsys):
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert (shown.out, shown.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (PictureError("no\npicture"), 2, "error: no picture\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (Stopped("stopped: go on"), 130, "stopped: go on\n"),
        (
            FileNotFoundError(2, "no", "/a.png"),
            2,
            "error: /a.png vanished while it was read: leave it there, and begin again\n",
        ),
        (RuntimeError("a\nb"), 1, "error: RuntimeError: a b (unexpected: --debug shows where)\n"),
        (PictureError("x" * 9999), 2, "error: " + "x" * (app.LONGEST_LINE - 7) + "…\n"),
    ],
)
def test_each_kind_of_failure_has_its_code_and_one_line(raised, code, line, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def fail(*_, **__):
        raise raised

    monkeypatch.setattr("blip3o.cli.options.Loading.open", fail)
    assert run(["demo"]) == code
    assert capsys.readouterr().err == line


def test_debug_shows_the_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def fail(*_, **__):
        raise PictureError("no picture")

    monkeypatch.setattr("blip3o.cli.options.Loading.open", fail)
    assert run(["demo", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
