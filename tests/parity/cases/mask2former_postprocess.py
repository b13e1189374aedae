"""mask2former_postprocess.json."""

import pytest
import torch

from blip3o.evals.generation.mask2former import instances


def postprocess(case):
    found = instances(
        torch.tensor(case["class_queries_logits"]),
        torch.tensor(case["masks_queries_logits"]),
        tuple(case["batch_input_shape"]),
        tuple(case["img_shape"]),
        tuple(case["ori_shape"]),
        case["max_per_image"],
    )
    seen = [
        {"score": score, "label": label, "box": box, "area": area}
        for score, label, box, area in zip(
            found.scores.tolist(),
            found.labels.tolist(),
            found.boxes.tolist(),
            found.masks.flatten(1).sum(1).tolist(),
            strict=True,
        )
    ]
    assert [one["score"] for one in seen] == sorted((one["score"] for one in seen), reverse=True)
    for one, expected in zip(sorted(seen, key=place), sorted(case["expected"], key=place), strict=True):
        assert (one["label"], one["area"]) == (expected["label"], expected["area"])
        assert one["box"] == pytest.approx(expected["box"], abs=1e-6)
        assert one["score"] == pytest.approx(expected["score"], abs=case.get("tolerance", 1e-5))


def place(one):
    """An order that equal scores do not change."""
    return one["label"], one["area"], one["box"], one["score"]


GROUPS = {"postprocess": postprocess}
DEVIATIONS = {}
UNCOMPARED = {}
