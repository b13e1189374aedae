"""Llama 3 and Qwen3, reading by SigLIP: their published sizes, the library's own answers, and pictures among words."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from transformers import LlamaForCausalLM, Qwen3ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from blip3o.model.backbones.backbone import TextConfig
from blip3o.model.backbones.text_backbone import TextBackbone, TextBackboneConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.model.layers.siglip_tower import SiglipReader
from blip3o.processing.images import to_patches

assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
SO400M = SiglipConfig(
    hidden_size=1152,
    intermediate_size=4304,
    num_hidden_layers=27,
    num_attention_heads=16,
    image_size=512,
    patch_size=16,
)
TINY_TOWER = SiglipConfig(
    hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8
)
LLAMA31 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
TINY = TextConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    tie_word_embeddings=False,
    rope_theta=500000.0,
)


def llama(vision=TINY_TOWER, **changes):
    return TextBackbone(
        TextBackboneConfig(kind="llama3", text=replace(TINY, rope_scaling=LLAMA31, **changes), vision=vision)
    )


def qwen(vision=TINY_TOWER, **changes):
    return TextBackbone(TextBackboneConfig(kind="qwen3", text=replace(TINY, **changes), vision=vision))


KINDS = pytest.mark.parametrize("make", [llama, qwen])


@pytest.mark.parametrize(
    ("make", "sizes", "parameters"),
    [
        (llama, (128256, 2048, 8192, 16, 32, 8, 64, True), 1_235_814_400),
        (llama, (128256, 3072, 8192, 28, 24, 8, 128, True), 3_212_749_824),
        (llama, (128256, 4096, 14336, 32, 32, 8, 128, False), 8_030_261_248),
        (qwen, (151936, 1024, 3072, 28, 16, 8, 128, True), 596_049_920),
        (qwen, (151936, 2048, 6144, 28, 16, 8, 128, True), 1_720_574_976),
        (qwen, (151936, 4096, 12288, 36, 32, 8, 128, False), 8_190_735_360),
    ],
    ids=["Llama-3.2-1B", "Llama-3.2-3B", "Llama-3.1-8B", "Qwen3-0.6B", "Qwen3-1.7B", "Qwen3-8B"],
)
def test_the_published_language_models_have_their_parameters(make, sizes, parameters):
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    names += ("num_key_value_heads", "head_dim", "tie_word_embeddings")
    with torch.device("meta"):
        backbone = make(**dict(zip(names, sizes, strict=True)))
    counted = (backbone.language_model, backbone.lm_head)
    assert sum(p.numel() for part in counted for p in part.parameters()) == parameters


def test_the_tower_is_siglips_but_for_the_head_that_pools():
    """428,225,600 parameters has the published tower of 384 px in patches of 14; its pooling head is not ours."""
    with torch.device("meta"):
        ours = SiglipReader(replace(SO400M, image_size=384, patch_size=14), 64).tower
        whole = SiglipVisionModel(SiglipVisionConfig(**vars(replace(SO400M, image_size=384, patch_size=14))))
    head = sum(p.numel() for name, p in whole.named_parameters() if name.startswith("head."))
    assert sum(p.numel() for p in whole.parameters()) == 428_225_600
    assert sum(p.numel() for p in ours.parameters()) == 428_225_600 - head


@torch.no_grad()
@KINDS
def test_words_are_answered_as_the_library_answers_them(make, awake):
    backbone = awake(make(), std=0.1)
    library = {"llama3": LlamaForCausalLM, "qwen3": Qwen3ForCausalLM}[backbone.config.kind](
        backbone.language_model.config
    )
    library.model.load_state_dict(backbone.language_model.state_dict())
    library.lm_head.load_state_dict(backbone.lm_head.state_dict())
    tokens = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    ours = backbone.logits(backbone(backbone.embed(tokens), torch.ones_like(tokens, dtype=torch.bool)))
    assert_close(ours, library.eval()(tokens).logits)


@torch.no_grad()
@KINDS
def test_padding_and_the_cache_change_nothing(make, awake):
    backbone = awake(make(), std=0.1)
    said = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(0))
    there = torch.ones(2, 6, dtype=torch.bool)
    whole = backbone(said, there)
    filler, absent = torch.randn(2, 3, 32), torch.zeros(2, 3, dtype=torch.bool)
    assert_close(backbone(torch.cat([filler, said], 1), torch.cat([absent, there], 1))[:, 3:], whole)
    cache = backbone.new_cache()
    first = backbone(said[:, :4], there[:, :4], cache)
    branch = backbone.branch(cache, [1, 0, 1])
    assert_close(torch.cat([first, backbone(said[:, 4:], there, cache)], 1), whole)
    assert_close(backbone(said[[1, 0, 1], 4:], there[[1, 0, 1]], branch), whole[[1, 0, 1], 4:])


@torch.no_grad()
@KINDS
def test_a_picture_becomes_the_towers_tokens_in_the_words_width(make, awake):
    backbone = awake(make(), std=0.1)
    pixels = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pixel_values, image_grid_thw = to_patches(pixels, 8, 1, 1)
    seen = backbone.encode_images(pixel_values, image_grid_thw)
    assert seen.shape == (2 * 9, 32)
    library = backbone.visual.tower(pixels).last_hidden_state
    assert_close(seen, backbone.visual.projector(library).flatten(0, 1))


@torch.no_grad()
@KINDS
def test_what_no_file_holds_is_computed_again(make, awake):
    backbone = awake(make(), std=0.1)
    with torch.device("meta"):
        empty = make()
    empty.load_state_dict(backbone.state_dict(), assign=True)
    empty.restore_buffers()
    pixel_values, image_grid_thw = to_patches(torch.ones(1, 3, 24, 24), 8, 1, 1)
    assert torch.equal(
        empty.encode_images(pixel_values, image_grid_thw), backbone.encode_images(pixel_values, image_grid_thw)
    )
    said, there = torch.ones(1, 3, 32), torch.ones(1, 3, dtype=torch.bool)
    assert torch.equal(empty(said, there), backbone(said, there))
