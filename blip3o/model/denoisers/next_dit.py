"""Next-DiT with cross-attention: the diffusion transformer that makes image features from a condition.

The network of the published BLIP3-o (arXiv 2505.09568, section 4.1; after Lumina-Next, arXiv 2406.18583), tensor for
tensor: sandwich normalisation, a scale but no shift from the time, self- and cross-attention that share their query's
input and their output projection, a tanh gate per head on what is read from the condition.

The published network counts sigma = 1 - t from data to noise and predicts noise - data; both turn here, nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.model.layers.attention import attend
from blip3o.model.layers.denoiser import Condition
from blip3o.model.layers.norm import RMSNorm
from blip3o.model.layers.rope import Angles, grid_angles
from blip3o.model.layers.time_embedding import TimeEmbedding

WAVES = 256
"""Cosines and sines of a time."""


@dataclass(frozen=True, kw_only=True)
class NextDiTConfig:
    """Sizes of the network; those of the published one in brackets."""

    kind: Literal["next_dit"] = "next_dit"
    channels: int
    """Channels of the features it denoises [1792]."""
    side: int
    """Rows and columns of the feature grid [8]."""
    condition_width: int
    """Width of the backbone's hidden states [3584 or 2048]."""
    width: int
    """Width of the tokens [1792]."""
    depth: int
    """Number of blocks [24]."""
    num_heads: int
    """Heads of both attentions [28]."""
    mlp_multiple: int = 256
    """The inner width of the MLP, 8/3 of `width`, is rounded up to a multiple of this."""
    with_reference: bool = False
    """Whether a reference image's features enter beside the noised ones [no]."""

    def __post_init__(self) -> None:
        check(*sizes(self))
        whole = 4 * self.num_heads
        check(
            (
                self.width % whole == 0,
                f"width {self.width} does not split into {self.num_heads} heads of a multiple of 4 channels: "
                f"choose a multiple of {whole}",
            )
        )

    @property
    def embedding_width(self) -> int:
        return min(self.width, 1024)

    @property
    def mlp_width(self) -> int:
        inner = int(2 * 4 * self.width / 3)
        return -(-inner // self.mlp_multiple) * self.mlp_multiple


class NextDiTAttention(nn.Module):
    """The self-attention or the cross-attention half of a block, without its output projection, which both share."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.norm_q = nn.LayerNorm(width, eps=1e-5)
        self.norm_k = nn.LayerNorm(width, eps=1e-5)

    def heads(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch head seq head_dim"]:
        """Split the channels into heads."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def key(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch head seq head_dim"]:
        """The normalised keys, not rotated."""
        return self.heads(self.norm_k(self.to_k(x)))

    def value(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch head seq head_dim"]:
        """The values."""
        return self.heads(self.to_v(x))

    def forward(
        self,
        x: Float[Tensor, "batch seq dim"],
        key: Float[Tensor, "batch head key head_dim"],
        value: Float[Tensor, "batch head key head_dim"],
        angles: Angles,
    ) -> Float[Tensor, "batch head seq head_dim"]:
        """What the rotated, normalised queries of `x` read."""
        return attend(angles.turn(self.heads(self.norm_q(self.to_q(x)))), key, value)


class FeedForward(nn.Module):
    """SwiGLU: linear_2(silu(linear_1 x) * linear_3 x)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, inner, bias=False)
        self.linear_2 = nn.Linear(inner, width, bias=False)
        self.linear_3 = nn.Linear(width, inner, bias=False)

    def forward(self, x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch seq dim"]:
        return self.linear_2(F.silu(self.linear_1(x)) * self.linear_3(x))


class NextDiTBlock(nn.Module):
    """One block: attend to the image and to the condition, then the MLP; both gated by the time."""

    def __init__(self, config: NextDiTConfig) -> None:
        super().__init__()
        width = config.width
        self.gate = nn.Parameter(torch.zeros(config.num_heads))
        self.attn1 = NextDiTAttention(width, config.num_heads)
        self.attn2 = NextDiTAttention(width, config.num_heads)
        self.to_out = nn.Linear(width, width, bias=False)
        self.feed_forward = FeedForward(width, config.mlp_width)
        self.modulation = nn.Linear(config.embedding_width, 4 * width)
        self.norm1 = RMSNorm(width, eps=1e-5)
        self.norm1_context = RMSNorm(width, eps=1e-5)
        self.norm2 = RMSNorm(width, eps=1e-5)
        self.ffn_norm1 = RMSNorm(width, eps=1e-5)
        self.ffn_norm2 = RMSNorm(width, eps=1e-5)

    def forward(
        self,
        x: Float[Tensor, "batch seq dim"],
        embedded: Float[Tensor, "batch condition"],
        key: Float[Tensor, "batch head slot head_dim"],
        value: Float[Tensor, "batch head slot head_dim"],
        angles: Angles,
    ) -> Float[Tensor, "batch seq dim"]:
        """`embedded` is the time and the pooled condition; `key` and `value` the block's own projections
        of the condition (`NextDiT.condition`)."""
        scale_msa, gate_msa, scale_mlp, gate_mlp = self.modulation(embedded)[:, None].chunk(4, dim=-1)
        h = self.norm1(x) * (1 + scale_msa)
        seen = self.attn1(h, angles.turn(self.attn1.key(h)), self.attn1.value(h), angles)
        read = self.attn2(h, key, value, angles)
        both = seen + read * self.gate.tanh().view(-1, 1, 1).to(read.dtype)
        x = x + gate_msa.tanh() * self.norm2(self.to_out(both.transpose(1, 2).flatten(2)))
        h = self.ffn_norm1(x) * (1 + scale_mlp)
        return x + gate_mlp.tanh() * self.ffn_norm2(self.feed_forward(h))


class NextDiT(nn.Module):
    """Noised features, a time and a condition -> the velocity towards the data."""

    def __init__(self, config: NextDiTConfig) -> None:
        super().__init__()
        self.config = config
        width, condition = config.width, config.embedding_width
        self.patch_embedder = nn.Linear(config.channels, width)
        self.reference_embedder = nn.Linear(config.channels, width) if config.with_reference else None
        self.caption_projection = nn.Sequential(
            nn.Linear(config.condition_width, width), nn.GELU(approximate="tanh"), nn.Linear(width, width)
        )
        self.time_embedding = TimeEmbedding(WAVES, condition)
        self.pooled_embedding = nn.Sequential(nn.LayerNorm(width, eps=1e-5), nn.Linear(width, condition))
        self.layers = cast("Sequence[NextDiTBlock]", nn.ModuleList(NextDiTBlock(config) for _ in range(config.depth)))
        self.final_modulation = nn.Linear(condition, width)
        self.final_norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.final = nn.Linear(width, config.channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start every block as the identity and the output at zero, which trains faster than the published start."""
        for block in self.layers:
            nn.init.zeros_(block.modulation.weight)
            nn.init.zeros_(block.modulation.bias)
            nn.init.constant_(block.modulation.bias[block.norm1.weight.numel() :][: block.norm1.weight.numel()], 0.1)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)

    def condition(self, hidden: Float[Tensor, "batch slot hidden"]) -> Condition:
        """Project the hidden states once: their mean for the modulation, their keys and values for every block."""
        context = self.caption_projection(hidden)
        contexts = [block.norm1_context(context) for block in self.layers]
        return Condition(
            pooled=self.pooled_embedding(context.mean(dim=1)),
            keys=[block.attn2.key(context) for block, context in zip(self.layers, contexts, strict=True)],
            values=[block.attn2.value(context) for block, context in zip(self.layers, contexts, strict=True)],
            angles=self.angles(hidden.device),
        )

    @property
    def apart(self) -> Sequence[Sequence[nn.Module]]:
        """For each block, its layers that `condition` runs outside of it."""
        return [(block.norm1_context, block.attn2.to_k, block.attn2.norm_k, block.attn2.to_v) for block in self.layers]

    def angles(self, device: torch.device) -> Angles:
        """The rotary angles of the feature grid, computed on the host, for which a GPU waits."""
        side, head_dim = self.config.side, self.config.width // self.config.num_heads
        angles = grid_angles(side, side, head_dim).to(device)
        return Angles(cos=angles.cos(), sin=angles.sin())

    def forward(
        self,
        x: Float[Tensor, "batch channel height width"],
        time: Float[Tensor, " batch"],
        condition: Condition | Float[Tensor, "conditions slot hidden"],
        reference: Float[Tensor, "batch channel height width"] | None = None,
        referenced: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """Velocity of `x` at `time` (0 noise, 1 data); `reference` enters the rows that are `referenced`."""
        if isinstance(condition, Tensor):
            condition = self.condition(condition).repeat(len(x) // len(condition))
        height, width = x.shape[-2:]
        tokens = self.patch_embedder(x.flatten(2).mT)
        if self.reference_embedder is not None and reference is not None and referenced is not None:
            embeddings = self.reference_embedder(reference.flatten(2).mT.to(tokens.dtype))
            tokens = tokens + embeddings * referenced.view(-1, 1, 1)
        embedded = F.silu(self.time_embedding(1000 * (1 - time.float())) + condition.pooled)
        for block, key, value in zip(self.layers, condition.keys, condition.values, strict=True):
            tokens = block(tokens, embedded, key, value, condition.angles)
        tokens = self.final_norm(tokens) * (1 + self.final_modulation(embedded)[:, None])
        return -self.final(tokens).mT.unflatten(-1, (height, width))
