"""EVA-02-CLIP-E/14-plus at 448 px: the encoder whose features the published BLIP3-o generates.

A post-norm transformer: every block adds the normalised output of its attention, then that of its MLP; nothing is
normalised after the last one. Its patch tokens, averaged in squares, are the features. Parameters bear the names of
the published file (`jiuhai/eva_clip_vision_tower`).

Source: EVA-CLIP, arXiv 2303.15389; the pooling and the choice of the last block: BLIP3-o, arXiv 2505.09568.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.layers.attention import attend

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, red, green and blue in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class EvaClipConfig:
    """Sizes of the tower; those of the published one in brackets."""

    kind: Literal["eva_clip"] = "eva_clip"
    size: int
    """Height and width of the picture in px [448]."""
    patch_size: int
    """Height and width of a patch in px [14]."""
    channels: int
    """Width of the tokens [1792]."""
    depth: int
    """Number of blocks [64]."""
    num_heads: int
    """[16]"""
    mlp_width: int
    """[15360]"""
    pool: int
    """Patches along the side of the squares that are averaged [4]."""

    def __post_init__(self) -> None:
        check(*sizes(self))
        check(
            (
                self.size % (self.patch_size * self.pool) == 0,
                f"size {self.size} is no multiple of {self.patch_size} px patches in squares of {self.pool}",
            ),
            (
                self.channels % self.num_heads == 0,
                f"channels {self.channels} do not split into {self.num_heads} heads",
            ),
        )

    @property
    def patches(self) -> int:
        """Patches along the picture's side."""
        return self.size // self.patch_size

    @property
    def side(self) -> int:
        """Rows and columns of the features."""
        return self.patches // self.pool


class EvaAttention(nn.Module):
    """Multi-head attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch seq dim"]:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).movedim(2, 0).transpose(2, 3)
        return self.proj(attend(query, key, value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """fc2(gelu(fc1 x)), the exact GELU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch seq dim"]:
        return self.fc2(F.gelu(self.fc1(x)))


class EvaBlock(nn.Module):
    """x + norm1(attn(x)), then x + norm2(mlp(x))."""

    def __init__(self, config: EvaClipConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.channels, eps=1e-6)
        self.attn = EvaAttention(config.channels, config.num_heads)
        self.norm2 = nn.LayerNorm(config.channels, eps=1e-6)
        self.mlp = Mlp(config.channels, config.mlp_width)

    def forward(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch seq dim"]:
        x = x + self.norm1(self.attn(x))
        return x + self.norm2(self.mlp(x))


class PatchEmbedding(nn.Module):
    """A vector for every patch, row by row."""

    def __init__(self, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_size, patch_size)

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patch dim"]:
        return self.proj(pixels).flatten(2).mT


class EvaClip(Encoder):
    """The tower and its pooling."""

    blank = MEAN

    def __init__(self, config: EvaClipConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.patch_embed = PatchEmbedding(width, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.patches**2 + 1, width))
        self.blocks = cast("Sequence[EvaBlock]", nn.ModuleList(EvaBlock(config) for _ in range(config.depth)))

    def tokens(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patch dim"]:
        """Every patch's token after the last block, of pictures normalised by `MEAN` and `DEVIATION`."""
        x = self.patch_embed(pixels)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return x[:, 1:]

    def pooled(self, tokens: Float[Tensor, "batch patch dim"]) -> Float[Tensor, "batch channel rows columns"]:
        """The means of squares of tokens."""
        return F.avg_pool2d(tokens.mT.unflatten(-1, (self.config.patches, -1)), self.config.pool)

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        mean, deviation = (pixels.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        normalised = ((pixels + 1) / 2 - mean) / deviation
        return self.pooled(self.tokens(normalised.to(self.pos_embed.dtype)))
