"""A slot may be seen whole: its positions see each other, and everything else stays causal, in every backbone."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from blip3o.model.backbones.backbone import TextConfig
from blip3o.model.backbones.qwen2_5_vl import Qwen
from blip3o.model.backbones.text_backbone import TextBackbone, TextBackboneConfig
from blip3o.model.layers import attention
from blip3o.model.layers.siglip import SiglipConfig

assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
TEXT = TextConfig(
    vocab_size=50,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    tie_word_embeddings=False,
    rope_theta=500000.0,
)
TOWER = SiglipConfig(
    hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8
)
IN_SLOT, AFTER = slice(3, 6), slice(6, 8)
SLOT = torch.zeros(1, 8, dtype=torch.bool).index_fill(1, torch.arange(3, 6), value=True)
THERE = torch.ones(1, 8, dtype=torch.bool)


def build(kind, tiny, layers=2):
    if kind == "qwen2_5_vl":
        config = tiny.model.unified.backbone
        return Qwen(replace(config, text=replace(config.text, num_hidden_layers=layers)))
    text = replace(TEXT, num_hidden_layers=layers)
    return TextBackbone(TextBackboneConfig(kind=kind, text=text, vision=TOWER))


@pytest.fixture(params=["qwen2_5_vl", "llama3", "qwen3"])
def kind(request):
    return request.param


@pytest.fixture
def backbone(kind, tiny, awake):
    return awake(build(kind, tiny))


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def sequence(backbone, rows=1, seed=0):
    return torch.randn(rows, 8, backbone.width, generator=torch.Generator().manual_seed(seed))


def moved(backbone, position, slot):
    """Which positions change when one does."""
    embeddings = sequence(backbone)
    changed = embeddings.clone()
    changed[:, position] += 1
    before, after = (backbone(x, THERE, None, None, slot) for x in (embeddings, changed))
    return (before - after).abs().amax((0, 2)).gt(1e-6).nonzero()[:, 0].tolist()


def test_a_later_position_of_the_slot_moves_an_earlier_one_exactly_when_it_is_bidirectional(backbone):
    assert moved(backbone, 5, None) == [5, 6, 7]
    assert moved(backbone, 5, SLOT) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(("position", "first"), [(2, 2), (6, 6), (7, 7)])
def test_text_around_the_slot_stays_causal(backbone, position, first):
    assert moved(backbone, position, SLOT) == list(range(first, 8))


def test_text_before_the_slot_is_as_without(backbone):
    embeddings = sequence(backbone)
    causal, whole = backbone(embeddings, THERE), backbone(embeddings, THERE, None, None, SLOT)
    logits = backbone.logits
    assert_close(logits(causal[:, :3]), logits(whole[:, :3]))
    assert (causal[:, IN_SLOT] - whole[:, IN_SLOT]).abs().max() > 1e-3


def test_text_after_the_slot_reads_as_without_what_entered_the_slot(kind, tiny, awake):
    """With one layer: that of a second reads what the slot's positions have seen of each other."""
    backbone = awake(build(kind, tiny, layers=1))
    embeddings = sequence(backbone)
    causal, whole = backbone(embeddings, THERE), backbone(embeddings, THERE, None, None, SLOT)
    assert_close(backbone.logits(causal[:, AFTER]), backbone.logits(whole[:, AFTER]))
    assert (causal[:, IN_SLOT] - whole[:, IN_SLOT]).abs().max() > 1e-3


def test_rows_with_a_slot_and_without_one_share_a_batch_as_if_alone(backbone):
    embeddings = sequence(backbone, rows=3)
    mask = THERE.repeat(3, 1)
    mask[1, :2] = False  # padding on the left
    slots = torch.cat([SLOT, SLOT, SLOT & False])
    together = backbone(embeddings, mask, None, None, slots)
    assert_close(together[:1], backbone(embeddings[:1], THERE, None, None, SLOT))
    assert_close(together[1:2, 2:], backbone(embeddings[1:2, 2:], THERE[:, 2:], None, None, SLOT[:, 2:]))
    assert_close(together[2:], backbone(embeddings[2:], THERE))


def test_padding_inside_a_row_is_not_seen_by_its_slot(backbone):
    embeddings, mask = sequence(backbone), THERE.clone()
    mask[:, 6:] = False
    changed = embeddings.clone()
    changed[:, 6:] += 1
    before, after = (backbone(x, mask, None, None, SLOT)[:, :6] for x in (embeddings, changed))
    assert_close(before, after)


def test_two_slots_packed_into_one_row_do_not_see_each_other_before_their_time(backbone):
    two = torch.tensor([[0, 1, 1, 0, 1, 1, 1, 0]]).bool()
    assert moved(backbone, 6, two) == [4, 5, 6, 7]
    assert moved(backbone, 2, two) == [1, 2, 3, 4, 5, 6, 7]


def test_with_a_cache_the_slot_is_as_in_the_whole(backbone):
    embeddings = sequence(backbone, rows=2)
    mask, slots, cache = THERE.repeat(2, 1), SLOT.repeat(2, 1), backbone.new_cache()
    mask[0, :2] = False
    whole = backbone(embeddings, mask, None, None, slots)
    parts = [backbone(embeddings[:, :3], mask[:, :3], cache)]
    parts.append(backbone(embeddings[:, 3:6], mask[:, :6], cache, None, slots[:, :6]))
    parts.append(backbone(embeddings[:, 6:], mask, cache))
    assert_close(torch.cat(parts, 1)[mask], whole[mask])


def test_every_attention_does_the_same(backbone, monkeypatch):
    embeddings, mask = sequence(backbone, rows=2), THERE.repeat(2, 1)
    mask[1, :2] = False
    config, outputs = backbone.language_model.config, {}
    for name in ("eager", "sdpa", "blip3o"):
        monkeypatch.setattr(config, "_attn_implementation", name)
        outputs[name] = backbone(embeddings, mask, None, None, SLOT.repeat(2, 1))[mask]
    monkeypatch.setattr(attention, "FUSED_FROM", 1)
    outputs["fused"] = backbone(embeddings, mask, None, None, SLOT.repeat(2, 1))[mask]
    for name in ("sdpa", "blip3o", "fused"):
        assert_close(outputs[name], outputs["eager"])


def test_a_causal_call_hands_no_mask_of_pairs_on(backbone, monkeypatch):
    masks = []
    attention_of = backbone.language_model.layers[0].self_attn
    attention_of.register_forward_pre_hook(lambda _, __, given: masks.append(given["attention_mask"]), with_kwargs=True)
    backbone(sequence(backbone), THERE)
    backbone(sequence(backbone), THERE, None, None, SLOT)
    assert masks[0] is None
    assert masks[1].shape == (1, 1, 8, 8)
