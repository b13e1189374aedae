"""What a run draws and scores while it trains."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.cli.train_progress import (
    GROUPS_OF_TASKS,
    benchmark_scores,
    examples,
    feature_distance,
    score_in,
    write_samples,
)
from blip3o.cli.train_view import Watch
from blip3o.errors import PromptError
from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.picturebook.source import Scenes, ScenesConfig
from blip3o.picturebook.tasks import TASKS
from blip3o.train.held_out_features import feature_sets
from blip3o.train.trainer import Trainer
from blip3o.train.validation import ValidationConfig


def test_every_task_that_has_groups_of_its_own_exists():
    assert GROUPS_OF_TASKS.keys() <= TASKS.keys()


def test_what_is_drawn_to_be_looked_at_is_always_the_same_and_what_the_stage_learns(book):
    prompts, edits = examples(book, ("draw", "edit", "question"))
    assert (len(prompts), len(edits)) == (6, 3)
    again, _ = examples(book, ("draw", "edit", "question"))
    assert prompts == again
    assert examples(book, ()) == ([], [])
    assert examples(book, ("question",)) == ([], [])


def test_a_run_is_scored_by_the_benchmark_that_its_recipe_names(pipeline, monkeypatch):
    def evaluate(model, benchmarks, *, groups, **options):
        return [{"metrics": {name: {"value": 1.0} for name in groups or benchmarks}}]

    monkeypatch.setattr("blip3o.evals.evaluate.evaluate", evaluate)
    model = BLIP3o(pipeline)
    assert benchmark_scores(model, "picturebook", ("edit", "question")) == {"vqa": 1.0, "edit": 1.0}
    assert benchmark_scores(model, "picturebook", ("naming",)) == {}
    assert benchmark_scores(model, "squares:Colors", ("draw",)) == {"squares:Colors": 1.0}
    assert benchmark_scores(model, "", ("edit", "question")) == {}


@pytest.fixture
def training(tiny, pipeline, tmp_path):
    """Gives the trainer of a recipe with these changes and one stage; its model is that of the tests."""

    def trainer(stage="generation", **changes):
        stages = tuple(one for one in tiny.stages if one.name == stage)
        recipe = replace(tiny, stages=stages, benchmark="", **changes)
        made = Trainer(recipe, tmp_path, lambda progress: None)
        made.pipeline = pipeline
        return made

    return trainer


def test_the_prompts_of_the_recipe_are_drawn_at_every_score(training, pipeline, tmp_path):
    trainer = training(prompts=("a red dog", "a blue cat"))
    scores = score_in(trainer, Watch(1000.0))(pipeline, tmp_path / "generation-000002")
    assert scores == {}
    listed = json.loads((tmp_path / "generation-000002" / "samples.json").read_text())
    assert [(one["kind"], one["text"]) for one in listed] == [("drawn", "a red dog"), ("drawn", "a blue cat")]
    own, other = (np.asarray(image, float) for image in BLIP3o(pipeline).generate(["a red dog", "a blue cat"], seed=0))
    with Image.open(tmp_path / "generation-000002" / listed[0]["file"]) as kept:
        seen = np.asarray(kept, float)
    assert seen.shape == own.shape
    assert np.abs(seen - own).mean() < 0.9 * np.abs(seen - other).mean()  # WebP loses some


def test_a_prompt_that_the_model_cannot_be_asked_is_refused_before_the_run_begins(training):
    with pytest.raises(PromptError, match="zeppelin"):
        score_in(training(prompts=("a red zeppelin",)), Watch(1000.0))


def test_an_encoder_shows_what_it_keeps_of_pictures(training, pipeline, tmp_path):
    score_in(training("encoder"), Watch(1000.0))(pipeline, tmp_path / "encoder-000002")
    listed = json.loads((tmp_path / "encoder-000002" / "samples.json").read_text())
    assert [one["kind"] for one in listed] == ["reconstructed"] * 6
    assert all(one["text"] for one in listed)


def test_the_distance_of_features_is_taken_where_it_is_asked_for(training, pipeline):
    other = ScenesConfig(seed="other", stories=4)
    trainer = training(validation=ValidationConfig(source=other, drawn=6))
    scores = feature_distance(trainer, pipeline, ("draw",))
    sets = feature_sets(pipeline, Scenes(other), ("draw",), 6)
    assert sets is not None
    expected = frechet_distance(*sets)
    assert scores == {"validation/feature_distance": pytest.approx(expected, rel=1e-4)}
    assert feature_distance(trainer, pipeline, ("question",)) == {}
    assert feature_distance(training(validation=ValidationConfig(source=other)), pipeline, ("draw",)) == {}


def test_small_pictures_are_listed_when_all_are_there(tmp_path):
    write_samples(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()
    write_samples(tmp_path, [("drawn", "größer", Image.new("L", (300, 150)))])
    assert json.loads((tmp_path / "samples.json").read_text()) == [
        {"kind": "drawn", "text": "größer", "file": "00.webp"}
    ]
    with Image.open(tmp_path / "00.webp") as small:
        assert (small.size, small.mode) == ((128, 64), "RGB")
