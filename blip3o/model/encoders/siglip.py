"""SigLIP or SigLIP 2 as the target encoder: the tokens before its last block, averaged to a small grid or not.

Source: SigLIP 2, arXiv 2502.14786; the block before the last and the pooling are those of BLIP3o/SigLIP2_SANA.
"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.layers.siglip import SiglipConfig


@dataclass(frozen=True, kw_only=True)
class SiglipEncoderConfig:
    """The tower, and the grid its tokens are averaged to."""

    kind: Literal["siglip"] = "siglip"
    tower: SiglipConfig
    side: int
    """Rows and columns of the features: those of its patches, or fewer."""

    def __post_init__(self) -> None:
        check(*sizes(self), (self.side <= self.tower.rows, f"side is {self.side}, more than {self.tower.rows} patches"))

    @property
    def size(self) -> int:
        """Height and width of the picture in px."""
        return self.tower.image_size

    @property
    def channels(self) -> int:
        """Width of the tokens."""
        return self.tower.hidden_size


class SiglipEncoder(Encoder):
    """The tower and its pooling."""

    blank = (0.0, 0.0, 0.0)

    def __init__(self, config: SiglipEncoderConfig) -> None:
        from blip3o.model.layers.siglip_tower import SiglipTower

        super().__init__()
        self.config = config
        self.tower = SiglipTower(config.tower)

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        tokens = self.tower(pixels.to(self.tower.dtype), output_hidden_states=True).hidden_states[-2]
        rows = self.config.tower.rows
        return F.adaptive_avg_pool2d(tokens.mT.unflatten(-1, (rows, rows)), self.config.side)
