"""Reading for language models without a vision tower of their own: SigLIP or SigLIP 2, and a projector into the words.

Source: SigLIP, arXiv 2303.15343; the two-layer projector, LLaVA-1.5, arXiv 2310.03744, section 3.3.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SiglipVisionConfig, SiglipVisionModel

from blip3o.config import check, sizes


@dataclass(frozen=True, kw_only=True)
class SiglipConfig:
    """Sizes of the tower, under the names of its config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    spatial_merge_size: ClassVar[int] = 1
    temporal_patch_size: ClassVar[int] = 1
    """It merges no patches and sees single pictures."""

    def __post_init__(self) -> None:
        width, heads = self.hidden_size, self.num_attention_heads
        check(
            *sizes(self),
            (heads < 1 or width % heads == 0, f"hidden_size {width} does not split into {heads} heads"),
            (
                self.image_size >= self.patch_size,
                f"image_size {self.image_size} is less than patch_size {self.patch_size}",
            ),
        )

    @property
    def rows(self) -> int:
        """Patches along the picture's side."""
        return self.image_size // self.patch_size

    def published(self) -> SiglipVisionConfig:
        """The same as the config class of `transformers`."""
        return SiglipVisionConfig(
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            image_size=self.image_size,
            patch_size=self.patch_size,
            vision_use_head=False,
        )


class SiglipTower(SiglipVisionModel):
    """The tower, its parameters under the library's names."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__(config.published())

    def last(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patch dim"]:
        """The normalised tokens of the last block, of pictures in [-1, 1]."""
        return self(pixels.to(self.dtype)).last_hidden_state

    def before_last(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patch dim"]:
        """The tokens that enter the last block."""
        return self(pixels.to(self.dtype), output_hidden_states=True).hidden_states[-2]

    def restore_buffers(self) -> None:
        """Number the patches, which no file does."""
        numbers = torch.arange(self.embeddings.num_positions)[None]
        self.embeddings.register_buffer("position_ids", numbers, persistent=False)


class SiglipReader(nn.Module):
    """A tower and a projector: a token for every patch, in the words' width."""

    def __init__(self, config: SiglipConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.tower = SiglipTower(config)
        self.projector = nn.Sequential(nn.Linear(config.hidden_size, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, patches: Float[Tensor, "patch dim"], pictures: int) -> Float[Tensor, "patch hidden"]:
        """Tokens of pictures of the tower's own size, given as patches."""
        side, size = self.config.rows, self.config.patch_size
        folded = patches.view(pictures, side * side, -1).mT
        pixels = F.fold(folded, (side * size, side * size), size, stride=size)
        return self.projector(self.tower.last(pixels)).flatten(0, 1)
