"""GenEval's detector without mmdet: Mask2Former (Cheng and others, arXiv 2112.01527) as transformers loads it.

The weights are Meta's (Swin-S, COCO instances), the nearest public ones to mmdet's own training that GenEval names, so
scores stand close to the official ones but are not theirs. What is made of the network's output is mmdet's rule
(`instance_postprocess` of https://github.com/open-mmlab/mmdetection), and so is what it is shown.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor
from torch.nn import functional

from blip3o.errors import CheckpointError
from blip3o.evals.generation.detections import Detections, opened
from blip3o.evals.generation.geneval import CLASSES

REPOSITORY = "facebook/mask2former-swin-small-coco-instance"
SHORT_SIDE, LONG_SIDE = 800, 1333
"""In px: a picture is scaled to the largest size whose sides exceed neither."""
MULTIPLE = 32
"""Sides are padded to a multiple of it, right and below."""
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
MAX_INSTANCES = 100

Size = tuple[int, int]
"""(height, width) in px."""


class Instances(NamedTuple):
    """What was found in a picture, most certain first; boxes are (x0, y0, x1, y1) in px, zeros for an empty mask."""

    scores: Float[Tensor, " instance"]
    labels: Int[Tensor, " instance"]
    boxes: Float[Tensor, "instance 4"]
    masks: Bool[Tensor, "instance height width"]


def instances(
    class_logits: Float[Tensor, "query labels"],
    mask_logits: Float[Tensor, "query rows columns"],
    padded: Size,
    shown: Size,
    original: Size,
    limit: int = MAX_INSTANCES,
) -> Instances:
    """From the network's output on one picture to its instances; the last of the labels is "nothing".

    `padded` is the size of the network's input, `shown` the part of it that the picture fills, `original` the picture's
    own. One query may give several instances, one for each label. A score is the probability of the label, times the
    mean probability of the mask's own pixels.
    """
    certainty = class_logits.softmax(dim=-1)[:, :-1]
    chosen = certainty.flatten().topk(min(limit, certainty.numel()))
    query, labels = chosen.indices // certainty.shape[1], chosen.indices % certainty.shape[1]
    logits = _resized(_resized(mask_logits, padded)[:, : shown[0], : shown[1]], original)
    masks = logits > 0
    inside = (logits.sigmoid() * masks).flatten(1).sum(1) / (masks.flatten(1).sum(1) + 1e-6)
    scores, order = (chosen.values * inside[query]).sort(descending=True, stable=True)
    return Instances(scores, labels[order], _boxes(masks)[query[order]], masks[query[order]])


def _resized(logits: Float[Tensor, "query rows columns"], size: Size) -> Float[Tensor, "query height width"]:
    return functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]


def _boxes(masks: Bool[Tensor, "query height width"]) -> Float[Tensor, "query 4"]:
    """The smallest box around each mask, its far sides one pixel beyond the last."""
    x0, x1 = _extent(masks.any(dim=1))
    y0, y1 = _extent(masks.any(dim=2))
    return torch.stack((x0, y0, x1, y1), dim=1).float()


def _extent(taken: Bool[Tensor, "query side"]) -> tuple[Int[Tensor, " query"], Int[Tensor, " query"]]:
    places = torch.arange(taken.shape[1], device=taken.device)
    first = torch.where(taken, places, taken.shape[1]).amin(dim=1)
    last = torch.where(taken, places, -1).amax(dim=1)
    some = taken.any(dim=1)
    return first * some, (last + 1) * some


def prepared(picture: Image.Image) -> tuple[Float[Tensor, "1 3 height width"], Size]:
    """The network's input of a picture, and the size of the part that the picture fills.

    Scaled as OpenCV does: bilinear without smoothing beforehand, to whole values 0..255.
    """
    pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float()[None]
    height, width = pixels.shape[2:]
    scale = min(LONG_SIDE / max(height, width), SHORT_SIDE / min(height, width))
    size = (int(height * scale + 0.5), int(width * scale + 0.5))
    pixels = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=False)
    mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    pixels = (pixels.round().clamp(0, 255) - mean) / deviation
    return functional.pad(pixels, (0, -size[1] % MULTIPLE, 0, -size[0] % MULTIPLE)), size


class Mask2Former:
    """Finds GenEval's 80 classes in pictures.

    `model` is a repository of the Hub or a folder; about 280 MB. Raises CheckpointError for a network of other classes,
    and where scipy is missing, without which transformers does not build the network.
    """

    def __init__(self, model: str = REPOSITORY, device: str | torch.device = "cpu") -> None:
        from transformers import Mask2FormerForUniversalSegmentation

        try:
            network: Any = Mask2FormerForUniversalSegmentation.from_pretrained(model)
        except ImportError as error:
            raise CheckpointError(f"{model} needs scipy to be loaded: pip install scipy") from error
        if network.config.num_labels != len(CLASSES):
            raise CheckpointError(
                f"{model} knows {network.config.num_labels} classes but GenEval names {len(CLASSES)}: "
                f"take {REPOSITORY} or another one of COCO's instances"
            )
        self._network, self._device = network.eval().to(device), torch.device(device)

    @torch.inference_mode()
    def see(self, path: Path) -> Detections:
        """Boxes as float32, and masks; colours are not told, and classes of which there is nothing are left out."""
        picture = opened(path)
        pixels, shown = prepared(picture)
        output = self._network(pixel_values=pixels.to(self._device))
        padded = (pixels.shape[2], pixels.shape[3])
        found = instances(
            output.class_queries_logits[0].float(),
            output.masks_queries_logits[0].float(),
            padded,
            shown,
            (picture.height, picture.width),
        )
        boxes = torch.cat((found.boxes, found.scores[:, None]), dim=1).float().cpu().numpy()
        labels, masks = found.labels.cpu().numpy(), found.masks.cpu().numpy()
        rows = {CLASSES[label]: labels == label for label in np.unique(labels)}
        return Detections(
            {kind: boxes[one] for kind, one in rows.items()}, {kind: masks[one] for kind, one in rows.items()}, {}
        )
