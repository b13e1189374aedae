"""Every option of a verb changes something, or is refused: none is taken and forgotten."""

import io
import sys
from pathlib import Path

import pytest
from verbs import VERBS

SHARED = ("debug", "help")
"""--debug and --help have tests of their own in tests/unit/cli/test_app.py."""
VALUES = {
    "adapter": ["--adapter", "{elsewhere}"],
    "best_of": ["--best-of", "2"],
    "also": ["--also", "{picture}"],
    "compatible": ["--compatible"],
    "compile": ["--compile"],
    "config": ["--config", "{tiny}"],
    "count": ["-n", "2"],
    "decoder": ["--decoder", "{elsewhere}"],
    "decoder_steps": ["--decoder-steps", "3"],
    "device": ["--device", "cpu"],
    "dtype": ["--dtype", "float16"],
    "file": ["--prompts", "{picture}"],
    "guidance": ["--guidance", "9"],
    "json": ["--json"],
    "labels": ["--labels", "dog,cat"],
    "long": ["--long"],
    "memory": ["--memory", "low"],
    "merge": ["--no-merge"],
    "model": ["--model", "{other}"],
    "output": ["--output", "{elsewhere}/x.png"],
    "quantize": ["--quantize", "int8"],
    "seed": ["--seed", "3"],
    "size": ["--size", "72"],
    "solver": ["--solver", "heun"],
    "steps": ["--steps", "3"],
    "task": ["--task", "image_classification"],
    "think": ["--think"],
    "verify": ["--no-verify"],
}
"""Option -> a value that is not its default."""
FOLDERS = ("chat", "demo")
"""Verbs whose output is a folder."""
COMMANDS = {
    "generate": ["a cup"],
    "edit": ["{picture}", "make it night"],
    "understand": ["{picture}"],
    "chat": [],
    "demo": [],
    "info": ["{weights}"],
    "convert": ["{published}", "ours"],
    "data preview": [],
}


def options(verb):
    return [p.name for p in VERBS[verb].params if p.param_type_name == "option" and p.name not in SHARED]


ELSEWHERE = {
    "data check": "tests/system/test_data.py",
    "data pack": "tests/system/test_data.py",
    "data cache": "tests/system/test_data.py",
    "serve": "tests/system/test_server.py",
    "train": "tests/system/test_training.py",
    "evaluate": "tests/system/test_evaluate.py",
    "evaluate compare": "tests/unit/evals/test_compare.py",
    "evaluate distance": "tests/system/test_distance.py",
}
"""Verbs that do not run the model once -> what tests their options."""
CASES = [(verb, option) for verb in COMMANDS for option in options(verb)]


@pytest.fixture
def carried_out(blip3o, weights, published, picture, tmp_path, tmp_path_factory, monkeypatch):
    """Runs a verb; gives what it asked of the model, what it said and what it wrote."""
    from blip3o.api import BLIP3o
    from blip3o.weights import hub, outline

    asked = []
    load, open_model = BLIP3o.load.__func__, hub.open_model

    def loaded(cls, name, **given):
        asked.append(("load", str(name), sorted((key, str(value)) for key, value in given.items())))
        return load(cls, weights)

    def opened(folder, *, decoder=None, **given):
        asked.append(("open", str(decoder), given))
        return open_model(folder, **given)

    monkeypatch.setattr(BLIP3o, "load", classmethod(loaded))
    monkeypatch.setattr(hub, "open_model", opened)
    monkeypatch.setattr(outline, "read", recording(outline.read, asked))
    monkeypatch.setattr(
        "blip3o.weights.published.convert.to_ours", lambda *given, **named: asked.append(str((given, named)))
    )
    places = {
        **{"weights": weights, "other": published, "published": published, "picture": picture},
        "elsewhere": tmp_path_factory.mktemp("elsewhere"),
        "tiny": Path(__file__).parents[1] / "tiny.yaml",
    }
    for method in ("generate", "edit", "chat", "reply", "stream", "caption", "classify"):
        monkeypatch.setattr(BLIP3o, method, recording(getattr(BLIP3o, method), asked))

    def run(verb, *words):
        monkeypatch.setattr(sys, "stdin", io.StringIO("a cup\n/save\n"))
        asked.clear()
        done = blip3o(*verb.split(), *(str(word).format(**places) for word in (*words, *COMMANDS[verb])))
        paths = sorted(path for folder in (Path(), places["elsewhere"]) for path in folder.rglob("*.*"))
        return done.code, done.out, done.err, list(asked), {path: path.read_bytes() for path in paths}

    return run


def recording(method, asked):
    def called(*given, **named):
        asked.append((method.__name__, {key: value for key, value in named.items() if not callable(value)}))
        return method(*given, **named)

    return called


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "option"), CASES)
def test_an_option_changes_something_or_is_refused(verb, option, carried_out):
    value = VALUES[option]
    if option == "output" and verb in FOLDERS:
        value = ["--output", "{elsewhere}/folder"]
    fast = ["--steps", "1", "--decoder-steps", "1"] if verb in ("generate", "edit") else []
    kept = [word for word in fast if option not in ("steps", "decoder_steps")]
    with_it = carried_out(verb, *value, *kept)
    assert with_it[0] in (0, 2), with_it
    for path in with_it[4]:
        path.unlink()
    without = carried_out(verb, *kept)
    assert without[0] == 0, without
    assert with_it != without


def test_no_verb_is_left_out():
    assert COMMANDS.keys() | ELSEWHERE.keys() == VERBS.keys()


def test_the_walk_knows_every_option():
    assert {option for _, option in CASES} == set(VALUES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("generate", "a cup", "--decoder", "/etc"), "holds its own decoder, /etc would not be used"),
        (("edit", "{picture}", "make it night", "--decoder", "/etc"), "holds its own decoder"),
        (("chat", "--decoder", "/etc"), "holds its own decoder"),
        (("demo", "--decoder", "/etc"), "holds its own decoder"),
        (("generate", "a cup", "--compatible"), "compatible has no effect on tiny"),
        (("generate", "a cup", "--size", "80"), "size is 80, but this model paints 72 px"),
    ],
)
def test_what_a_model_of_ours_would_not_heed_is_refused(blip3o, weights, picture, words, said):
    done = blip3o(*(word.format(picture=picture) for word in words), "-m", weights)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert list(Path().iterdir()) == []


def test_a_decoder_that_would_not_be_read_is_refused_by_info_and_convert(blip3o, weights):
    for words in (("info", weights), ("convert", weights, "theirs")):
        done = blip3o(*words, "--decoder", "/etc")
        assert (done.code, "holds its own decoder" in done.err) == (2, True)


def test_an_encoder_of_its_own_is_refused_for_a_model_of_ours(weights):
    from blip3o.errors import CheckpointError
    from blip3o.weights import hub

    with pytest.raises(CheckpointError, match="holds its own encoder, /etc would not be used: leave it out"):
        hub.open_model(weights, encoder=Path("/etc"))
