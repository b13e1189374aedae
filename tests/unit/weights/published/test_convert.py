"""Published layout -> ours and back: the same tensors, bit for bit."""

import json
from dataclasses import replace

import published_toy
import pytest
import torch
from safetensors.torch import load_file

from blip3o.errors import CheckpointError
from blip3o.model.space import SpaceConfig
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights import checkpoint
from blip3o.weights.published import model as published
from blip3o.weights.published.convert import to_ours, to_published


def tensors_of(folder):
    """Every tensor of a published folder, under the folder of its file and its name, but for those nobody uses."""
    found = {}
    for path in folder.rglob("*.safetensors"):
        place = path.parent.relative_to(folder).as_posix()
        found |= {(place, name): value for name, value in load_file(path).items() if "model.vae" not in name}
    return found


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("qwen2_5_vl", torch.float32),
        ("qwen2_5_vl", torch.bfloat16),
        ("qwen3", torch.bfloat16),
        ("llama3", torch.bfloat16),
    ],
    ids=str,
)
def test_there_and_back_every_tensor_is_the_same(tmp_path, kind, dtype):
    source = to_published(published_toy.pipeline(kind).to(dtype), tmp_path / "published")
    ours = to_ours(source, tmp_path / "ours")
    back = to_published(checkpoint.load(ours, dtype=None)[0], tmp_path / "back")
    before, after = tensors_of(source), tensors_of(back)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert torch.equal(value, after[name]), name
    first, second = (json.loads((folder / "config.json").read_text()) for folder in (source, back))
    assert first == second


@torch.no_grad()
def test_a_converted_model_draws_the_same(published, tmp_path):
    def drawn(made):
        asked = [made.template.nothing()]
        sampling = made.config.sampling
        engine = Engine(made)
        row = engine.draw(asked[0], 3, type(sampling)(steps=2, guidance=3.0, decoder_steps=2))
        while not row.done:
            engine.step()
        assert row.image is not None
        return row.image

    ours = to_ours(published, tmp_path / "ours")
    assert torch.equal(drawn(checkpoint.load(ours)[0]), drawn(published_model(published)))


def published_model(folder):
    return published.open_model(folder).load()


def test_the_layout_of_shards_is_that_of_the_index(published):
    index = json.loads((published / "model.safetensors.index.json").read_text())
    for name, file in index["weight_map"].items():
        assert name in load_file(published / file)
    assert len(set(index["weight_map"].values())) == 3


def test_a_model_of_other_parts_has_no_place_in_the_published_layout(tmp_path, pipeline):
    with pytest.raises(CheckpointError, match="parts that the published layout has no place for"):
        to_published(pipeline, tmp_path / "no")


def test_the_pooling_stands_in_the_models_config_and_the_width_of_heads_beside_the_tower(tmp_path):
    def written(name):
        return json.loads((tmp_path / name).read_text())

    whole = published_toy.pipeline()
    to_published(whole, tmp_path / "whole")
    assert written("whole/eva_clip_vision_tower/config.json") == {"vision_cfg": {"head_width": 112}}
    config = replace(whole.config, space=SpaceConfig(encoder=None, decoder=None))
    to_published(Pipeline(config, whole.template.words), tmp_path / "bare")
    before, after = written("whole/config.json"), written("bare/config.json")
    assert before.keys() == after.keys()
    assert "vision_cfg" not in before
    assert (before["gen_pooling"], after["gen_pooling"]) == ("early_pool2d_2", "early_pool2d_1")
