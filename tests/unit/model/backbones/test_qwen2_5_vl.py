"""The Qwen2.5-VL backbone: what is padded, cached or read together is thought as if it were not."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch

from blip3o.model.backbones.qwen2_5_vl import (
    BY_PICTURE,
    Qwen,
    QwenConfig,
    QwenTextConfig,
    QwenVisionConfig,
    attend_by_picture,
)
from blip3o.model.layers.attention import attend

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
    alone = backbone(said, ones(1, 5))
    filler, hidden_there = words(backbone, 1, 3, seed=1), torch.zeros(1, 3, dtype=torch.bool)
    order = (filler, said) if side == "left" else (said, filler)
    masks = (hidden_there, ones(1, 5)) if side == "left" else (ones(1, 5), hidden_there)
    padded = backbone(torch.cat(order, 1), torch.cat(masks, 1))
    assert_close(padded[:, 3:] if side == "left" else padded[:, :5], alone)


def test_rows_of_different_lengths_are_thought_as_if_alone(backbone):
    said = words(backbone, 2, 6)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6]).bool()
    together = backbone(said, mask)
    assert_close(together[:1, 2:], backbone(said[:1, 2:], ones(1, 4)))
    assert_close(together[1:], backbone(said[1:], ones(1, 6)))


def test_what_comes_later_does_not_change_what_was_thought_before(backbone):
    said = words(backbone, 1, 6)
    changed = said.clone()
    changed[:, 4] += 1
    before, after = backbone(said, ones(1, 6)), backbone(changed, ones(1, 6))
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amin(dim=(0, 2)).min() > 0


@pytest.mark.parametrize("cuts", [(6, 7), (2, 5), (1, 2, 3, 4, 5, 6, 7)])
def test_thinking_on_from_a_cache_is_thinking_the_whole_again(backbone, cuts):
    said = words(backbone, 2, 8)
    mask = torch.tensor([[0, 1] + [1] * 6, [1] * 8]).bool()
    whole, cache, parts = backbone(said, mask), backbone.new_cache(), []
    for start, end in zip((0, *cuts), (*cuts, 8), strict=True):
        parts.append(backbone(said[:, start:end], mask[:, :end], cache))
    assert_close(torch.cat(parts, 1)[mask], whole[mask])


def test_the_mask_may_have_holes_behind_which_positions_go_on(backbone):
    said = words(backbone, 1, 5)
    holed = backbone(said, torch.tensor([[1, 1, 0, 1, 1]]).bool())
    closed = backbone(said[:, [0, 1, 3, 4]], ones(1, 4))
    assert_close(holed[:, [0, 1, 3, 4]], closed)


def test_tied_scores_are_products_with_the_embeddings(backbone):
    hidden = words(backbone, 1, 2)
    every = backbone.embed(torch.arange(backbone.config.text.vocab_size)[None])[0]
    assert_close(backbone.logits(hidden), hidden @ every.T)


def test_a_tied_head_is_called_but_owns_no_tensor(config):
    assert config.text.tie_word_embeddings
    backbone, calls = Qwen(config), []
    backbone.lm_head.register_forward_hook(lambda *_: calls.append("lm_head"))
    backbone.logits(words(backbone, 1, 2))
    assert calls == ["lm_head"]
    assert not [name for name in backbone.state_dict() if "lm_head" in name]
    again = deepcopy(backbone)
    torch.nn.init.ones_(next(again.language_model.get_input_embeddings().parameters()))
    assert again.logits(torch.ones(1, 1, again.width)).eq(again.width).all()


def test_an_untied_backbone_has_scores_of_its_own(config):
    untied = Qwen(replace(config, text=replace(config.text, tie_word_embeddings=False)))
    assert "lm_head.weight" in untied.state_dict()
    hidden = words(untied, 1, 2)
    assert_close(untied.logits(hidden), untied.lm_head(hidden))


def pictures(backbone, *sides, seed=0):
    """Random patches of square pictures of these sides, in patches."""
    vision, count = backbone.config.vision, sum(side**2 for side in sides)
    dim = 3 * vision.temporal_patch_size * vision.patch_size**2
    pixel_values = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return pixel_values, torch.tensor([[1, side, side] for side in sides])


def read_by_the_library(backbone, pixel_values, image_grid_thw):
    library = deepcopy(backbone.visual)
    library.config._attn_implementation = "sdpa"
    return library(pixel_values, image_grid_thw).pooler_output


def test_pictures_of_one_size_are_read_as_the_library_reads_them(backbone, side, seen):
    pixel_values, image_grid_thw = pictures(backbone, side, side, side)
    read = backbone.encode_images(pixel_values, image_grid_thw)
    assert read.shape == (3 * seen, backbone.width)
    assert_close(read, read_by_the_library(backbone, pixel_values, image_grid_thw))


def test_pictures_of_several_sizes_are_read_as_if_alone(backbone, side, seen):
    pixel_values, image_grid_thw = pictures(backbone, side, side - 2)
    read = backbone.encode_images(pixel_values, image_grid_thw)
    assert_close(read[:seen], backbone.encode_images(pixel_values[: side**2], image_grid_thw[:1]))
    assert_close(read[seen:], backbone.encode_images(pixel_values[side**2 :], image_grid_thw[1:]))


@pytest.mark.parametrize("smaller", [2, 4])
def test_a_picture_of_several_windows_is_read_as_the_library_reads_it(config, awake, side, smaller):
    size = (side - smaller) * config.vision.patch_size
    windowed = awake(Qwen(replace(config, vision=replace(config.vision, window_size=size))))
    pixel_values, image_grid_thw = pictures(windowed, side, side)
    read = windowed.encode_images(pixel_values, image_grid_thw)
    assert_close(read, read_by_the_library(windowed, pixel_values, image_grid_thw))
    whole = awake(Qwen(config)).encode_images(pixel_values, image_grid_thw)
    assert (read - whole).abs().max() > 1e-3


def test_a_change_of_one_picture_leaves_the_others_as_read(backbone, side, seen):
    pixel_values, image_grid_thw = pictures(backbone, side, side)
    changed = pixel_values.clone()
    changed[: side**2] += 1
    before, after = (
        backbone.encode_images(pixel_values, image_grid_thw),
        backbone.encode_images(changed, image_grid_thw),
    )
    assert torch.equal(before[seen:], after[seen:])
    assert (before[:seen] - after[:seen]).abs().max() > 1e-3


@pytest.mark.parametrize("bounds", [[0, 2, 6], [0, 3, 6], [0, 6]])
def test_a_window_looks_at_itself_alone(bounds):
    query, key, value = torch.randn(3, 1, 2, 6, 4, generator=torch.Generator().manual_seed(0))
    window = torch.bucketize(torch.arange(6), torch.tensor(bounds[1:]), right=True)
    wanted = attend(query, key, value, (window[:, None] == window)[None, None], scale=0.7)
    bounds = torch.tensor(bounds)
    read, _ = attend_by_picture(torch.nn.Identity(), query, key, value, None, cu_seq_lens_q=bounds, scaling=0.7)
    assert_close(read, wanted.transpose(1, 2))


def test_two_threads_read_pictures_of_different_sizes_with_one_tower(backbone, side):
    """What a call needs to know of its pictures is in the call; none writes to the model that another is using."""
    kinds = [pictures(backbone, side, side), pictures(backbone, side, side - 2), pictures(backbone, 2 * side)] * 8
    config = backbone.visual.config.to_dict()
    alone = [backbone.encode_images(*kind) for kind in kinds]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(torch.no_grad()(lambda kind: backbone.encode_images(*kind)), kinds))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    assert backbone.visual.config.to_dict() == config
    assert backbone.visual.config._attn_implementation == BY_PICTURE
