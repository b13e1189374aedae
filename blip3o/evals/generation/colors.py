"""GenEval's colour classifier: which of ten colours CLIP (Radford and others, arXiv 2103.00020) sees in an object.

Zero-shot, as https://github.com/djghosh13/geneval does it: a colour is the mean of the features of three sentences that
name it, and an object has the colour whose feature stands nearest to its picture's.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from blip3o.errors import DataError
from blip3o.evals.distributions.encoders import CLIP
from blip3o.evals.generation.geneval import COLORS, color_prompts

REPOSITORY = "openai/clip-vit-large-patch14"
"""OpenAI's own weights, with the quick GELU that they were trained with."""
BATCH = 16


def prepared(picture: Image.Image, side: int) -> Float[Tensor, "3 side side"]:
    """The square in the middle of a picture whose shorter side is scaled to `side` px (bicubic), normalised for CLIP.

    Raises DataError for a picture without area.
    """
    width, height = picture.size
    if not width or not height:
        raise DataError(f"an object whose colour is asked for is {width} x {height} px: expected a box with an area")
    return CLIP.prepared([picture], side)[0]


class ColorClassifier:
    """Tells the colour of cropped objects. `model` is a repository of the Hub or a folder; about 1.7 GB.

    Half precision on a GPU, as the official code has it.
    """

    def __init__(self, model: str = REPOSITORY, device: str | torch.device = "cpu") -> None:
        from transformers import CLIPModel, CLIPTokenizer

        network: Any = CLIPModel.from_pretrained(model)
        self._network, self._device = network.eval().to(device), torch.device(device)
        self._tokenizer: Any = CLIPTokenizer.from_pretrained(model)
        self._side = network.config.vision_config.image_size
        self._colors_of = lru_cache(maxsize=None)(self._features_of_colors)

    def classify(self, kind: str, crops: Sequence[Image.Image]) -> list[str]:
        """One colour for each crop of an object of this class."""
        colors = self._colors_of(kind)
        found: list[str] = []
        for start in range(0, len(crops), BATCH):
            pixels = torch.stack([prepared(one, self._side) for one in crops[start : start + BATCH]])
            likeness = self._features_of_pictures(pixels).float() @ colors.T
            found += [COLORS[index] for index in likeness.argmax(dim=1).tolist()]
        return found

    def _features_of_colors(self, kind: str) -> Float[Tensor, "color dim"]:
        sentences = [template.format(c=color) for color in COLORS for template in color_prompts(kind)]
        features = self._features_of_words(sentences).float().unflatten(0, (len(COLORS), -1))
        return functional.normalize(features.mean(dim=1), dim=-1)

    @torch.inference_mode()
    def _features_of_words(self, sentences: Sequence[str]) -> Float[Tensor, "sentence dim"]:
        tokens = self._tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt").to(self._device)
        with self._precision():
            pooled = self._network.text_model(**tokens).pooler_output
            return functional.normalize(self._network.text_projection(pooled), dim=-1)

    @torch.inference_mode()
    def _features_of_pictures(self, pixels: Float[Tensor, "crop 3 side side"]) -> Float[Tensor, "crop dim"]:
        with self._precision():
            pooled = self._network.vision_model(pixel_values=pixels.to(self._device)).pooler_output
            return functional.normalize(self._network.visual_projection(pooled), dim=-1)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")
