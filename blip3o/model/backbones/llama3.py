"""The Llama 3 backbone (arXiv 2407.21783), from `transformers`, which reads pictures by SigLIP."""

from dataclasses import dataclass
from typing import Literal

from blip3o.model.backbones.backbone import SiglipBackbone, TextConfig
from blip3o.model.layers.siglip import SiglipConfig


@dataclass(frozen=True, kw_only=True)
class Llama3Config:
    """Both parts."""

    kind: Literal["llama3"] = "llama3"
    text: TextConfig
    vision: SiglipConfig


class Llama3(SiglipBackbone):
    """Llama 3, 3.1 or 3.2, by its sizes."""

    def __init__(self, config: Llama3Config) -> None:
        from transformers import LlamaConfig, LlamaModel

        language_model = LlamaModel(LlamaConfig(**config.text.published()))
        super().__init__(language_model, config.vision, tied=config.text.tie_word_embeddings)
        self.config = config
