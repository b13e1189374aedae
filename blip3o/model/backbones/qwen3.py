"""The Qwen3 backbone (arXiv 2505.09388), from `transformers`, which reads pictures by SigLIP."""

from dataclasses import dataclass
from typing import Literal

from blip3o.model.backbones.backbone import SiglipBackbone, TextConfig
from blip3o.model.layers.siglip import SiglipConfig


@dataclass(frozen=True, kw_only=True)
class Qwen3Config:
    """Both parts."""

    kind: Literal["qwen3"] = "qwen3"
    text: TextConfig
    vision: SiglipConfig


class Qwen3(SiglipBackbone):
    """Qwen3, by its sizes."""

    def __init__(self, config: Qwen3Config) -> None:
        from transformers import Qwen3Config as PublishedConfig
        from transformers import Qwen3Model

        language_model = Qwen3Model(PublishedConfig(**config.text.published()))
        super().__init__(language_model, config.vision, tied=config.text.tie_word_embeddings)
        self.config = config
