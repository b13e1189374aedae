"""Best of several: the candidate that the model itself takes for what was asked, and nobody else's choice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.config import BOUNDS
from blip3o.errors import ConfigError, PromptError
from blip3o.pipeline import self_check
from blip3o.processing.conversation import DESCRIBE, THINK, Picture, Turn

FAST = {"steps": 1, "decoder_steps": 1}
PROMPTS = ["a red dog", "a blue cup"]


@pytest.fixture
def model(pipeline):
    return BLIP3o(pipeline)


def pixels(images):
    return [np.asarray(image) for image in images]


def test_candidates_have_seeds_of_their_own_the_first_of_which_is_the_one_given():
    seeds = self_check.candidate_seeds(7, 64)
    assert (seeds[0], len(set(seeds))) == (7, 64)
    assert not {*self_check.candidate_seeds(8, 64)} & {*seeds}
    highest = int(BOUNDS["seed"][1])
    assert all(0 <= seed <= highest for seed in self_check.candidate_seeds(highest, 64))


def test_a_score_is_the_probability_of_the_words_as_a_description(model):
    picture = Image.new("RGB", (72, 72), "red")
    unified, template = model.pipeline.unified, model.pipeline.template
    turns = (Turn("user", (template.picture(picture), DESCRIBE)), Turn("assistant", ("a red dog",)))
    batch = template.collate([template.encode(turns)])
    with torch.inference_mode():
        expected = unified.score(batch).item()
    assert self_check.scores(model.pipeline, [picture], "a red dog") == [pytest.approx(expected)]
    assert expected < 0


def test_the_picture_is_that_of_the_seed_with_the_highest_score(model):
    best = model.generate(PROMPTS, seed=3, best_of=4, **FAST)
    for number, image in enumerate(best):
        candidates = image.info["candidates"]
        assert [int(seed) for seed in candidates] == self_check.candidate_seeds(3 + number, 4)
        assert image.info["seed"] == int(max(candidates, key=candidates.get))
        [alone] = model.generate(PROMPTS[number], seed=image.info["seed"], **FAST)
        assert (np.asarray(alone) == np.asarray(image)).all()
        [read] = self_check.scores(model.pipeline, [alone], PROMPTS[number])
        assert candidates[str(image.info["seed"])] == pytest.approx(read, abs=0.01)
    assert any(len({*image.info["candidates"].values()}) > 1 for image in best)


def test_whichever_is_read_best_is_kept(model, monkeypatch):
    for kept in range(3):
        monkeypatch.setattr(self_check, "scores", lambda *given, kept=kept: [float(k == kept) for k in range(3)])
        [image] = model.generate("a dog", seed=5, best_of=3, **FAST)
        assert image.info["seed"] == self_check.candidate_seeds(5, 3)[kept]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_what_is_kept_does_not_depend_on_the_batch(model, batch_size):
    expected = model.generate(PROMPTS, best_of=3, **FAST)
    images = model.generate(PROMPTS, best_of=3, batch_size=batch_size, **FAST)
    assert [image.info["seed"] for image in images] == [image.info["seed"] for image in expected]
    assert all((one == other).all() for one, other in zip(pixels(images), pixels(expected), strict=True))


def test_of_one_candidate_nothing_is_read(model, monkeypatch):
    monkeypatch.setattr(self_check, "scores", None)
    [image] = model.generate("a dog", best_of=1, **FAST)
    assert "candidates" not in image.info


def test_candidates_are_counted_as_images_of_a_batch(model, monkeypatch):
    together = []
    step = model._engine(1).drawer.__class__.step

    def watched(drawer):
        together.append(len(drawer.waiting))
        step(drawer)

    monkeypatch.setattr("blip3o.pipeline.drawing.Drawer.step", watched)
    model.generate(["a dog"] * 6, best_of=4, batch_size=8, **FAST)
    assert max(together) == 8


def test_what_is_wanted_is_what_was_thought_or_else_what_was_asked():
    talk = (Turn("system", (THINK,)), Turn("user", ("a riddle",)))
    assert self_check.wanted(talk, "a red dog") == "a red dog"
    assert self_check.wanted(talk, "") == "a riddle"


def test_an_edit_without_words_for_its_result_is_refused(model):
    picture = Image.new("RGB", (72, 72))
    with pytest.raises(PromptError, match="ask with think, or leave best_of out"):
        model.edit(picture, "make it night", best_of=2, **FAST)
    talk = (Turn("user", (Picture(np.zeros((8, 8, 3), np.uint8)), "make it night")),)
    assert self_check.wanted(talk, "a dog at night") == "a dog at night"
    assert self_check.wanted(talk, "") == ""


def test_where_no_words_tell_candidates_apart_a_model_that_has_some_by_itself_draws_one(model):
    model.sampling = replace(model.sampling, best_of=3, steps=1, decoder_steps=1)
    assert "candidates" not in model.edit(Image.new("RGB", (72, 72)), "make it night")[0].info
    assert len(model.generate("a dog")[0].info["candidates"]) == 3


def test_one_stream_of_random_numbers_has_no_candidates(tiny):
    with pytest.raises(ConfigError, match="best_of is 2: with compatible"):
        replace(tiny.model.sampling, best_of=2, compatible=True)


@pytest.mark.parametrize("count", [0, 65, 1.5, "4"])
def test_a_number_of_candidates_out_of_bounds_is_refused(model, count):
    with pytest.raises(ConfigError, match=f"best_of is {count!r}, expected a whole number from 1 to 64"):
        model.generate("a dog", best_of=count)
