"""docs/json.md says which fields `--json` prints for each verb, and their types."""

import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from verbs import VERBS, names

TINY = Path(__file__).parents[1] / "tiny.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "json.md"
TYPES = {
    "text": str,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "list": list,
    "list of text": list,
    "text or null": (str, type(None)),
    "integer or null": (int, type(None)),
    "list or null": (list, type(None)),
    "number or null": (int, float, type(None)),
    "object or null": (dict, type(None)),
}


def fields(verb):
    """Key -> (type, whether it is always there), as the page has them."""
    section = re.search(rf"^## blip3o {verb}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert section is not None
    rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| .* \| ([^|]+) \|$", section[1], re.M)
    return {key: (TYPES[kind], there == "always") for key, kind, there in rows}


def records(shown, verb):
    if verb == "chat":
        return [json.loads(line) for line in shown.splitlines()]
    value = json.loads(shown)
    return value if isinstance(value, list) else [value]


RUNS = {
    "generate": [
        ("generate", "a cup", "-n", 2),
        ("generate", "a cup", "--think", "-o", "a.jpg"),
        ("generate", "a cup", "--best-of", 2),
    ],
    "edit": [
        ("edit", "{picture}", "make it night"),
        ("edit", "{picture}", "make it night", "--think", "--best-of", 2),
    ],
    "understand": [
        ("understand", "{picture}"),
        ("understand", "{picture}", "what is this?", "--also", "{picture}"),
        ("understand", "{picture}", "--labels", "dog,cat"),
    ],
    "chat": [("chat",)],
    "demo": [("demo",)],
    "info": [("info", "{weights}")],
    "convert": [("convert", "{published}", "ours"), ("convert", "ours", "theirs")],
    "data preview": [("data", "preview", "-n", 2)],
    "data check": [("data", "check", "own")],
    "data pack": [("data", "pack", "own", "-o", "shards")],
    "data cache": [("data", "cache", "own", "-o", "features")],
    "train": [("train", "--config", "{tiny}", "--dry-run")],
}
WITHOUT_MODEL = ("info", "convert", "data preview", "data check", "data pack", "train")


@pytest.mark.parametrize("verb", RUNS)
def test_the_fields_of_a_verb_are_those_of_the_page(verb, blip3o, weights, published, picture, monkeypatch):
    from blip3o.pipeline import generation

    text = generation._text
    monkeypatch.setattr(generation, "_text", lambda engine, ids: (text(engine, ids)[0], "a thought" if ids else ""))
    monkeypatch.setattr(sys, "stdin", io.StringIO("a cup\n"))
    Path("own").mkdir()
    shutil.copy(picture, "own/a.png")
    Path("own/a.txt").write_text("a cup")
    told, found = fields(verb), []
    for words in RUNS[verb]:
        asked = [str(word).format(picture=picture, weights=weights, published=published, tiny=TINY) for word in words]
        done = blip3o(*asked, *([] if verb in WITHOUT_MODEL else ["-m", weights]), "--json")
        assert done.code == 0, done
        found += records(done.out, verb)
    assert {key for record in found for key in record} == set(told)
    for record in found:
        assert {key for key, (_, always) in told.items() if always} <= set(record)
        wrong = [key for key, value in record.items() if not isinstance(value, told[key][0]) or value is True]
        assert wrong == []


def test_every_verb_with_json_has_its_section():
    sections = re.findall(r"^## blip3o (.+)$", PAGE.read_text(encoding="utf-8"), re.M)
    shown = {"evaluate" if verb.startswith("evaluate") else verb for verb in VERBS if "--json" in names(verb)}
    assert shown == set(sections) == RUNS.keys() | {"evaluate"}  # tests/system/test_benchmarks.py reads the last
