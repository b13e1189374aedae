"""Language models of `transformers` that read pictures by SigLIP: Llama 3 (arXiv 2407.21783), Qwen3 (2505.09388)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxtyping import Float, Int
from torch import Tensor

from blip3o.model.backbones.backbone import Backbone, TextConfig
from blip3o.model.layers.siglip import SiglipConfig

if TYPE_CHECKING:
    from blip3o.model.layers.siglip_tower import SiglipReader
else:  # configs are read without the library, which is opened when a network is built
    SiglipReader = object


@dataclass(frozen=True, kw_only=True)
class TextBackboneConfig:
    """Both parts; Llama 3 is 3, 3.1 or 3.2, by its sizes."""

    kind: Literal["llama3", "qwen3"] = "llama3"
    text: TextConfig
    vision: SiglipConfig
    image_experts: bool = False
    """Whether the slots of images have copies of every layer's weights of their own."""


class TextBackbone(Backbone):
    """A language model that reads by SigLIP."""

    visual: SiglipReader

    def __init__(self, config: TextBackboneConfig) -> None:
        from transformers import LlamaConfig, LlamaModel, Qwen3Config, Qwen3Model

        from blip3o.model.layers.siglip_tower import SiglipReader

        super().__init__()
        kinds = {"llama3": (LlamaModel, LlamaConfig), "qwen3": (Qwen3Model, Qwen3Config)}
        network, published = kinds[config.kind]
        words, *experts = (network(published(**config.text.published())) for _ in range(1 + config.image_experts))
        self.take(words, *experts, tied=config.text.tie_word_embeddings)
        self.visual = SiglipReader(config.vision, self.width)
        self.config = config

    def encode_images(
        self, pixel_values: Float[Tensor, "patch dim"], image_grid_thw: Int[Tensor, "picture 3"]
    ) -> Float[Tensor, "seen hidden"]:
        """Embeddings of images of the tower's own size: one for each patch."""
        return self.visual(pixel_values, len(image_grid_thw))

    def restore_buffers(self) -> None:
        """Compute the rotary frequencies and the patches' numbers, which no file holds."""
        kind, config = type(self.language_model.rotary_emb), self.language_model.config
        for network in self.networks:
            network.rotary_emb = kind(config)  # pyright: ignore[reportCallIssue]
        self.visual.tower.restore_buffers()
