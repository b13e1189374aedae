"""The EVA tower: the published sizes, and the arithmetic of its blocks, its pooling and its normalisation."""

import pytest
import torch

from blip3o.errors import ConfigError
from blip3o.model.encoders.eva_clip import DEVIATION, MEAN, EvaBlock, EvaClip, EvaClipConfig

PUBLISHED = EvaClipConfig(size=448, patch_size=14, channels=1792, depth=64, num_heads=16, mlp_width=15360, pool=4)
SMALL = EvaClipConfig(size=24, patch_size=4, channels=12, depth=2, num_heads=3, mlp_width=20, pool=2)


@pytest.fixture
def tower(awake):
    return awake(EvaClip(SMALL))


def test_the_published_tower_has_its_parameters_and_its_features():
    with torch.device("meta"):
        tower = EvaClip(PUBLISHED)
    assert sum(parameter.numel() for parameter in tower.parameters()) == 4_350_208_256
    assert PUBLISHED.side == 8


@torch.no_grad()
def test_a_block_normalises_what_it_adds_and_nothing_else(awake):
    block = awake(EvaBlock(SMALL))
    x = torch.randn(2, 5, 12)
    between = x + block.norm1(block.attn(x))
    torch.testing.assert_close(block(x), between + block.norm2(block.mlp(between)))


@torch.no_grad()
def test_attention_is_that_of_torch_with_the_same_weights(awake):
    ours = awake(EvaBlock(SMALL)).attn
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.proj.weight,
            "out_proj.bias": ours.proj.bias,
        }
    )
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_features_are_the_means_of_squares_of_tokens(tower):
    tokens = torch.randn(1, 36, 12)
    grid = tokens[0].view(6, 6, 12)
    features = tower.pooled(tokens)
    assert features.shape == (1, 12, 3, 3)
    torch.testing.assert_close(features[0, :, 1, 2], grid[2:4, 4:6].mean((0, 1)))


@torch.no_grad()
def test_pictures_come_in_as_all_pictures_do_and_are_normalised_as_clip_wants_them(tower):
    values = torch.rand(1, 3, 24, 24)
    normalised = (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    torch.testing.assert_close(tower(values * 2 - 1), tower.pooled(tower.tokens(normalised)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_class_token_is_heard_and_left_out(tower):
    pixels = torch.randn(1, 3, 24, 24)
    before = tower.tokens(pixels)
    tower.cls_token += 1
    assert before.shape == (1, 36, 12)
    assert (tower.tokens(pixels) - before).abs().max() > 1e-4


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="size 25 is no multiple of 4 px patches"):
        EvaClipConfig(size=25, patch_size=4, channels=12, depth=2, num_heads=5, mlp_width=20, pool=2)
