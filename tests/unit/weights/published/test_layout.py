"""Folders in the published layout: names of both layouts, tied heads, what is passed over, what is refused."""

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
from published_toy import load
from safetensors.torch import load_file, save_file

from blip3o.errors import CheckpointError
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.weights.published.eva_clip import INSIDE
from blip3o.weights.published.layout import find_decoder, find_encoder, find_unified

OWN = Path(__file__).parents[3] / "parity" / "published_8b_layout"
WORDS = torch.tensor([[3, 1, 4, 1, 5]])


@pytest.fixture
def folder(tmp_path):
    return Path(copytree(OWN, tmp_path / "model"))


def tensors_of(folder):
    return load_file(folder / "model.safetensors")


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@torch.no_grad()
def spoken(unified):
    backbone = unified.backbone
    return backbone.logits(backbone(backbone.embed(WORDS), torch.ones_like(WORDS, dtype=torch.bool)))


@pytest.mark.parametrize(("hidden", "parameters"), [(3584, 1_365_010_336), (2048, 1_362_257_824)])
def test_the_published_denoisers_have_their_parameters(hidden, parameters):
    sizes = NextDiTConfig(channels=1792, side=8, width=1792, depth=24, num_heads=28, condition_width=hidden)
    with torch.device("meta"):
        denoiser = NextDiT(sizes)
    assert sum(parameter.numel() for parameter in denoiser.parameters()) == parameters


def test_the_names_of_transformers_5_load_the_same(folder):
    expected = spoken(load(find_unified(folder)))

    def newer(name):
        if name.startswith(("model.embed_tokens", "model.layers", "model.norm")):
            return name.replace("model.", "model.language_model.", 1)
        return f"model.{name}" if name.startswith("visual.") else name

    save_file({newer(name): value for name, value in tensors_of(folder).items()}, folder / "model.safetensors")
    assert torch.equal(spoken(load(find_unified(folder))), expected)


def test_a_tied_head_is_the_embedding_whether_the_file_repeats_it_or_not(folder):
    change_config(folder, tie_word_embeddings=True)
    repeated = spoken(load(find_unified(folder)))
    tensors = tensors_of(folder)
    embedding = tensors["model.embed_tokens.weight"]
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors")
    unified = load(find_unified(folder))
    assert torch.equal(spoken(unified), repeated)
    assert unified.backbone.logits(torch.eye(64)).T.equal(embedding)


def test_an_encoder_and_a_vae_inside_are_used_and_passed_over(folder):
    expected = load(find_encoder(folder)).state_dict()
    tower = load_file(folder / "eva_clip_vision_tower" / "model.safetensors")
    inside = INSIDE.inverse.renamed(tower) | {"model.vae.encoder.x": torch.ones(2)}
    save_file(tensors_of(folder) | inside, folder / "model.safetensors")
    assert torch.equal(spoken(load(find_unified(folder))), spoken(load(find_unified(OWN))))
    for path in (folder / "eva_clip_vision_tower").glob("*.safetensors"):
        path.unlink()
    found = load(find_encoder(folder)).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_what_a_tower_lacks_in_its_config_is_said_by_the_models(folder):
    change_config(folder, vision_cfg={"head_width": 48}, num_attention_heads=5, gen_pooling="early_pool2d_1")
    own = folder / "eva_clip_vision_tower" / "config.json"
    own.unlink(missing_ok=True)
    found = find_encoder(folder)[0]
    assert (found.channels // found.num_heads, found.pool) == (48, 1)
    own.write_text('{"vision_cfg": {"head_width": 24}}')
    assert find_encoder(folder)[0].num_heads == found.num_heads * 2


def test_weights_take_the_precision_asked_for(folder):
    unified = load(find_unified(folder), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in unified.parameters()} == {torch.bfloat16}
    assert unified.backbone.language_model.get_buffer("rotary_emb.inv_freq").dtype == torch.float32


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "is list"),
        (lambda folder: (folder / "config.json").write_text('{"hidden_size": 3}'), "name the folder of a published"),
        (lambda folder: change_config(folder, hidden_size=32), "make hidden_size 64, not 32"),
        (lambda folder: change_config(folder, num_hidden_layers=4), r"missing: backbone.language_model.layers.3"),
        (lambda folder: change_config(folder, num_hidden_layers=2), r"unknown: backbone.language_model.layers.2"),
    ],
)
def test_a_folder_that_does_not_hold_together_is_refused(spoil, told, folder):
    spoil(folder)
    with pytest.raises(CheckpointError, match=told):
        load(find_unified(folder))


def test_a_missing_decoder_is_told_with_where_to_get_it(folder):
    with pytest.raises(CheckpointError, match="copy the folder diffusion-decoder of BLIP3o/BLIP3o-Model-8B"):
        find_decoder(folder / "nowhere")
