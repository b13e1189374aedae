"""CLIPScore: how well a picture goes with its prompt, by the cosine of CLIP's features (Hessel and others 2021,
arXiv 2104.08718).

Two ways are published under this name: the paper's, 2.5 * max(cos, 0) of each picture, then the mean, and that of
torchmetrics, 100 times the mean cosine, 0 at least. They also word the prompt and choose the network differently.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from blip3o.errors import CheckpointError, brief
from blip3o.evals.distributions.encoders import CLIP_PREPARATION, prepared, pretrained


def cosines(
    pictures: Float[np.ndarray, "batch dim"], prompts: Float[np.ndarray, "batch dim"]
) -> Float[np.ndarray, "batch"]:
    """Of each picture's features with those of its prompt; nan for features that are all 0."""
    lengths = np.linalg.norm(pictures, axis=1) * np.linalg.norm(prompts, axis=1)
    products = (pictures * prompts).sum(axis=1)
    return np.divide(products, lengths, out=np.full(len(products), np.nan, dtype=products.dtype), where=lengths > 0)


def hessel(values: Float[np.ndarray, "batch"]) -> float:
    """The paper's score of cosines, 0 to 2.5."""
    return float(2.5 * np.maximum(values, 0).mean())


def torchmetrics(values: Float[np.ndarray, "batch"]) -> float:
    """The score of torchmetrics, 0 to 100: what is below 0 is cut after the mean."""
    return float(max(100 * values.mean(), 0.0))


@dataclass(frozen=True, kw_only=True)
class ClipScoreVariant:
    """How a score of this name is made."""

    source: str
    """The network on the Hub."""
    prefix: str
    """What stands before a prompt."""
    score: Callable[[Float[np.ndarray, "batch"]], float]


WAYS: Mapping[str, ClipScoreVariant] = {
    "hessel": ClipScoreVariant(source="openai/clip-vit-base-patch32", prefix="A photo depicts ", score=hessel),
    "torchmetrics": ClipScoreVariant(source="openai/clip-vit-large-patch14", prefix="", score=torchmetrics),
}


class ClipScorer:
    """CLIP with its tokenizer, from the Hub or a folder."""

    def __init__(self, way: str = "hessel", source: str | None = None, device: str = "cpu") -> None:
        from transformers import AutoTokenizer

        self.way, self.device = WAYS[way], device
        name = source or self.way.source
        self.model = pretrained(name, "clip", device)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{name} has no tokenizer that can be loaded ({brief(error)}): fetch it again"
            ) from error
        if len(self.tokenizer) <= len(self.tokenizer.all_special_ids):  # transformers makes one up without its files
            raise CheckpointError(f"{name} has no tokenizer with words: fetch its vocab.json and merges.txt")
        self.preparation = replace(CLIP_PREPARATION, size=self.model.config.vision_config.image_size)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> Float[np.ndarray, "batch"]:
        """The cosine of each picture with its prompt; a prompt beyond the network's length is cut."""
        words = [self.way.prefix + prompt for prompt in prompts]
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(words, padding=True, truncation=True, max_length=length, return_tensors="pt")
        output = self.model(
            input_ids=tokens["input_ids"].to(self.device),
            attention_mask=tokens["attention_mask"].to(self.device),
            pixel_values=prepared(pictures, self.preparation).to(self.device),
        )
        features = (output.image_embeds.float().cpu().numpy(), output.text_embeds.float().cpu().numpy())
        return cosines(*features)
