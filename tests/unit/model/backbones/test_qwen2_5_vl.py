"""The Qwen2.5-VL backbone: what is padded, cached or read together is thought as if it were not."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from blip3o.model.backbones.qwen2_5_vl import (
    EQUAL_WINDOWS,
    Qwen,
    QwenConfig,
    QwenTextConfig,
    QwenVisionConfig,
    attend_by_picture,
)

pytestmark = pytest.mark.usefixtures("without_gradients")
assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)


@pytest.fixture
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def config(tiny):
    return tiny.model.unified.backbone


@pytest.fixture(scope="module")
def backbone(config, awake):
    return awake(Qwen(config))


@pytest.fixture(scope="module")
def side(config):
    """Rows and columns of patches of the largest picture that is one window."""
    return config.vision.window_size // config.vision.patch_size


@pytest.fixture(scope="module")
def seen(config, side):
    """Tokens of such a picture."""
    return (side // config.vision.spatial_merge_size) ** 2


def words(backbone, *shape, seed=0):
    return torch.randn(*shape, backbone.width, generator=torch.Generator().manual_seed(seed))


def ones(*shape):
    return torch.ones(shape, dtype=torch.bool)


@pytest.mark.parametrize(
    ("sizes", "tied", "parameters"),
    [((151936, 2048, 11008, 36, 16, 2), True, 3_754_622_976), ((152064, 3584, 18944, 28, 28, 4), False, 8_292_166_656)],
    ids=["Qwen2.5-VL-3B", "Qwen2.5-VL-7B"],
)
def test_the_published_models_have_their_parameters(sizes, tied, parameters):
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    text = dict(zip((*names, "num_key_value_heads"), sizes, strict=True))
    vision = QwenVisionConfig(
        depth=32,
        hidden_size=1280,
        intermediate_size=3420,
        num_heads=16,
        patch_size=14,
        spatial_merge_size=2,
        temporal_patch_size=2,
        window_size=112,
        fullatt_block_indexes=(7, 15, 23, 31),
    )
    rope = {"mrope_section": (16, 24, 24), "rope_theta": 1e6}
    with torch.device("meta"):
        backbone = Qwen(QwenConfig(text=QwenTextConfig(**text, **rope, tie_word_embeddings=tied), vision=vision))
    assert sum(p.numel() for p in backbone.parameters()) == parameters


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(backbone, side):
    said = words(backbone, 1, 5)
    alone = backbone.think(said, ones(1, 5))
    filler, hidden_there = words(backbone, 1, 3, seed=1), torch.zeros(1, 3, dtype=torch.bool)
    order = (filler, said) if side == "left" else (said, filler)
    masks = (hidden_there, ones(1, 5)) if side == "left" else (ones(1, 5), hidden_there)
    padded = backbone.think(torch.cat(order, 1), torch.cat(masks, 1))
    assert_close(padded[:, 3:] if side == "left" else padded[:, :5], alone)


def test_rows_of_different_lengths_are_thought_as_if_alone(backbone):
    said = words(backbone, 2, 6)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6]).bool()
    together = backbone.think(said, mask)
    assert_close(together[:1, 2:], backbone.think(said[:1, 2:], ones(1, 4)))
    assert_close(together[1:], backbone.think(said[1:], ones(1, 6)))


def test_what_comes_later_does_not_change_what_was_thought_before(backbone):
    said = words(backbone, 1, 6)
    changed = said.clone()
    changed[:, 4] += 1
    before, after = backbone.think(said, ones(1, 6)), backbone.think(changed, ones(1, 6))
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amin(dim=(0, 2)).min() > 0


@pytest.mark.parametrize("cuts", [(6, 7), (2, 5), (1, 2, 3, 4, 5, 6, 7)])
def test_thinking_on_from_a_cache_is_thinking_the_whole_again(backbone, cuts):
    said = words(backbone, 2, 8)
    mask = torch.tensor([[0, 1] + [1] * 6, [1] * 8]).bool()
    whole, cache, parts = backbone.think(said, mask), backbone.new_cache(), []
    for start, end in zip((0, *cuts), (*cuts, 8), strict=True):
        parts.append(backbone.think(said[:, start:end], mask[:, :end], cache))
    assert_close(torch.cat(parts, 1)[mask], whole[mask])


def test_the_mask_may_have_holes_behind_which_positions_go_on(backbone):
    said = words(backbone, 1, 5)
    holed = backbone.think(said, torch.tensor([[1, 1, 0, 1, 1]]).bool())
    closed = backbone.think(said[:, [0, 1, 3, 4]], ones(1, 4))
    assert_close(holed[:, [0, 1, 3, 4]], closed)


def test_tied_scores_are_products_with_the_embeddings(backbone):
    hidden = words(backbone, 1, 2)
    every = backbone.embed(torch.arange(backbone.config.text.vocab_size)[None])[0]
    assert_close(backbone.logits(hidden), hidden @ every.T)


def test_an_untied_backbone_has_scores_of_its_own(config):
    untied = Qwen(replace(config, text=replace(config.text, tie_word_embeddings=False)))
    assert untied.lm_head is not None
    hidden = words(untied, 1, 2)
    assert_close(untied.logits(hidden), untied.lm_head(hidden))


def pictures(backbone, *sides, seed=0):
    """Random patches of square pictures of these sides, in patches."""
    vision, count = backbone.config.vision, sum(side**2 for side in sides)
    dim = 3 * vision.temporal_patch_size * vision.patch_size**2
    pixel_values = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return pixel_values, torch.tensor([[1, side, side] for side in sides])


def read_by_the_library(backbone, pixel_values, image_grid_thw):
    backbone.visual.config._attn_implementation = "sdpa"
    return backbone.visual(pixel_values, image_grid_thw).pooler_output


def test_pictures_of_one_size_are_read_as_the_library_reads_them(backbone, side, seen):
    pixel_values, image_grid_thw = pictures(backbone, side, side, side)
    read = backbone.read(pixel_values, image_grid_thw)
    assert backbone.visual.config._attn_implementation == EQUAL_WINDOWS
    assert read.shape == (3 * seen, backbone.width)
    assert_close(read, read_by_the_library(backbone, pixel_values, image_grid_thw))


def test_pictures_of_several_sizes_are_read_as_if_alone(backbone, side, seen):
    pixel_values, image_grid_thw = pictures(backbone, side, side - 2)
    read = backbone.read(pixel_values, image_grid_thw)
    assert_close(read[:seen], backbone.read(pixel_values[: side**2], image_grid_thw[:1]))
    assert_close(read[seen:], backbone.read(pixel_values[side**2 :], image_grid_thw[1:]))


def test_a_picture_of_several_windows_is_left_to_the_library(config, awake, side):
    smaller = (side - 2) * config.vision.patch_size
    windowed = awake(Qwen(replace(config, vision=replace(config.vision, window_size=smaller))))
    pixel_values, image_grid_thw = pictures(windowed, side, side)
    read = windowed.read(pixel_values, image_grid_thw)
    assert windowed.visual.config._attn_implementation == "sdpa"
    whole = awake(Qwen(config)).read(pixel_values, image_grid_thw)
    assert (read - whole).abs().max() > 1e-3


def test_a_change_of_one_picture_leaves_the_others_as_read(backbone, side, seen):
    pixel_values, image_grid_thw = pictures(backbone, side, side)
    changed = pixel_values.clone()
    changed[: side**2] += 1
    before, after = backbone.read(pixel_values, image_grid_thw), backbone.read(changed, image_grid_thw)
    assert torch.equal(before[seen:], after[seen:])
    assert (before[:seen] - after[:seen]).abs().max() > 1e-3


def test_windows_of_different_lengths_are_no_case_for_one_call():
    x = torch.zeros(1, 2, 6, 4)
    with pytest.raises(AssertionError, match="different lengths"):
        attend_by_picture(torch.nn.Identity(), x, x, x, None, cu_seq_lens_q=torch.tensor([0, 2, 6]), scaling=1.0)
