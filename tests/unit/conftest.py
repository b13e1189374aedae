"""The smallest whole model (tests/tiny.yaml), for tests of its parts; heavy modules are imported when first needed."""

from pathlib import Path

import pytest

TINY = Path(__file__).parents[1] / "tiny.yaml"


@pytest.fixture(scope="session")
def tiny():
    """The recipe of the smallest model."""
    from blip3o.config import load
    from blip3o.train.recipe import Recipe

    return load(Recipe, TINY)


@pytest.fixture(scope="session")
def words():
    """The tokenizer of the picture book."""
    from blip3o.picturebook.tasks import vocabulary
    from blip3o.processing.tokenizer import make

    return make(vocabulary())


@pytest.fixture(scope="session")
def template(tiny, words):
    """The template of the smallest model."""
    from blip3o.processing.chat_template import ChatTemplate

    return ChatTemplate(tiny.model.prompt, words)


@pytest.fixture(scope="session")
def pipeline(tiny, words, awake):
    """The smallest whole model, with random weights. Tests that change it build their own."""
    from blip3o.pipeline.pipeline import Pipeline

    return awake(Pipeline(tiny.model, words))


@pytest.fixture(scope="session")
def objective_of():
    """Gives the objective of a stage."""
    from blip3o.plugins import build
    from blip3o.train.objectives import OBJECTIVES
    from blip3o.train.objectives.objective import Objective

    return lambda stage, pipeline, source: build(stage.objective, OBJECTIVES, Objective, pipeline, source)


@pytest.fixture(scope="session")
def book(tiny):
    """Twelve pictures with features."""
    import numpy as np

    from blip3o.picturebook.source import Scenes, ScenesConfig

    made = Scenes(ScenesConfig(seed="tests", stories=tiny.source.stories))
    sizes = tiny.model.unified.head
    rng = np.random.default_rng(0)
    made.features = rng.normal(size=(len(made), sizes.channels, sizes.side, sizes.side)).astype(np.float16)
    return made
