"""Features of the book are those of the encoder as it stands."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blip3o.data import array_store
from blip3o.errors import ConfigError, DataError, OutputError
from blip3o.picturebook.source import Scenes, ScenesConfig
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train import features
from blip3o.train.features import cache_features, encode_source, encoder_digest, open_features
from blip3o.train.trainer import Trainer


@pytest.fixture
def fresh(tiny, words, awake):
    """A new machine, the same every time."""
    return awake(Pipeline(tiny.model, words))


def test_after_the_encoder_has_learned_features_are_made_anew(tiny, fresh, objective_of):
    stages = {stage.name: stage for stage in tiny.stages}
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    objective_of(stages["decoder"], fresh, book)
    before = book.features
    with torch.no_grad():
        fresh.space.encoder.head.weight.mul_(-1)
    objective_of(stages["encoder"], fresh, book).finish()
    objective_of(stages["decoder"], fresh, book)
    assert isinstance(book.features, np.ndarray)
    assert isinstance(before, np.ndarray)
    np.testing.assert_array_equal(book.features, encode_source(fresh, book))
    assert np.abs(book.features - before).max() > 0.1


def test_features_that_are_there_are_made_once(tiny, fresh, objective_of):
    stage = next(stage for stage in tiny.stages if stage.name == "decoder")
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    objective_of(stage, fresh, book)
    once = book.features
    objective_of(stage, fresh, book)
    assert book.features is once


def test_features_in_a_folder_are_those_in_memory(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(array_store, "PART_BYTES", 5 * 2 * 8 * 9)
    book = Scenes(ScenesConfig(seed="tests", stories=4))
    seen = []
    store = cache_features(fresh, book, tmp_path / "kept", lambda done, total: seen.append((done, total)))
    assert seen == [(5, 12), (10, 12), (12, 12)]
    expected = encode_source(fresh, book)
    for held in (store, open_features(fresh, book, tmp_path / "kept")):
        np.testing.assert_array_equal(np.stack([held[index] for index in range(12)]), expected)
        np.testing.assert_array_equal(held[4:9][2], expected[6])


def test_a_stopped_encoding_goes_on_with_the_parts_that_are_missing(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(array_store, "PART_BYTES", 5 * 2 * 8 * 9)
    book = Scenes(ScenesConfig(seed="tests", stories=4))

    def interrupt(done, total):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_features(fresh, book, tmp_path, interrupt)
    with pytest.raises(DataError, match="lacks 2 parts"):
        open_features(fresh, book, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.npy", "store.json"]
    first = (tmp_path / "00000.npy").stat().st_mtime_ns
    seen = []
    store = cache_features(fresh, book, tmp_path, lambda done, total: seen.append(done))
    assert seen == [10, 12]
    assert (tmp_path / "00000.npy").stat().st_mtime_ns == first
    expected = encode_source(fresh, book)
    np.testing.assert_array_equal(np.stack([store[index] for index in range(12)]), expected)


def test_features_of_another_encoder_or_source_are_refused(fresh, tmp_path):
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    cache_features(fresh, book, tmp_path)
    with pytest.raises(DataError, match="of another source"):
        open_features(fresh, Scenes(ScenesConfig(seed="others", stories=2)), tmp_path)
    with torch.no_grad():
        fresh.space.mean.add_(1)
    with pytest.raises(DataError, match="of another encoder"):
        open_features(fresh, book, tmp_path)
    with pytest.raises(OutputError, match="of another encoder"):
        cache_features(fresh, book, tmp_path)


def test_the_encoder_is_the_same_in_another_type_of_number(fresh):
    with torch.no_grad():
        for value in fresh.space.state_dict().values():
            value.copy_(value.bfloat16())
    digest = encoder_digest(fresh)
    assert encoder_digest(fresh.to(torch.bfloat16)) == digest


def test_a_damaged_part_is_named(fresh, tmp_path):
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    cache_features(fresh, book, tmp_path)
    path = tmp_path / "00000.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"00000\.npy is damaged"):
        open_features(fresh, book, tmp_path)[0]


def test_large_sets_are_encoded_into_the_folder_of_the_run_once(tiny, fresh, objective_of, tmp_path, monkeypatch):
    stage = next(stage for stage in tiny.stages if stage.name == "decoder")
    monkeypatch.setattr(features, "MOST_IN_MEMORY", 100)
    book = Scenes(ScenesConfig(seed="tests", stories=2))
    book.features_folder = tmp_path
    objective_of(stage, fresh, book)
    assert isinstance(book.features, array_store.ArrayStore)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert len(kept) == 1
    book.features = None
    objective_of(stage, fresh, book)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == kept
    np.testing.assert_array_equal(book.picture(3).features, encode_source(fresh, book)[3])


def test_a_run_with_kept_features_learns_what_one_that_encodes_does(tiny, tmp_path):
    recipe = replace(tiny, stages=tuple(stage for stage in tiny.stages if stage.name == "generation"), benchmark="")
    plain = Trainer(recipe, tmp_path / "plain", lambda progress: None)
    cache_features(plain.pipeline, plain.source, tmp_path / "kept")
    held = Trainer(replace(recipe, features=str(tmp_path / "kept")), tmp_path / "held", lambda progress: None)
    assert isinstance(held.source.features, array_store.ArrayStore)
    held.pipeline.space.encoder.forward = lambda pixels: pytest.fail("the encoder ran")
    states = [trainer.run().state_dict() for trainer in (plain, held)]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=0)


def test_kept_features_and_a_stage_that_trains_their_encoder_exclude_each_other(tiny):
    with pytest.raises(ConfigError, match="stage encoder trains the encoder that made them"):
        replace(tiny, features="kept")
