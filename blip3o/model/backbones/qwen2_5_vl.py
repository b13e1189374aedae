"""The Qwen2.5-VL backbone (arXiv 2502.13923): its language model and its own vision tower, from `transformers`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.model.backbones.backbone import Backbone, possible
from blip3o.model.layers.attention import attend

if TYPE_CHECKING:
    from transformers import Cache, Qwen2_5_VLConfig
else:  # configs are read without the library, which is opened when a network is built
    Cache = Qwen2_5_VLConfig = object


@dataclass(frozen=True, kw_only=True)
class QwenTextConfig:
    """Sizes of the language model, under the names of its config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    mrope_section: tuple[int, ...]
    rope_theta: float
    tie_word_embeddings: bool
    rms_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        heads, width = self.num_attention_heads, self.hidden_size
        turned = 2 * heads * sum(self.mrope_section)
        check(
            *sizes(self),
            *possible(heads, self.num_key_value_heads, self.rope_theta, self.rms_norm_eps),
            (
                turned == width,
                f"{heads} heads with mrope_section {self.mrope_section} make hidden_size {turned}, not {width}",
            ),
            (len(self.mrope_section) == 3, f"mrope_section is {self.mrope_section}, expected three numbers"),
        )


@dataclass(frozen=True, kw_only=True)
class QwenVisionConfig:
    """Sizes of the vision tower, under the names of its config.json."""

    depth: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    patch_size: int
    spatial_merge_size: int
    temporal_patch_size: int
    window_size: int
    fullatt_block_indexes: tuple[int, ...]

    def __post_init__(self) -> None:
        heads, merged = self.num_heads, self.patch_size * self.spatial_merge_size
        check(
            *sizes(self, "fullatt_block_indexes"),
            (
                heads < 1 or self.hidden_size % (4 * heads) == 0,
                f"hidden_size {self.hidden_size} is no multiple of 4 x num_heads {heads}",
            ),
            (
                merged < 1 or self.window_size % merged == 0,
                f"window_size {self.window_size} is no multiple of {merged} px",
            ),
            (
                all(0 <= index < self.depth for index in self.fullatt_block_indexes),
                f"fullatt_block_indexes is {self.fullatt_block_indexes}, expected numbers below depth {self.depth}",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class QwenConfig:
    """Both parts."""

    kind: Literal["qwen2_5_vl"] = "qwen2_5_vl"
    text: QwenTextConfig
    vision: QwenVisionConfig
    reads_by_grid: bool = False
    """Whether answers are written with the tokens of pictures at their rows and columns, as Qwen2.5-VL does."""
    image_experts: bool = False
    """Whether the slots of images have copies of every layer's weights of their own."""

    def published(self) -> Qwen2_5_VLConfig:
        """The same as the config class of `transformers`."""
        from transformers import Qwen2_5_VLConfig

        text, vision = asdict(self.text), asdict(self.vision)
        rope = {"rope_type": "default", "mrope_section": list(text.pop("mrope_section"))}
        rope["rope_theta"] = text.pop("rope_theta")
        text |= {"rope_parameters": rope, "bos_token_id": None, "eos_token_id": None}
        vision |= {"out_hidden_size": self.text.hidden_size, "rope_parameters": None}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision)


def attend_by_picture(
    module: nn.Module,
    query: Float[Tensor, "1 head seq dim"],
    key: Float[Tensor, "1 head seq dim"],
    value: Float[Tensor, "1 head seq dim"],
    attention_mask: object,
    **rest: object,
) -> tuple[Float[Tensor, "1 seq head dim"], None]:
    """Attention of the vision tower: in one call where all windows are equally long, else window by window.

    Takes and gives what an attention function of `transformers` does; the windows' bounds stand in `cu_seq_lens_q`, and
    no mask is used.
    """
    bounds, scale = rest["cu_seq_lens_q"], rest["scaling"]
    assert isinstance(bounds, Tensor)
    assert isinstance(scale, float)
    lengths = bounds.diff().tolist()
    if len(set(lengths)) == 1:
        parts = [x[0].unflatten(1, (len(lengths), -1)).transpose(0, 1) for x in (query, key, value)]
        return attend(*parts, scale=scale).transpose(1, 2).flatten(0, 1)[None], None
    windows = zip(*(x.split(lengths, dim=2) for x in (query, key, value)), strict=True)
    return torch.cat([F.scaled_dot_product_attention(*one, scale=scale) for one in windows], 2).transpose(1, 2), None


BY_PICTURE = "flash_by_picture"
"""The name under which `transformers` knows `attend_by_picture`; it hands window bounds only to names with "flash"."""


class Qwen(Backbone):
    """To draw, positions count the tokens that are not padding, alike on all three rotary axes, as in the published
    training; to write, pictures may have positions of their own (`reads_by_grid`)."""

    def __init__(self, config: QwenConfig) -> None:
        from transformers import AttentionInterface
        from transformers.models.qwen2_5_vl import configuration_qwen2_5_vl as configuration
        from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

        super().__init__()
        published = config.published()
        assert isinstance(published.text_config, configuration.Qwen2_5_VLTextConfig)
        assert isinstance(published.vision_config, configuration.Qwen2_5_VLVisionConfig)
        AttentionInterface.register(BY_PICTURE, attend_by_picture)
        self.config = config
        words, *experts = (modeling.Qwen2_5_VLTextModel(published.text_config) for _ in range(1 + config.image_experts))
        self.take(words, *experts, tied=config.text.tie_word_embeddings)
        self.visual = modeling.Qwen2_5_VisionTransformerPretrainedModel(published.vision_config)
        self.visual.config._attn_implementation = BY_PICTURE  # after building: only then "flash" is not looked for

    def encode_images(
        self, pixel_values: Float[Tensor, "patch dim"], image_grid_thw: Int[Tensor, "picture 3"]
    ) -> Float[Tensor, "seen hidden"]:
        """Embeddings of images: one for each 2 x 2 patches. Where they stand is worked out on the host."""
        from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

        grid, vision, device = image_grid_thw.cpu(), self.config.vision, pixel_values.device
        merge = vision.spatial_merge_size
        window, bounds = get_vision_window_index(grid, merge, vision.window_size, vision.patch_size)
        return self.visual(
            pixel_values,
            grid,
            position_ids=get_vision_position_ids(grid, merge).to(device, non_blocking=True),
            window_index=window.to(device, non_blocking=True),
            cu_window_seqlens=bounds,
        ).pooler_output

    def positions(
        self,
        mask: Bool[Tensor, "batch seq"],
        image_mask: Bool[Tensor, "batch seq"],
        image_grid_thw: Int[Tensor, "picture 3"] | None,
    ) -> Int[Tensor, "axis batch seq"] | None:
        """Frame, row and column of every token: a word stands at the next number on all axes, a picture's token at its
        row and column counted from there (arXiv 2409.12191, section 2.1). None where `forward` is to count."""
        if image_grid_thw is None or not self.config.reads_by_grid:
            return None
        merge, grids = self.config.vision.spatial_merge_size, iter(image_grid_thw.tolist())
        positions = torch.zeros(3, *mask.shape, dtype=torch.long, device=mask.device)
        for row, (there, seen) in enumerate(zip(mask, image_mask, strict=True)):
            after, runs = 0, []
            for is_image, length in _runs(seen[there].tolist()):
                if is_image:
                    runs += _in_grids(grids, length, merge, after)
                    after = int(runs[-1].max()) + 1
                else:
                    runs.append(torch.arange(after, after + length).expand(3, -1))
                    after += length
            positions[:, row, there] = torch.cat(runs, 1).to(mask.device)
        return positions

    def restore_buffers(self) -> None:
        """Compute the rotary frequencies, which no file holds: after the networks were built on the meta device."""
        from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

        text, vision = self.language_model.config, self.visual.config
        for network in self.networks:
            network.rotary_emb = modeling.Qwen2_5_VLRotaryEmbedding(text)  # pyright: ignore[reportArgumentType]
        self.visual.rotary_pos_emb = modeling.Qwen2_5_VLVisionRotaryEmbedding(vision)


def _runs(flags: list[bool]) -> list[tuple[bool, int]]:
    """Equal flags that follow each other, and how many."""
    return [(flag, len(list(run))) for flag, run in groupby(flags)]


def _in_grids(grids: Iterator[list[int]], length: int, merge: int, after: int) -> list[Int[Tensor, "3 seen"]]:
    """The positions of pictures that stand side by side, `length` tokens in all, counted from `after`."""
    positions: list[Tensor] = []
    while length > 0:
        frames, rows, columns = (size // share for size, share in zip(next(grids), (1, merge, merge), strict=True))
        positions.append(torch.cartesian_prod(*map(torch.arange, (frames, rows, columns))).T + after)
        length -= positions[-1].shape[1]
        after = int(positions[-1].max()) + 1
    return positions
