"""What `blip3o train` refuses and passes on before anything is trained."""

from dataclasses import replace

import pytest

from blip3o.cli.train import _check_same_model, _tracked
from blip3o.config import dump, load
from blip3o.errors import ConfigError
from blip3o.train.recipe import Recipe
from blip3o.train.validation import ValidationConfig


def test_trackers_of_the_command_line_are_those_of_the_recipe():
    recipe = load(Recipe, "picturebook-quick", _tracked(["tensorboard", "wandb"]))
    assert recipe.trackers == ("tensorboard", "wandb")
    assert load(Recipe, "picturebook-quick", _tracked([])).trackers == ()
    with pytest.raises(ConfigError, match="no such trackers: tensorbord"):
        load(Recipe, "picturebook-quick", _tracked(["tensorbord"]))


def test_a_run_goes_on_only_with_the_samples_it_has_learned_from(tiny, tmp_path):
    dump(tiny, tmp_path / "recipe.yaml")
    _check_same_model(tiny, tmp_path)
    _check_same_model(replace(tiny, validation=ValidationConfig(source=tiny.source, every=5)), tmp_path)
    with pytest.raises(
        ConfigError, match=r"holds a run with validation\.share 0\.0, not 0\.5: it has learned from other"
    ):
        _check_same_model(replace(tiny, validation=ValidationConfig(share=0.5)), tmp_path)
