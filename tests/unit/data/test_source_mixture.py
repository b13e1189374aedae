"""A mixture is its sources one after the other, and each of their tasks runs through its own source alone."""

import json
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.config import from_dict, to_dict
from blip3o.data.address import StepAddresses
from blip3o.data.mixture import Mixture
from blip3o.data.sample import SampleError
from blip3o.data.source_mixture import SourceMixture
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError, DataError
from blip3o.picturebook.tasks import vocabulary
from blip3o.pipeline.pipeline import Pipeline
from blip3o.plugins import build, read_config
from blip3o.processing.conversation import Picture
from blip3o.train.objectives.autoencoder import AutoencoderObjective, AutoencoderObjectiveConfig
from blip3o.train.objectives.decoder import DecoderObjective, DecoderObjectiveConfig
from blip3o.train.recipe import Recipe

BOOK = {"kind": "picturebook.source:Scenes", "seed": "mixed", "stories": 1}


def opened(sources, progress=None):
    config = read_config({"kind": "mixture", "sources": sources}, SOURCES, Source, "source")
    return build(config, SOURCES, Source, progress)


@pytest.fixture
def folder(tmp_path):
    """Five captioned images, and two edits of them."""
    for number in range(5):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"red number {number}")
    edits = [{"source": f"{n}.png", "instruction": "more red", "target": f"{n + 1}.png"} for n in range(2)]
    (tmp_path / "edits.jsonl").write_text("\n".join(map(json.dumps, edits)))
    return tmp_path


@pytest.fixture
def two(folder):
    """Both, as the sources of a mixture."""
    return {
        "plain": {"kind": "image_folder", "path": str(folder)},
        "edits": {"kind": "jsonl", "path": str(folder / "edits.jsonl")},
    }


def red(picture):
    return int(picture.pixels[0, 0, 0]) // 40


def prompts(source, weights, count, *, drawing=True):
    mixture = Mixture(source, weights, "seed", drawing=drawing)
    return [str(mixture[number][0].content[-1]) for number in range(count)]


def test_every_task_runs_through_its_own_source_before_it_repeats(two):
    asked = prompts(opened(two), {"plain.draw": 5.0, "edits.edit": 2.0}, 14)
    assert sorted(text for text in asked[:7] if text != "more red") == [f"red number {n}" for n in range(5)]
    assert asked.count("more red") == 4


def test_tasks_that_were_not_named_are_left_out(two):
    assert set(prompts(opened(two), {"edits.edit": 1.0}, 5)) == {"more red"}


def test_samples_and_their_pictures_stand_one_source_after_the_other(two):
    source = opened(two)
    assert [red(source.picture(index)) for index in range(len(source))] == [0, 1, 2, 3, 4, 1, 2]
    assert [source[index].captions for index in (4, 5)] == [("red number 4",), ()]


def test_features_belong_to_the_picture_they_were_made_of(two):
    source = opened(two)
    source.features = np.arange(7, dtype=np.float16).reshape(7, 1, 1, 1)
    assert [float(source.picture(index).features[0, 0, 0]) for index in range(7)] == [0, 1, 2, 3, 4, 5, 6]
    rng = random.Random(0)
    for task, index, expected in (("plain.draw", 3, 3), ("edits.edit", 1, 6)):
        drawn = source.conversation(task, index, rng)[-1].content[-1]
        assert isinstance(drawn, Picture)
        assert float(drawn.features[0, 0, 0]) == expected
    source.features = None
    assert source.picture(3).features is None


def test_the_words_are_those_of_all_sources_where_all_list_them(two):
    assert opened({"book": BOOK}).vocabulary() == tuple(sorted(vocabulary()))
    both = opened({"book": BOOK, **two})
    assert both.vocabulary() is None
    texts = list(both.texts())
    assert {"red number 3", "more red", *vocabulary()} <= set(texts)


def test_the_picture_book_is_mixed_with_files(two):
    source = opened({"book": BOOK, **two})
    asked = prompts(source, {"book.question": 1.0, "plain.caption": 1.0}, 8, drawing=False)
    assert asked.count("describe this picture.") == 4
    assert len(source) == source.length("book.draw") + 7


def test_a_mixture_may_stand_in_a_mixture(two):
    source = opened({"mine": {"kind": "mixture", "sources": two}})
    assert prompts(source, {"mine.edits.edit": 1.0}, 1) == ["more red"]
    assert source.tasks_of(source.config)[:2] == ("mine.plain.draw", "mine.plain.caption")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "sources is empty"),
        ({"a.b": BOOK}, "a source is called 'a.b': leave dots out"),
        ({"book": {**BOOK, "pages": 3}}, "pages"),
        ({"book": {"path": "x"}}, r"sources\.book is .* with a kind"),
        ({"one": {"kind": "jsonl", "path": ""}, "two": {"kind": "jsonl", "path": ""}}, "path is empty.*name the data"),
    ],
)
def test_what_is_wrong_in_a_mixture_is_told_before_anything_is_read(sources, message):
    with pytest.raises(ConfigError, match=message):
        opened(sources)


def test_a_source_that_is_missing_is_told_by_its_name(two):
    with pytest.raises(DataError, match=r"source 'edits': .*nowhere\.jsonl does not exist"):
        opened(two | {"edits": {"kind": "jsonl", "path": "nowhere.jsonl"}})


def test_a_source_without_samples_is_told_by_its_name(two, monkeypatch):
    monkeypatch.setattr("blip3o.data.sources.jsonl.JsonLines.__len__", lambda source: 0)
    with pytest.raises(DataError, match=r"source 'edits'.* holds no"):
        opened(two)


def test_a_faulty_sample_bears_the_place_of_its_own_source(two, folder):
    (folder / "3.png").write_bytes(b"")
    with pytest.raises(SampleError, match=r"3\.png: empty image"):
        opened(two)[3]


def test_a_stage_names_tasks_by_their_source(tiny, two):
    stage = replace(tiny.stages[-1], batch_size=2)
    recipe = to_dict(replace(tiny, stages=(stage,)))
    recipe["source"] = {"kind": "mixture", "sources": two}
    objective = recipe["stages"][0]["objective"]
    objective |= {"draw": {"plain.draw": 1.0}, "text": {}, "text_batch_size": 0}
    assert from_dict(Recipe, recipe).source.kind == "mixture"
    for unknown in ("draw", "others.draw", "plain.question"):
        objective["draw"] = {unknown: 1.0}
        with pytest.raises(ConfigError, match=rf"no such tasks: {unknown}; there are plain\.draw"):
            from_dict(Recipe, recipe)


def test_a_recipe_with_a_mixture_is_written_and_read_again(two):
    config = read_config({"kind": "mixture", "sources": two}, SOURCES, Source, "source")
    assert read_config(to_dict(config), SOURCES, Source, "source") == config


def test_the_reading_of_each_source_is_told(two):
    told = []
    assert isinstance(opened({"book": BOOK}, lambda done, total: told.append((done, total))), SourceMixture)
    assert told[-1] == (1, 1)


def test_pictures_are_learned_from_the_sources_that_hold_them(two, folder, pipeline):
    words = {"conversations": [{"from": "human", "value": "hello?"}, {"from": "gpt", "value": "Hello."}]}
    (folder / "words.jsonl").write_text("\n".join([json.dumps(words)] * 20))
    sources = {"words": {"kind": "jsonl", "path": str(folder / "words.jsonl")}, **two}
    step = StepAddresses("run", 0, 20)
    for pictures, skipped in (((), True), (("plain", "edits"), False)):
        config = read_config({"kind": "mixture", "sources": sources, "pictures": pictures}, SOURCES, Source, "source")
        source = build(config, SOURCES, Source)
        objective = DecoderObjective(DecoderObjectiveConfig(feature_noise=0.0), pipeline, source)
        loaded = objective.load(step)
        assert bool(loaded.skipped) == skipped
        assert len(source) == 27
        if not skipped:
            (batch,) = loaded.batches
            assert Counter(map(red, batch.pictures))[1] in (5, 6)  # twice in seven pictures, each of which comes thrice
    with pytest.raises(ConfigError, match="pictures names 'others': choose of words, plain, edits"):
        read_config({"kind": "mixture", "sources": sources, "pictures": ["others"]}, SOURCES, Source, "source")


def test_the_space_is_measured_on_all_sources_without_what_cannot_be_read(two, folder, tiny, words, monkeypatch):
    monkeypatch.setattr("blip3o.train.objectives.autoencoder.MEASURED", 4)
    source, measured = opened(two), []
    (folder / "1.png").write_bytes(b"")
    torch.manual_seed(0)
    fresh = Pipeline(tiny.model, words)
    objective = AutoencoderObjective(AutoencoderObjectiveConfig(), fresh, source)
    monkeypatch.setattr(fresh.space, "measure", lambda features: measured.append(features))
    objective.finish()
    expected = fresh.features([source.picture(index) for index in (0, 3)]).half().float()
    torch.testing.assert_close(measured[0][:2], expected, rtol=1e-3, atol=1e-3)
    assert len(measured[0]) == 2  # of 0, 1, 3 and 5, two show the picture that is broken
