"""Conditions computed once stand in for the frozen backbone, and for no other."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.data import array_store
from blip3o.data.sources.jsonl import JsonLinesConfig
from blip3o.errors import ConfigError, DataError, OutputError
from blip3o.train.conditions import cache_conditions, open_conditions
from blip3o.train.objectives.unified import UnifiedObjectiveConfig
from blip3o.train.trainer import Trainer


@pytest.fixture
def recipe(tiny, tmp_path):
    """The denoiser alone, on pictures with one or two captions and on edits."""
    rows = [{"image": f"{n}.png", "caption": ["a field", f"field number {n}"][: 1 + n % 2]} for n in range(6)]
    rows += [{"source": "0.png", "instruction": "make it wide", "target": "1.png"}]
    for number in range(6):
        colors = np.random.default_rng(number).integers(0, 255, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(colors).resize((80, 72)).save(tmp_path / f"{number}.png")
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    stage = replace(
        next(stage for stage in tiny.stages if stage.name == "generation"),
        objective=UnifiedObjectiveConfig(draw={"draw": 2.0, "edit": 1.0}, features="online"),
        trains=("unified.head.denoiser",),
        steps=6,
        batch_size=3,
    )
    source = JsonLinesConfig(path=str(tmp_path / "rows.jsonl"), caption_dropout=0.3)
    return replace(tiny, source=source, stages=(stage,), benchmark="", skip_limit=1.0)


def with_conditions(recipe, folder):
    (stage,) = recipe.stages
    return replace(recipe, stages=(replace(stage, objective=replace(stage.objective, conditions=str(folder))),))


def trainer(recipe, folder):
    losses = []
    made = Trainer(recipe, folder, lambda progress: losses.append(progress.losses))
    return made, losses


def test_a_denoiser_learns_from_kept_conditions_what_it_learns_behind_the_backbone(recipe, tmp_path):
    plain, plain_losses = trainer(recipe, tmp_path / "plain")
    cache_conditions(plain.pipeline, plain.source, tmp_path / "kept")
    held, held_losses = trainer(with_conditions(recipe, tmp_path / "kept"), tmp_path / "held")
    held.pipeline.unified.backbone.forward = lambda *inputs, **named: pytest.fail("the backbone ran")
    states = [one.run().state_dict() for one in (plain, held)]
    assert plain_losses[-1]["image"] == pytest.approx(held_losses[-1]["image"], rel=1e-5)
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-4, atol=1e-5)


def test_every_prompt_is_computed_once(recipe, tmp_path):
    made, _ = trainer(recipe, tmp_path / "run")
    seen = []
    store = cache_conditions(made.pipeline, made.source, tmp_path / "kept", lambda done, total: seen.append(done))
    # "a field", three of "field number", the empty prompt, the edit
    assert (len(store), seen[-1]) == (6, 6)


def test_a_stopped_run_goes_on(recipe, tmp_path, monkeypatch):
    made, _ = trainer(recipe, tmp_path / "run")
    whole = cache_conditions(made.pipeline, made.source, tmp_path / "whole")
    monkeypatch.setattr(array_store, "PART_BYTES", 2 * 4 * 9 * 32)

    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_conditions(made.pipeline, made.source, tmp_path / "kept", interrupt)
    with pytest.raises(DataError, match="lacks 2 parts"):
        open_conditions(made.pipeline, tmp_path / "kept")
    store = cache_conditions(made.pipeline, made.source, tmp_path / "kept")
    for row in range(6):
        np.testing.assert_allclose(store[row], whole[row], rtol=1e-4, atol=1e-5)


def test_conditions_of_another_backbone_or_other_queries_are_refused(recipe, tmp_path):
    made, _ = trainer(recipe, tmp_path / "run")
    cache_conditions(made.pipeline, made.source, tmp_path / "kept")
    open_conditions(made.pipeline, tmp_path / "kept")
    with torch.no_grad():
        dict(made.pipeline.named_parameters())["unified.head.queries"].add_(1)
    with pytest.raises(DataError, match="of another backbone"):
        open_conditions(made.pipeline, tmp_path / "kept")
    with pytest.raises(OutputError, match="of another backbone"):
        cache_conditions(made.pipeline, made.source, tmp_path / "kept")


def test_a_prompt_that_was_never_computed_is_told(recipe, tmp_path):
    made, _ = trainer(recipe, tmp_path / "run")
    cache_conditions(made.pipeline, made.source, tmp_path / "kept")
    conditions = open_conditions(made.pipeline, tmp_path / "kept")
    objective = with_conditions(recipe, tmp_path / "kept").stages[0].objective
    assert objective.conditions
    sample = made.pipeline.template.encode(made.source.conversation("draw", 0, random.Random(0)))
    assert conditions.of([sample, sample]).shape == (2, 9, 32)
    with pytest.raises(DataError, match="no condition for 1 prompts"):
        conditions.of([sample, replace(sample, tokens=sample.tokens[1:])])


@pytest.mark.parametrize("trains", ["unified.head", "unified.backbone", "unified", "unified.backbone.language_model"])
def test_what_made_the_conditions_may_not_learn(recipe, trains):
    (stage,) = with_conditions(recipe, "kept").stages
    with pytest.raises(ConfigError, match="may not learn where conditions are kept"):
        replace(stage, trains=(trains,))


def test_conditions_and_words_to_learn_exclude_each_other():
    with pytest.raises(ConfigError, match="which text needs"):
        UnifiedObjectiveConfig(draw={"draw": 1.0}, text={"caption": 1.0}, text_batch_size=2, conditions="kept")
