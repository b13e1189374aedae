"""Short runs, and signals that are heard."""

import signal
from dataclasses import replace

import pytest

from blip3o.train.signals import answered
from blip3o.train.trainer import Trainer


@pytest.fixture(autouse=True)
def signals_are_heard():
    """However the tests were started: a shell's background jobs begin with Ctrl-C ignored."""
    with answered((signal.SIGINT,), signal.default_int_handler), answered((signal.SIGTERM,), lambda *_: None):
        yield


@pytest.fixture
def short(tiny):
    """Gives a recipe of one stage."""

    def recipe(name="tower", steps=1, precision="float32", save_every=0, **changes):
        stage = replace(next(stage for stage in tiny.stages if stage.name == name), steps=steps, warmup=0, **changes)
        return replace(tiny, stages=(stage,), precision=precision, save_every=save_every)

    return recipe


@pytest.fixture
def begin(tmp_path_factory):
    """Gives the trainer of a recipe, in a new folder where none is named."""

    def trainer(recipe, folder=None, score=None, observe=lambda progress: None):
        return Trainer(recipe, folder or tmp_path_factory.mktemp("run"), observe, score)

    return trainer
