"""Recipes as they were written first (a `book`, and an objective's keys flat in its stage) mean what they meant."""

from pathlib import Path

import pytest

from blip3o.config import from_dict, load, read_yaml
from blip3o.errors import ConfigError
from blip3o.train.recipe import Recipe

BEFORE = sorted(Path(__file__).parent.glob("recipes_of_before/*.yaml"))
[WHOLE] = (path for path in BEFORE if path.stem == "picturebook")
OVERRIDES = {
    "book.stories=7": "source.stories=7",
    "book.seed=other": "source.seed=other",
    "book={seed: a, stories: 3}": "source={kind: picturebook.source:Scenes, seed: a, stories: 3}",
    "stages.encoder.telling_weight=0.3": "stages.encoder.objective.dense_caption_weight=0.3",
    "stages.0.feature_noise=0": "stages.0.objective.feature_noise=0",
    "stages.instruction.text_weight=2": "stages.instruction.objective.text_weight=2",
    "stages.instruction.draw.edit=9": "stages.instruction.objective.draw.edit=9",
    "stages.instruction.text={question: 1}": "stages.instruction.objective.text={question: 1}",
    "stages.decoder.objective=tower": "stages.decoder.objective={kind: picturebook.objectives:TowerObjective}",
}


@pytest.mark.parametrize("path", BEFORE, ids=lambda path: path.stem)
def test_a_recipe_of_before_is_the_one_of_today(path):
    assert load(Recipe, path) == load(Recipe, path.stem)


@pytest.mark.parametrize("path", ["picturebook", WHOLE], ids=["today", "before"])
@pytest.mark.parametrize("before", OVERRIDES)
def test_overrides_mean_the_same_by_both_names_in_both_shapes(path, before):
    changed = load(Recipe, path, [before])
    assert changed == load(Recipe, path, [OVERRIDES[before]])
    assert changed != load(Recipe, path)


def test_the_override_that_was_given_last_holds():
    both = ["book.stories=7", "source.stories=9"]
    assert load(Recipe, WHOLE, both).source.stories == 9
    assert load(Recipe, WHOLE, both[::-1]).source.stories == 7


def test_a_run_folder_of_before_says_every_key_of_every_stage():
    """It was written from the stages, so that what an objective had no use for stands there at its default."""
    unused = {"draw": {}, "text": {}, "text_batch_size": 0, "text_weight": 1.0, "feature_noise": 0.0}
    values = read_yaml(WHOLE)
    whole = values | {"stages": [unused | {"telling_weight": 0.0} | stage for stage in values["stages"]]}
    assert from_dict(Recipe, whole) == load(Recipe, "picturebook")


def test_a_key_that_the_objective_has_no_use_for_is_refused():
    with pytest.raises(ConfigError, match=r"unknown key objective\.text_weight"):
        load(Recipe, "picturebook", ["stages.encoder.text_weight=2"])
