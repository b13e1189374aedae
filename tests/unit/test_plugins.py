"""A plugin is found by its name, and what cannot be one is refused in a sentence."""

import sys
from collections import OrderedDict

import pytest

from blip3o.config import Config
from blip3o.errors import ConfigError
from blip3o.plugins import resolve

TABLE = {"ordered": "collections:OrderedDict", "late": "some.module:Gone"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory of the user's own, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_registered_name_and_the_string_it_stands_for_are_one_class():
    assert resolve("ordered", TABLE) is resolve("collections:OrderedDict", {}) is OrderedDict


def test_our_own_modules_come_before_others_of_that_name():
    from blip3o.processing.tokenizer import Tokenizer

    assert resolve("processing.tokenizer:Tokenizer", {}) is Tokenizer
    assert resolve("blip3o.processing.tokenizer:Tokenizer", {}) is Tokenizer


def test_a_file_of_the_working_directory_is_a_plugin(here):
    (here / "my_plugin_file.py").write_text("class Squares: pass\n")
    assert resolve("my_plugin_file:Squares", {}).__name__ == "Squares"  # pyright: ignore


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orderd", "nothing is called 'orderd', did you mean ordered"),
        ("nope", "nothing is called 'nope', expected module:Class or one of: ordered, late"),
        ("../x:Y", "nothing is called '../x:Y'"),
        (":Y", "nothing is called ':Y'"),
        ("late", "'late' names no module: some.module is neither installed nor a file of"),
        ("collections:Orderd", "'collections:Orderd' names no class: collections has no class Orderd"),
        ("blip3o.config:Config", "names no class"),
        ("my_broken:A", "'my_broken:A' cannot be imported: No module named 'absent_library'"),
        ("my_torn:A", "'my_torn:A' cannot be imported: '\\(' was never closed"),
    ],
)
def test_what_is_no_plugin_is_refused(here, name, said):
    assert not isinstance(Config, type)
    (here / "my_broken.py").write_text("import absent_library\n")
    (here / "my_torn.py").write_text("class A(\n")
    with pytest.raises(ConfigError, match=said):
        resolve(name, TABLE)
