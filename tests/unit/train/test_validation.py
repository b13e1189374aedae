"""Validation: on samples that are never learned from, always the same, by the stage's own losses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from blip3o.config import from_dict
from blip3o.data.address import StepAddresses
from blip3o.errors import ConfigError
from blip3o.picturebook.source import Scenes, ScenesConfig
from blip3o.train.held_out_features import drawings, feature_sets
from blip3o.train.trainer import Trainer
from blip3o.train.validation import HeldOutSamples, ValidationConfig, held_out_losses

OTHER = ScenesConfig(seed="other", stories=4)


def validations(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == "validation"]


@pytest.fixture
def short(tiny):
    """Gives a recipe of one stage that is validated."""

    def recipe(name, steps=3, **validation):
        stage = replace(next(stage for stage in tiny.stages if stage.name == name), steps=steps)
        return replace(tiny, stages=(stage,), save_every=0, validation=ValidationConfig(**validation))

    return recipe


@pytest.mark.parametrize("name", ["encoder", "decoder", "understanding", "instruction"])
def test_what_is_held_out_is_never_trained_on(short, tmp_path, monkeypatch, name):
    recipe = replace(short(name, steps=6, share=0.5, samples=8), source=ScenesConfig(seed="held out", stories=12))
    seen = {"training": set(), "held out": set()}
    now = ["training"]
    whole = Scenes.picture

    def picture(self, index):
        seen[now[0]].add(index)
        return whole(self, index)

    trainer = Trainer(recipe, tmp_path, lambda progress: None)
    validate, of_step = trainer.validate, StepAddresses.numbers.fget
    assert of_step is not None

    def numbers(addresses):
        now[0] = "held out" if addresses.run.startswith("validation/") else "training"
        return of_step(addresses)

    monkeypatch.setattr(StepAddresses, "numbers", property(numbers))
    begin = trainer.begin

    def begun(stage):
        steps = begin(stage)  # encodes all pictures once, which trains nothing
        monkeypatch.setattr(Scenes, "picture", picture)
        return steps

    monkeypatch.setattr(trainer, "begin", begun)

    def validated(steps):
        validate(steps)
        monkeypatch.setattr(Scenes, "picture", whole)

    monkeypatch.setattr(trainer, "validate", validated)
    trainer.run()
    held_out = set(trainer.source.indices("held out")[""].tolist())
    assert seen["training"]
    assert seen["held out"]
    assert not seen["training"] & held_out
    assert seen["held out"] <= held_out


def test_validation_changes_nothing_of_the_training(short, tmp_path):
    weights = []
    for name, validation in (("without", {}), ("with", {"source": OTHER, "every": 1, "samples": 4})):
        trainer = Trainer(short("instruction", **validation), tmp_path / name, lambda progress: None)
        weights.append(dict(trainer.run().state_dict()))
    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())
    assert validations(tmp_path / "without") == []
    assert [line["step"] for line in validations(tmp_path / "with")] == [1, 2, 3]


def test_equal_weights_have_equal_losses_and_the_total_is_what_the_stage_minimises(short, pipeline, book, objective_of):
    recipe = short("encoder", source=OTHER)
    [stage] = recipe.stages
    held_out = HeldOutSamples(recipe.validation, book, 0)
    objective = held_out.objective(objective_of(stage, pipeline, book))
    one, same, more = (held_out_losses(objective, "0/encoder", 4, rows, n) for rows, n in ((0, 8), (3, 8), (0, 24)))
    assert one == pytest.approx(same, rel=1e-5)
    assert one != pytest.approx(more, rel=1e-5)
    assert one["loss"] == pytest.approx(one["sketch"] + stage.objective.dense_caption_weight * one["telling"])


def test_losses_are_means_over_all_samples_of_what_training_would_minimise(short, pipeline, book, objective_of):
    [stage] = short("understanding", source=OTHER).stages
    objective = objective_of(stage, pipeline, book)
    by_hand = []
    with torch.no_grad():
        for step in range(2):
            for batch in objective.load(StepAddresses("validation/0/x", step, 0)).batches:
                by_hand.append(objective.losses(batch)["text"])
    mean = float(sum(loss.sum for loss in by_hand) / sum(loss.weight for loss in by_hand))
    assert held_out_losses(objective, "0/x", 0, 0, 8)["text"] == pytest.approx(mean, rel=1e-6)


def test_the_average_of_the_weights_is_validated_on_the_way_as_at_the_end(short, tmp_path):
    recipe = short("tower", steps=2, source=OTHER, every=1, samples=8)
    [stage] = recipe.stages
    Trainer(recipe, tmp_path / "two", lambda progress: None).run()
    at_one = replace(recipe, stages=(replace(stage, steps=1, warmup=stage.warmup),))
    Trainer(at_one, tmp_path / "one", lambda progress: None).run()
    (first, _), (last,) = validations(tmp_path / "two"), validations(tmp_path / "one")
    assert first["validation/loss"] == pytest.approx(last["validation/loss"], rel=1e-5)


def test_features_of_another_source_are_those_of_the_encoder_as_it_is_now(short, pipeline, book, objective_of):
    held_out = HeldOutSamples(ValidationConfig(source=OTHER), book, 0)
    [stage] = short("generation").stages
    before, known = book.features, []
    try:
        for features in (before, before.copy()):
            book.features = features
            held_out.objective(objective_of(stage, pipeline, book))
            known.append(held_out.source.features)
    finally:
        book.features = before
    assert known[0] is not known[1]
    assert np.array_equal(*known)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"share": 1.0}, "share is 1.0, expected 0 to less than 1"),
        ({"share": 0.1, "source": {"kind": "image_folder", "path": "x"}}, "share and source are both given"),
        ({"share": 0.1, "samples": 0}, "samples is 0, expected 1 or more"),
        ({"share": 0.1, "drawn": 1}, "drawn is 1, expected 0, or 2 or more"),
        ({"every": 5}, "every and drawn have no effect: name a share or a source"),
        ({"source": {"kind": "image_folde"}}, "did you mean image_folder"),
    ],
)
def test_what_cannot_be_validated_on_is_refused(values, fault):
    with pytest.raises(ConfigError, match=fault):
        from_dict(ValidationConfig, values)


def test_features_are_drawn_of_held_out_prompts_and_compared_with_their_pictures(pipeline):
    source = Scenes(OTHER)
    talks = list(drawings(source, ("draw", "edit", "question"), 5))
    assert len(talks) == 5
    again = list(drawings(source, ("draw", "edit", "question"), 5))
    assert [talk[0] for talk in talks] == [talk[0] for talk in again]
    assert all(isinstance(part, str) for talk in talks for turn in talk[:-1] for part in turn.content)
    assert list(drawings(source, (), 5)) == []
    sets = feature_sets(pipeline, source, ("draw",), 20)
    assert sets is not None
    generated, real = sets
    head = pipeline.config.unified.head
    assert generated.shape == real.shape == (20 * head.side**2, head.channels)
    expected = pipeline.features([talk[-1].content[-1] for talk in drawings(source, ("draw",), 20)])
    np.testing.assert_allclose(real[: head.side**2], expected[0].detach().flatten(1).T.numpy(), rtol=1e-4, atol=1e-4)
    assert feature_sets(pipeline, source, ("question",), 5) is None
