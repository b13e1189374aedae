"""What a user may put into the Python API, as it is without the checks of types that the other tests run under."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys
import numpy as np, torch
from PIL import Image
from blip3o import BLIP3o
from blip3o.errors import UserError

model = BLIP3o.load(sys.argv[1])
good = Image.new("RGB", (72, 72))
pictures = {
    "None": None, "a number": 7, "a tensor": torch.zeros(3, 8, 8), "floats": np.zeros((8, 8, 3)), "no bytes": b"",
    "an address": "https://example.com/x.png", "nothing to see": Image.new("RGB", (0, 0)), "an empty list": [],
    "a missing file": "nowhere.png", "None in a list": [None],
}
doors = {
    "edit": lambda one: model.edit(one, "make it night"),
    "understand": lambda one: model.understand(one, "what is this?"),
    "stream": lambda one: list(model.stream(one, "what is this?")),
    "caption": model.caption,
    "classify": lambda one: model.classify(one, ["dog", "cat"]),
    "features": model.features,
    "reconstruct": model.reconstruct,
    "chat": lambda one: model.chat().send("what is this?", [] if one is None else one),
}
steps = {"steps": 1, "decoder_steps": 1}
draw = lambda **given: model.generate("a dog", **steps | given)
numbers = {
    f"{name}={value!r}": (lambda name=name, value=value: draw(**{name: value}))
    for name, values in {
        "seed": (2**64, 2**31, 1.5, "7", -1, None, True, float("nan"), [1.5], ["7"], np.array([-1])),
        "steps": (10**9, 0, -1, 1.5, "7", True, float("inf")),
        "decoder_steps": (10**9, 0, "7"),
        "guidance": (float("inf"), float("nan"), -1, 101, "7", True),
        "guided_from": (2, -1, "0"), "guided_until": (2, float("nan")),
        "size": (7, 80, 10**6, 72.5, "72"), "solver": ("rk9", 7),
        "batch_size": (1.5, 0, -1, "7", None, True, 10**9),
        "rows": (10**6,), "compatible": (True,),
    }.items()
    for value in values
}
reading = {
    f"max_tokens={value!r}": (lambda value=value: model.understand(good, "what is this?", max_tokens=value))
    for value in (0, 1.5, "7", None, 10**9, True)
}
others = {
    "stream max_tokens": lambda: model.stream(good, "what is this?", max_tokens=1.5),
    "reply max_tokens": lambda: model.chat() and model.reply([()], max_tokens="7"),
    "classify batch_size": lambda: model.classify(good, ["dog"], batch_size=1.5),
    "features batch_size": lambda: model.features(good, batch_size=0.5),
    "reconstruct batch_size": lambda: model.reconstruct(good, batch_size="2"),
    "reconstruct steps": lambda: model.reconstruct(good, steps=10**9),
    "chat seed": lambda: model.chat(seed=1.5),
    "no prompt": lambda: model.generate(None),
    "a number as prompt": lambda: model.generate([7]),
    "bytes as prompt": lambda: model.generate(b"a dog"),
    "no question": lambda: model.understand([good, good], ["what is this?", None]),
    "half a letter": lambda: model.generate("a dog \\ud800"),
    "NUL": lambda: model.understand(good, "what\\0"),
    "half a label": lambda: model.classify(good, ["dog", "\\udce9"]),
    "a number as label": lambda: model.classify(good, ["dog", 7]),
    "half a word said": lambda: model.chat().send("\\udce9"),
}
cases = {f"{door}: {kind}": (lambda go=go, one=one: go(one))
         for door, go in doors.items() for kind, one in pictures.items()}
told = {}
for name, case in (cases | numbers | reading | others).items():
    try:
        case()
        told[name] = ["", "taken"]
    except UserError as error:
        told[name] = [type(error).__name__, str(error)]
    except Exception as error:
        told[name] = ["another", repr(error)]
fine = {
    "seed": [np.int64(3), np.int32(3), 3], "steps": [np.int64(2), 2], "guidance": [np.float32(2), 2, 2.0, np.int8(2)],
    "batch_size": [np.int64(1)], "size": [72],
}
for name, values in fine.items():
    drawn = [draw(**{name: value})[0] for value in values]
    told[f"same {name}"] = ["", str(len({image.tobytes() for image in drawn}) == 1)]
listed = [model.generate(["a dog"] * 2, seed=seeds, **steps) for seeds in (5, [5, 6], range(5, 7), np.array([5, 6]))]
told["same seeds"] = ["", str(len({tuple(image.tobytes() for image in images) for images in listed}) == 1)]
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def told(weights):
    """Case -> the class of the error and what it says."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(weights)], env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def test_whatever_is_no_picture_is_a_picture_error_at_every_door(told):
    cases = {name: said for name, said in told.items() if ": " in name}
    assert len(cases) == 8 * 10
    assert {name: said for name, said in cases.items() if said[0] != "PictureError"} == {}


def test_numbers_out_of_bounds_are_refused_with_value_and_bounds(told):
    cases = {name: said for name, said in told.items() if "=" in name}
    wrong = {name: said for name, said in cases.items() if said[0] != "ConfigError"}
    assert wrong == {}
    for name, (_, said) in cases.items():
        assert name.partition("=")[0] in said
    assert told["seed=-1"][1] == "seed is -1, expected a whole number from 0 to 2147483647"
    assert told["guidance=inf"][1] == "guidance is inf, expected a number from 0 to 100"


def test_nothing_else_that_is_put_in_gives_a_foreign_error(told):
    assert {name: said for name, said in told.items() if said[0] == "another" or "\n" in said[1]} == {}
    taken = {name for name, said in told.items() if said[1] == "taken"}
    assert taken == set()


def test_numbers_of_numpy_are_numbers(told):
    assert {name: said for name, said in told.items() if name.startswith("same") and said[1] != "True"} == {}
