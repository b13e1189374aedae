"""Options that a command hands on: each has its effect where it ends."""

import sys
from types import SimpleNamespace

import pytest
from torch import nn

from blip3o.pipeline.engine import Engine
from blip3o.processing import tokenizer as tok
from blip3o.processing.tokenizer import Tokenizer

FAST = ("--steps", 1, "--decoder-steps", 1)


@pytest.fixture
def commands(picture):
    """Every command that draws."""
    return {
        "generate": ("generate", "a red dog", *FAST),
        "edit": ("edit", picture, "make it night", *FAST),
        "chat": ("chat",),
    }


@pytest.fixture
def no_input(monkeypatch):
    """A pipe through which nothing comes."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt="": (_ for _ in ()).throw(EOFError))


@pytest.mark.parametrize("verb", ["generate", "edit", "chat"])
def test_what_draws_is_compiled_where_that_is_asked_for(blip3o, weights, commands, no_input, monkeypatch, verb):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    assert blip3o(*commands[verb], "--model", weights).code == 0
    assert compiled == []
    assert blip3o(*commands[verb], "--model", weights, "--compile").code == 0
    assert sorted(compiled) == ["NextDiT", "Sketcher", "UNet"]


def test_what_was_thought_before_a_picture_is_told(blip3o, weights, monkeypatch):
    words = Tokenizer.load(weights)
    thought = [words.control[tok.THINK_START], *words.encode("dog"), words.control[tok.THINK_END]]
    asked = []

    def write(engine, sample, options):
        asked.append(sample)
        return SimpleNamespace(tokens=thought, done=True)

    monkeypatch.setattr(Engine, "write", write)
    assert blip3o("generate", "a cup", "--model", weights, *FAST).out == "a-cup.png\n"
    assert asked == []
    assert blip3o("generate", "a cup", "--model", weights, "--think", *FAST).out == "thought: dog\na-cup-2.png\n"
    assert len(asked) == 1
