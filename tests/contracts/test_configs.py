"""Every shipped recipe loads, and says what it costs and what comes of it."""

import re
from pathlib import Path

import pytest

from blip3o.config import load
from blip3o.train.recipe import Recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "configs").glob("*.yaml"))

# what a description tells -> how it is known
TOLD = {
    "hardware": r"\d+ (CPU )?cores?\b|\bGPUs?\b",
    "minutes": r"\d\S* (minutes|min|hours|h)\b",
    "result": r"\bExpect\b|\bafter which\b|\breach(es)?\b",
}


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request):
    """A shipped recipe."""
    return load(Recipe, request.param)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_bears_the_name_of_its_file(path):
    assert load(Recipe, path).name == path.stem


def test_a_recipe_names_its_command(recipe):
    commands = (f"blip3o train --config {recipe.name}", f"python train.py --config configs/{recipe.name}.yaml")
    assert any(command in recipe.description for command in commands)


@pytest.mark.parametrize("what", TOLD)
def test_a_recipe_tells_hardware_minutes_and_result(recipe, what):
    assert re.search(TOLD[what], recipe.description), f"{recipe.name}: {recipe.description}"
