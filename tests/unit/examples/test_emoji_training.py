"""The recipe of the emoji runs from its first stage to its scores, with networks far too small to learn much."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from blip3o.api import BLIP3o
from blip3o.config import load, to_dict
from blip3o.data.address import StepAddresses
from blip3o.data.sources.source import SourceConfig
from blip3o.evals.evaluate import evaluate
from blip3o.pipeline.pipeline import Pipeline
from blip3o.plugins import build
from blip3o.processing.tokenizer import learn
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.objectives.objective import Objective
from blip3o.train.recipe import Recipe
from blip3o.train.trainer import Trainer
from blip3o.weights.checkpoint import write_tensors
from examples.emoji import pack
from examples.emoji.collection import read_emoji
from examples.emoji.judge import WEIGHTS, JudgeNetwork, of_pictures
from examples.emoji.objectives import NameTower, mix
from examples.emoji.source import EmojiSource, EmojiSourceConfig, balanced

TINY = Path(__file__).parents[2] / "tiny.yaml"


@pytest.fixture
def recipe(packages):
    """The stages of configs/emoji.yaml, two steps each, for a tiny model and twenty concepts."""
    pack.pack(packages)
    values = to_dict(load(Recipe, "emoji", [f"source.path={packages}", "source.variants=2"]))
    values |= {"model": to_dict(load(Recipe, TINY).model) | {"name": "emoji"}, "precision": "float32"}
    values["model"]["unified"]["backbone"]["text"]["vocab_size"] = 400
    for stage in values["stages"]:
        stage |= {"steps": 2, "batch_size": min(stage["batch_size"], 4)}
        if stage["objective"].get("text_batch_size"):
            stage["objective"]["text_batch_size"] = 3
    path = packages / "recipe.yaml"
    path.write_text(json.dumps(values))
    return load(Recipe, path)


@pytest.fixture
def source(recipe):
    """Its samples."""
    return EmojiSource(recipe.source)


@pytest.fixture
def pipeline(recipe, source):
    """Its model, untrained."""
    torch.manual_seed(0)
    return Pipeline(recipe.model, learn(source.texts(), 400))


def objective_of(recipe, stage, pipeline, source):
    config = next(one.objective for one in recipe.stages if one.name == stage)
    return build(config, OBJECTIVES, Objective, pipeline, source)


def test_every_stage_of_the_recipe_begins_where_the_one_before_ends():
    trained = [stage.trains for stage in load(Recipe, "emoji").stages]
    assert {part.split(".")[0] for parts in trained for part in parts} == {"space", "unified"}
    assert isinstance(load(Recipe, "emoji").source, SourceConfig)


def test_the_page_tells_the_stages_of_the_recipe():
    page = (TINY.parents[1] / "docs" / "emoji.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| ([\d,]+) \|$", page, re.MULTILINE)
    stages = load(Recipe, "emoji").stages
    assert [(name, int(steps.replace(",", ""))) for name, steps in rows] == [(one.name, one.steps) for one in stages]


def test_a_tower_learns_the_names_of_what_it_is_shown(recipe, source, pipeline):
    objective = objective_of(recipe, "tower", pipeline, source)
    assert objective.called == sorted({record.called for record in source.records})
    tower = list(pipeline.unified.backbone.visual.parameters())
    optimizer = torch.optim.Adam(tower, 3e-3)
    losses = []
    for _ in range(40):
        [batch] = objective.load(StepAddresses("x", 0, 8)).batches
        loss = objective.losses(batch)["contrast"]
        assert loss.weight == 8
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        losses.append(loss.mean().item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_tower_is_told_nothing_of_the_order_of_its_batch(recipe, source, pipeline):
    objective = objective_of(recipe, "tower", pipeline, source)
    [whole], halves = (objective.load(StepAddresses("x", 0, 6), rows).batches for rows in (0, 3))
    whole, *halves = (objective.losses(batch)["contrast"] for batch in (whole, *halves))
    assert whole.sum.item() == pytest.approx(sum(half.sum.item() for half in halves), rel=1e-4)


def test_a_mixed_picture_has_as_much_of_the_other_as_its_share_says():
    own, other = np.full((4, 30, 3), 200, np.uint8), np.full((4, 30, 3), 100, np.uint8)
    kinds = set()
    for seed in range(40):
        mixed, share = mix(own, other, random.Random(seed))
        assert 0.5 <= share <= 1
        assert mixed.mean() == pytest.approx(200 * share + 100 * (1 - share), abs=0.6)
        kinds.add("band" if {*np.unique(mixed)} <= {100, 200} else "blend")
        assert (own == 200).all()
    assert kinds == {"band", "blend"}


def test_a_mixed_picture_points_to_both_names_by_their_shares(recipe, source, pipeline):
    objective = objective_of(recipe, "tower", pipeline, source)
    assert isinstance(objective, NameTower)
    [batch] = objective.load(StepAddresses("x", 0, 6)).batches
    assert {*batch.numbers[:, 0].tolist()} == {balanced(source.cells, index) for index in batch.indices}
    shown = torch.randn(6, recipe.model.unified.backbone.text.hidden_size)
    names = objective.name_of[batch.numbers]
    own, other = (objective.contrast(shown, objective.ids, names, torch.full((6,), share)).sum for share in (1.0, 0.0))
    mixed = objective.contrast(shown, objective.ids, names, torch.full((6,), 0.75)).sum
    assert mixed.item() == pytest.approx(0.75 * own.item() + 0.25 * other.item(), rel=1e-5)
    assert own.item() != pytest.approx(other.item(), rel=1e-3)
    swapped = objective.contrast(shown, objective.ids, names.flip(1), torch.full((6,), 1.0)).sum
    assert swapped.item() == pytest.approx(other.item(), rel=1e-5)


def test_each_picture_is_mixed_by_its_own_address(recipe, source, pipeline):
    objective = objective_of(recipe, "tower", pipeline, source)
    first, again, later = (objective.load(StepAddresses("x", step, 8)).batches[0] for step in (0, 0, 1))
    assert torch.equal(first.shares, again.shares)
    assert torch.equal(first.numbers, again.numbers)
    assert len({*first.shares.tolist(), *later.shares.tolist()}) > 8  # some bands are as wide as others
    assert len({*first.numbers[:, 1].tolist()}) > 1


@pytest.mark.slow
def test_the_recipe_runs_from_its_first_stage_to_its_scores(recipe, packages):
    trainer = Trainer(recipe, packages / "run", lambda progress: None)
    trainer.run()
    names = [json.loads(line).get("name") for line in (packages / "run" / "log.jsonl").read_text().splitlines()]
    assert [name for name in names if name] == [stage.name for stage in recipe.stages]
    emoji = [one for one in read_emoji(packages / "packages") if not one.tone]
    judge = of_pictures(JudgeNetwork(20).eval(), emoji)
    tensors = judge.network.state_dict() | {"real": torch.from_numpy(judge.real)}
    write_tensors(packages / WEIGHTS, tensors, {"concepts": json.dumps(judge.concepts), "scores": "{}"})
    model = BLIP3o.load(trainer.publish())
    [result] = evaluate(model, ["examples.emoji.benchmark:HeldOutEmoji"], data=packages)
    assert (result["n"], result["complete"]) == (6 * 4, True)
    assert {"draw", "edit", "name", "category", "style", "known name"} <= {*result["metrics"]}
    assert {*result["baselines"]} == {"copy", "neighbour"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"path": ""}, "path is empty"),
        ({"size": 0}, "size is 0, expected 1 or more px"),
        ({"variants": 0}, "variants is 0, expected 1 or more"),
    ],
)
def test_a_source_says_what_is_wrong_with_it(change, told):
    with pytest.raises(ValueError, match=told):
        EmojiSourceConfig(**change)
