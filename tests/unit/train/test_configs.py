"""Every shipped recipe at its true size on the meta device: published parameters, and stages that find their parts."""

import sys
from pathlib import Path

import pytest
import torch

from blip3o.config import load
from blip3o.model.space import ImageSpace
from blip3o.model.unified import Unified
from blip3o.pipeline.parts import belongs, count_parameters
from blip3o.train.recipe import Recipe
from blip3o.weights import lora
from blip3o.weights.safetensors_files import hollow, shapes_of

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "scripts"))
import config_fields  # noqa: E402 # pyright: ignore[reportMissingImports] - scripts is no package

SHIPPED = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
BLIP3O_8B = {"head": 1_365_239_712, "language model": 7_069_199_872, "output head": 543_578_112}
PUBLISHED = {
    "pretrain-8b": BLIP3O_8B | {"encoder": 4_350_208_256},
    "instruct-8b": BLIP3O_8B,
    "pretrain-4b": {"head": 1_362_388_896, "encoder": 4_350_208_256},
    "lora-4b": {"head": 1_362_388_896, "encoder": 4_350_208_256},
    "qwen3-siglip2-sequential": {"language model": 1_720_574_976},
}
"""Recipe -> parameters of its parts: DiT and queries of 8B and 4B, and the tower, as published; Qwen2.5-7B with 151,668
embeddings; Qwen3 1.7B."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_has_its_published_parameters_and_its_stages_their_parts(name):
    recipe = load(Recipe, name)
    with hollow():
        whole = torch.nn.Module()
        whole.unified = Unified(recipe.model.unified)
        whole.space = ImageSpace(recipe.model.space, recipe.model.unified.head.channels)
    shapes = shapes_of(dict(whole.named_parameters()))
    counts = count_parameters(shapes)
    assert {part: counts[part] for part in PUBLISHED.get(name, ())} == PUBLISHED.get(name, {})
    for stage in recipe.stages:
        for pattern in stage.trains:
            assert any(belongs(parameter, pattern) for parameter in shapes), pattern
        if stage.adapter:
            assert lora.adapted_layers(whole, stage.adapter.targets)


def test_the_page_of_recipes_tells_every_field_as_the_code_does():
    text = config_fields.PAGE.read_text(encoding="utf-8")
    assert config_fields.page(text) == text, "run python scripts/config_fields.py"


def test_the_page_of_recipes_names_every_recipe():
    text = config_fields.PAGE.read_text(encoding="utf-8")
    assert [name for name in SHIPPED if f"({name}.yaml)" not in text] == []
