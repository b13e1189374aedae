"""Reading for language models without a vision tower of their own: SigLIP or SigLIP 2, and a projector into the words.

Source: SigLIP, arXiv 2303.15343; the two-layer projector, LLaVA-1.5, arXiv 2310.03744, section 3.3.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SiglipVisionModel

from blip3o.model.layers.siglip import SiglipConfig


class SiglipTower(SiglipVisionModel):
    """The tower, its parameters under the library's names."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__(config.published())

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
        return self.projector(self.tower(pixels.to(self.tower.dtype)).last_hidden_state).flatten(0, 1)
