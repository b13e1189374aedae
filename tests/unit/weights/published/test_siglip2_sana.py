"""SigLIP2_SANA, in both of its layouts: sizes by the tensors, strict names, and a model that paints with it."""

import json

import pytest
import torch
from published_toy import TINY_DC_AE, load
from safetensors.torch import save_file

from blip3o.errors import CheckpointError
from blip3o.model.decoders.sana import SanaConfig, SanaDecoder
from blip3o.model.encoders.siglip import SiglipEncoder, SiglipEncoderConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.weights.published.layout import find_decoder, find_encoder
from blip3o.weights.published.sana import DC_AE

ENCODER = SiglipEncoderConfig(
    kind="siglip",
    tower=SiglipConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=16, image_size=16, patch_size=4
    ),
    side=2,
)
TRANSFORMER = {
    "in_channels": 4,
    "out_channels": 4,
    "patch_size": 1,
    "num_attention_heads": 7,
    "attention_head_dim": 32,
    "num_layers": 1,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 112,
    "cross_attention_dim": 224,
    "caption_channels": 12,
    "mlp_ratio": 2.5,
    "sample_size": 8,
}
LAYOUTS = pytest.mark.parametrize("nested", [True, False], ids=["published", "trained further"])


@pytest.fixture
def write(tmp_path, awake):
    def written(nested, **spoiled):
        tower = awake(SiglipEncoder(ENCODER)).state_dict()
        config = SanaConfig(kind="sana", transformer=TRANSFORMER, vae=DC_AE | TINY_DC_AE, channels=32)
        sana = awake(SanaDecoder(config)).state_dict()
        before = "encoder.model.vision_model." if nested else "encoder.vision_model."
        tensors = {before + name.removeprefix("tower."): value for name, value in tower.items()}
        tensors[f"{before}head.probe"] = torch.ones(1, 1, 32)
        for name, value in sana.items():
            outer = "transformer." if nested and not name.startswith("vae.") else ""
            tensors[outer + name] = value
        save_file(tensors | spoiled, tmp_path / "model.safetensors")
        facts = {"num_pooled_tokens": 4, "input_size": 8, "vae_config": TINY_DC_AE}
        (tmp_path / "config.json").write_text(json.dumps(facts))
        return tmp_path, tower, sana

    return written


@LAYOUTS
def test_both_parts_are_found_with_their_sizes_and_tensors(write, nested):
    folder, tower, sana = write(nested)
    encoder, decoder = find_encoder(folder, folder), find_decoder(folder)
    assert encoder.config == ENCODER
    assert (decoder.config.channels, decoder.config.size) == (32, 16)
    assert {key: decoder.config.transformer[key] for key in TRANSFORMER} == TRANSFORMER
    for found, expected in ((encoder, tower), (decoder, sana)):
        loaded = load(found).state_dict()
        assert loaded.keys() == expected.keys()
        assert all(torch.equal(loaded[name], value) for name, value in expected.items())


@torch.no_grad()
def test_what_is_loaded_encodes_and_paints(write):
    folder, *_ = write(True)
    encoder, decoder = load(find_encoder(folder, folder)), load(find_decoder(folder))
    features = encoder(torch.rand(1, 3, 16, 16) * 2 - 1)
    assert features.shape == (1, 32, 2, 2)
    assert decoder.decode(features, [torch.Generator()], steps=2).shape == (1, 3, 16, 16)


@LAYOUTS
def test_a_stranger_among_the_tensors_is_named(write, nested):
    folder, *_ = write(nested, **{"vae.decoder.stranger": torch.ones(2)})
    with pytest.raises(CheckpointError, match=r"unknown: vae\.decoder\.stranger \[2\]"):
        load(find_decoder(folder))


def test_a_folder_without_such_tensors_is_refused(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"lacks transformer\.patch_embed\.proj\.weight"):
        find_decoder(tmp_path)
