"""Mask2Former as GenEval's detector: what it is shown, and what is made of what it says."""

from typing import Any

import pytest
import torch
from PIL import Image

from blip3o.errors import CheckpointError
from blip3o.evals.generation import geneval
from blip3o.evals.generation.mask2former import Mask2Former, instances, prepared


def saved(folder, num_labels=80):
    """A random network, small enough for a test."""
    pytest.importorskip("scipy")
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone: dict[str, Any] = {
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 1, 1],
        "window_size": 4,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }
    small: dict[str, Any] = dict.fromkeys(
        ("feature_size", "mask_feature_size", "hidden_dim", "encoder_feedforward_dim", "dim_feedforward"), 32
    )
    layers: dict[str, Any] = {
        "encoder_layers": 1,
        "decoder_layers": 2,
        "num_attention_heads": 2,
        "num_queries": 5,
        "num_labels": num_labels,
    }
    torch.manual_seed(0)
    config = Mask2FormerConfig(backbone_config=SwinConfig(**backbone), **small, **layers)
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    return str(folder)


def test_boxes_and_masks_are_of_the_pictures_own_size(tmp_path, monkeypatch):
    monkeypatch.setattr("blip3o.evals.generation.mask2former.SHORT_SIDE", 64)
    Image.new("RGB", (50, 40), "red").save(tmp_path / "red.png")
    boxes, masks, _ = Mask2Former(saved(tmp_path)).see(tmp_path / "red.png")
    assert sum(len(one) for one in boxes.values()) == 100
    assert boxes.keys() == masks.keys() <= set(geneval.CLASSES)
    for kind, rows in boxes.items():
        assert masks[kind].shape == (len(rows), 40, 50)
        for box, mask in zip(rows, masks[kind], strict=True):
            x0, y0, x1, y1 = box[:4].astype(int)
            assert mask[y0:y1, x0:x1].sum() == mask.sum()
            assert 0 <= box[4] <= 1


def test_a_network_of_other_classes_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="knows 3 classes but GenEval names 80"):
        Mask2Former(saved(tmp_path, num_labels=3))


@pytest.mark.parametrize(
    ("size", "shown", "padded"),
    [((1024, 1024), (800, 800), (800, 800)), ((640, 480), (800, 1067), (800, 1088)), ((2000, 500), (333, 1333), None)],
)
def test_the_picture_is_scaled_to_800_px_and_padded_to_32(size, shown, padded):
    pixels, filled = prepared(Image.new("RGB", size, "white"))
    assert filled == shown
    assert tuple(pixels.shape[2:]) == (padded or (352, 1344))
    assert (pixels[:, :, shown[0] :] == 0).all()
    assert (pixels[:, :, :, shown[1] :] == 0).all()


def test_scaling_down_does_not_smooth():
    stripes = Image.new("L", (1600, 1600))
    stripes.putdata([255 * (column % 4 < 2) for column in range(1600)] * 1600)
    pixels, _ = prepared(stripes.convert("RGB"))
    white, black = ((255 - 123.675) / 58.395, -123.675 / 58.395)
    assert pixels[0, 0, 5, :4].tolist() == pytest.approx([white, black, white, black], abs=1e-5)


def test_an_empty_mask_has_no_box_and_no_score():
    found = instances(torch.tensor([[3.0, 0.0]]), torch.full((1, 2, 2), -1.0), (8, 8), (8, 8), (5, 4))
    assert found.boxes.tolist() == [[0, 0, 0, 0]]
    assert found.scores.tolist() == [0]
    assert found.masks.shape == (1, 5, 4)
