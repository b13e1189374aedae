"""Recipes are checked before a step is taken, and every one that ships can be run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from blip3o.config import from_dict, load, to_dict
from blip3o.data.mixture import Mixture
from blip3o.data.sources.image_folder import ImageFolder, ImageFolderConfig
from blip3o.data.sources.jsonl import JsonLines, JsonLinesConfig
from blip3o.errors import ConfigError
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.recipe import Recipe, Stage

SHIPPED = sorted(Path(__file__).parents[3].glob("configs/*.yaml"))


@pytest.fixture
def stage(tiny):
    return tiny.stages[0]


def names(paths):
    return paths.stem


@pytest.fixture(params=SHIPPED, ids=names)
def shipped(request):
    return load(Recipe, request.param)


def test_a_shipped_recipe_comes_back_as_it_was_written(shipped):
    assert from_dict(Recipe, to_dict(shipped)) == shipped


@pytest.fixture
def small(book, tmp_path):
    """Gives a small source of the kind of a recipe's, with samples for a task."""
    Image.new("RGB", (9, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a dark field")
    rows = {
        "edit": {"source": "a.png", "instruction": "make it day", "target": "a.png"},
        "chat": {"image": "a.png", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]},
    }

    def source(kind, task):
        if kind.startswith("picturebook"):
            return book
        if task not in rows:
            return ImageFolder(ImageFolderConfig(path=str(tmp_path)))
        path = tmp_path / f"{task}.jsonl"
        path.write_text(json.dumps(rows[task]))
        return JsonLines(JsonLinesConfig(path=str(path)))

    return source


def test_every_task_of_a_shipped_recipe_ends_as_its_stage_says(shipped, small):
    if shipped.source.kind.startswith("examples."):
        return  # tests/unit/examples/test_emoji_data.py asks its own source
    kinds = {name: one.kind for name, one in getattr(shipped.source, "sources", {}).items()}
    for objective in (stage.objective for stage in shipped.stages if stage.objective.kind == "unified"):
        for drawing, weights in ((True, objective.draw), (False, objective.text)):
            for task in weights:
                name, _, own = task.rpartition(".")
                source = small(kinds.get(name, shipped.source.kind), own)
                assert Mixture(source, {own: 1.0}, "shipped", drawing=drawing)[0]


def test_every_objective_is_trained_by_a_recipe_that_tests_run(tiny):
    own = load(Recipe, "folder")  # its stages, made smaller, are those of tests/system/test_own_pictures.py
    assert {stage.objective.kind for stage in (*tiny.stages, *own.stages)} >= OBJECTIVES.keys()


UNIFIED = {"kind": "unified", "draw": {"draw": 1.0}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"trains": ()}, "trains is empty"),
        ({"ema": 7.0}, "ema is 7.0"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"batch_size": 0}, "batch_size is 0, expected 1 or more pictures"),
        ({"objective": {"kind": "decoder", "feature_noise": -0.1}}, "feature_noise is -0.1"),
        ({"objective": UNIFIED | {"draw": {"draw": 0.0}}}, "draw weighs no task"),
        ({"objective": UNIFIED | {"text": {"question": -1.0}}}, "question is -1.0"),
        ({"objective": UNIFIED, "batch_size": 0}, "draw and batch_size belong together"),
        ({"objective": UNIFIED | {"draw": {}, "text": {"question": 1.0}, "text_batch_size": 1}}, "belong together"),
        ({"objective": UNIFIED | {"text": {"question": 1.0}}}, "text and text_batch_size belong together"),
        ({"objective": {"kind": "unified"}}, "draw and text are empty"),
        ({"objective": {"kind": "decoder", "feature_nose": 1.0}}, "objective.feature_nose, did you mean feature_noise"),
        ({"objective": {"kind": "decodr"}}, "nothing is called 'decodr', did you mean decoder"),
        ({"objective": {"kind": "picturebook.source:Scenes"}}, "'picturebook.source:Scenes' is no Objective"),
        (
            {"objective": {"feature_noise": 1.0}},
            "a kind: one of unified, autoencoder, decoder",
        ),
    ],
)
def test_a_stage_that_cannot_be_run_is_refused(stage, change, said):
    with pytest.raises(ConfigError, match=said):
        replace(stage, **change)


def test_all_faults_of_a_stage_are_told_at_once(stage):
    with pytest.raises(ConfigError, match=r"objective.kind.*steps is 0.*trains is empty|called 'x'.*steps.*trains"):
        replace(stage, steps=0, trains=(), objective={"kind": "x"})


def test_a_task_that_the_source_has_not_is_refused_before_the_run_begins():
    with pytest.raises(ConfigError, match="no such tasks: drwa; there are draw, draw_long"):
        load(Recipe, "picturebook", ["stages.generation.objective.draw.drwa=1"])


def test_a_recipe_has_stages_of_different_names(tiny):
    with pytest.raises(ConfigError, match="stages is empty"):
        replace(tiny, stages=())
    with pytest.raises(ConfigError, match="stages have equal names: encoder, encoder"):
        replace(tiny, stages=(tiny.stages[0],) * 2)


def test_an_unknown_key_of_a_stage_is_answered_with_the_nearest(tiny):
    values = to_dict(tiny.stages[0])
    with pytest.raises(ConfigError, match=r"unknown key learnign_rate, did you mean learning_rate\?"):
        from_dict(Stage, values | {"learnign_rate": 1.0})


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("source.stories=0", "source.stories is 0|stories is 0"),
        ("book.stories=0", "stories is 0"),
        ("stages.encoder.batch_size=0", "batch_size is 0"),
        ("stages.encoder.learning_rate=-1", "learning_rate is -1"),
        ("model.prompt.picture_size=96", "prompt.picture_size is 96, encoder and decoder work at"),
    ],
)
def test_a_value_that_no_run_could_use_is_refused_before_it_begins(override, told):
    with pytest.raises(ConfigError, match=told):
        load(Recipe, "picturebook", [override])
