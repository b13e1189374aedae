"""lmms-eval finds our models and runs them. It is an extra with many dependencies: `pip install 'blip3o[lmms]'`."""

import importlib
import json
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

installed = pytest.mark.skipif(
    find_spec("lmms_eval") is None, reason="lmms-eval is not installed, so nothing here was tested against it"
)


def test_the_entry_point_is_there():
    (found,) = entry_points(group="lmms_eval.models", name="blip3o")
    assert found.value == "blip3o.evals.lmms:manifest"


def request(text, visuals, **given):
    return SimpleNamespace(args=(text, given, lambda doc: doc, 0, "task", "split")), visuals


def ask(model, *requests):
    model.task_dict = {"task": {"split": [None]}}
    answers = []
    for one, visuals in requests:
        model.task_dict["task"]["split"][0] = visuals
        answers += model.generate_until([one])
    return answers


@installed
def test_the_registry_finds_it_and_it_answers(weights):
    from lmms_eval.models.registry_v2 import ModelRegistryV2  # pyright: ignore[reportMissingImports]

    registry = ModelRegistryV2()
    registry.load_entrypoint_manifests(overwrite=True)
    model = registry.get_model_class("blip3o").create_from_arg_string(f"pretrained={weights}")
    picture = Image.new("RGB", (72, 72), "red")
    plain, cut = ask(
        model, request("<image> what is this?", [picture]), request("what is this?", [picture], until=["a", "\n\n"])
    )
    assert isinstance(plain, str)
    assert cut == plain.split("a")[0]


@installed
def test_it_draws_and_edits_where_it_is_told_to(weights, tmp_path):
    from blip3o.evals.lmms_model import Blip3o

    model = Blip3o(pretrained=str(weights), draws=True, output=str(tmp_path / "drawn"))
    drawn, edited = ask(model, request("a dog", []), request("make it night", [Image.new("RGB", (72, 72))]))
    paths = [json.loads(reply)["images"][0] for reply in (drawn, edited)]
    assert paths[0] != paths[1]
    for path in paths:
        with Image.open(path) as image:
            assert image.size == (72, 72)


def test_pictures_come_as_to_our_own_benchmarks(monkeypatch):
    """Without lmms-eval: what it hands over is made RGB by the same rule."""
    for name in ("lmms_eval", "lmms_eval.api"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "lmms_eval.api.model", SimpleNamespace(lmms=object))
    monkeypatch.delitem(sys.modules, "blip3o.evals.lmms_model", raising=False)
    plugin = importlib.import_module("blip3o.evals.lmms_model")
    monkeypatch.delitem(sys.modules, "blip3o.evals.lmms_model")
    asked, visuals = request("<image> what?", [Image.new("RGBA", (4, 4), (0, 255, 0, 0)), "no picture"])
    model = plugin.Blip3o.__new__(plugin.Blip3o)
    model.task_dict = {"task": {"split": [visuals]}}
    prompt, (picture,), _ = model._request(asked)
    assert (prompt, picture.mode, picture.getpixel((0, 0))) == ("what?", "RGB", (0, 255, 0))
