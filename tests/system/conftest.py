"""The command line on the smallest model, with random weights: what it says is nonsense, how it says it is not."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from blip3o.cli import run
from blip3o.picturebook.world.scene import SIZE

TINY = Path(__file__).parents[1] / "tiny.yaml"


@dataclass(frozen=True)
class Result:
    """What came of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """The folder of a checkpoint; for reading only."""
    import torch

    from blip3o.config import load
    from blip3o.picturebook.tasks import vocabulary
    from blip3o.pipeline.pipeline import Pipeline
    from blip3o.processing.tokenizer import make
    from blip3o.train.recipe import Recipe
    from blip3o.weights import checkpoint

    folder = tmp_path_factory.mktemp("weights") / "tiny"
    torch.manual_seed(0)
    checkpoint.save(Pipeline(load(Recipe, TINY).model, make(vocabulary())), folder, about={"commit": "abc"})
    return folder


@pytest.fixture
def own_weights(weights, tmp_path_factory):
    """A copy of the checkpoint, to be broken."""
    return Path(shutil.copytree(weights, tmp_path_factory.mktemp("own") / "tiny"))


@pytest.fixture
def blip3o(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return Result(code, shown.out, shown.err)

    return command


@pytest.fixture
def picture(tmp_path_factory):
    """A picture file."""
    path = tmp_path_factory.mktemp("pictures") / "dog.png"
    Image.new("RGB", (SIZE, SIZE), "red").save(path)
    return path


@pytest.fixture(scope="module")
def model(weights):
    """The checkpoint as a model."""
    from blip3o.api import BLIP3o

    return BLIP3o.load(weights)


@pytest.fixture(scope="module")
def server(model):
    """A server that serves it under two names."""
    from server_running import Running

    from blip3o.serve.openai import create_app

    running = Running(create_app({"tiny": model, "again": model}, queue=64))
    yield running
    running.stop()


@pytest.fixture
def serving(model):
    """Starts servers with limits of their own."""
    from server_running import Running

    from blip3o.serve.openai import create_app

    running = []

    def start(limits=None, **how):
        running.append(Running(create_app({"tiny": model}, limits, **how)))
        return running[-1]

    yield start
    for one in running:
        one.stop()
