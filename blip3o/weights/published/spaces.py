"""The published target encoders and decoders in their files: EVA-CLIP, SDXL's decoder, SigLIP 2 with SANA.

SigLIP2_SANA is one folder that holds both: `encoder.`, `transformer.`, `connector.` and `vae.` in model*.safetensors.
No config tells the sizes of its networks; they are read off the tensors, and what no tensor shows is as published.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from blip3o.errors import CheckpointError
from blip3o.model.decoders.decoder import Decoder
from blip3o.model.decoders.sana import SanaConfig, SanaDecoder
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.encoders.eva_clip import EvaClip
from blip3o.model.encoders.siglip import SiglipEncoder, SiglipEncoderConfig
from blip3o.weights.folders import TOWER_FOLDER
from blip3o.weights.published.layout import (
    CONFIG,
    SIGLIP_HEADS,
    TOWER,
    Shapes,
    count,
    read_config,
    sensible,
    shape_of,
    siglip_config,
    tower_config,
)
from blip3o.weights.safetensors_files import Files, Shards, hollow

WEIGHTS = "diffusion_pytorch_model"
"""What files of diffusers are called."""
FIRST = "cls_token"
"""A tensor by which the EVA tower is known."""
VISION, TRANSFORMER = "vision_model.", "patch_embed.proj.weight"
HEAD_DIM, CROSS_HEAD_DIM = 32, 112
"""Widths of SANA's heads, which no tensor shows."""
DC_AE: dict[str, Any] = {
    "attention_head_dim": 32,
    "decoder_act_fns": "silu",
    "decoder_norm_types": "rms_norm",
    "downsample_block_type": "conv",
    "upsample_block_type": "interpolate",
    "encoder_block_types": ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3,
    "decoder_block_types": ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3,
    "encoder_block_out_channels": [128, 256, 512, 512, 1024, 1024],
    "decoder_block_out_channels": [128, 256, 512, 512, 1024, 1024],
    "encoder_layers_per_block": [2, 2, 2, 3, 3, 3],
    "decoder_layers_per_block": [3, 3, 3, 3, 3, 3],
    "encoder_qkv_multiscales": [[], [], [], [5], [5], [5]],
    "decoder_qkv_multiscales": [[], [], [], [5], [5], [5]],
    "latent_channels": 32,
    "scaling_factor": 0.41407,
}
"""mit-han-lab/dc-ae-f32c32-sana-1.0, of SANA 1.0; what a `vae_config` in the folder's config.json says goes first."""

Network = TypeVar("Network", bound=nn.Module, covariant=True)


@dataclass(frozen=True, kw_only=True)
class NetworkFiles(Generic[Network]):
    """A network in its files: known by its config, not yet read."""

    config: Any
    make: Callable[[Any], Network]
    files: Files

    def load(self, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Network:
        """The network, its tensors straight on their device; `dtype` None keeps that of the files.

        Raises CheckpointError for tensors missing, unknown or misshapen.
        """
        with hollow():
            network = self.make(self.config)
        for place, (shards, rename) in self.files.items():
            shards.fill(network.get_submodule(place), rename, device=device, dtype=dtype)
        return network.eval()


def holds_encoder(folder: Path) -> bool:
    """Whether a model's folder has its target encoder, apart or among its own tensors."""
    return any((folder / TOWER_FOLDER).glob("*.safetensors")) or TOWER + FIRST in Shards.find(folder).shapes


def find_encoder(model: Path, apart: Path | None = None) -> NetworkFiles[Encoder]:
    """The target encoder of a model's folder: in a folder `apart`, in its own `eva_clip_vision_tower`, or inside.

    Raises CheckpointError where it is nowhere.
    """
    inside = model / TOWER_FOLDER
    folder = apart or (inside if any(inside.glob("*.safetensors")) else model)
    shards = Shards.find(folder)
    if apart is not None and _of_siglip(shards.shapes):
        with sensible(folder):
            return _siglip(folder, shards)
    start = "" if FIRST in shards.shapes else TOWER
    if f"{start}{FIRST}" not in shards.shapes:
        raise CheckpointError(
            f"{folder} holds no target encoder: put the tensors of jiuhai/eva_clip_vision_tower, as safetensors, into "
            f"{inside}, or name another place with --encoder"
        )
    facts: dict[str, Any] = {}
    for place in (model, inside, folder):
        facts |= read_config(place) if (place / CONFIG).is_file() else {}
    with sensible(folder):
        config = tower_config(facts, {name.removeprefix(start): shape for name, shape in shards.shapes.items()})

    def rename(name: str) -> str | None:
        return name.removeprefix(start) if name.startswith(start) else None

    return NetworkFiles(config=config, make=EvaClip, files={"": (shards, rename)})


def find_decoder(folder: Path) -> NetworkFiles[Decoder]:
    """The decoder in a folder: unet, vae and scheduler in the layout of diffusers, or SigLIP2_SANA.

    Raises CheckpointError where the folder or a part of it is missing.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} does not exist: copy the folder diffusion-decoder of BLIP3o/BLIP3o-Model-8B there (4B and 8B "
            "share it; models trained further come without), or name another place with --decoder"
        )
    if not (folder / "unet").is_dir() and (folder / CONFIG).is_file():
        with sensible(folder):
            return _sana(folder, Shards.find(folder))
    files = {part: (Shards.find(folder / part, WEIGHTS), lambda name: name) for part in ("unet", "vae")}
    unet, vae = read_config(folder / "unet"), read_config(folder / "vae")
    scheduler = read_config(folder / "scheduler", "scheduler_config.json")
    with sensible(folder):
        size = unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1)
        config = SdxlConfig(unet=unet, vae=vae, scheduler=scheduler, size=size)
    return NetworkFiles(config=config, make=SdxlDecoder, files=files)


def _of_siglip(shapes: Shapes) -> bool:
    return any(name.startswith("encoder.") and VISION in name for name in shapes)


def _siglip(folder: Path, shards: Shards) -> NetworkFiles[SiglipEncoder]:
    def rename(name: str) -> str | None:
        _, found, rest = name.partition(VISION)
        return f"tower.{rest}" if found and name.startswith("encoder.") and not rest.startswith("head.") else None

    facts = read_config(folder)
    shapes = {new: shape for name, shape in shards.shapes.items() if (new := rename(name)) is not None}
    tower = siglip_config(shapes, int(facts.get("num_attention_heads", SIGLIP_HEADS)))
    pooled = int(facts.get("num_pooled_tokens", -1))
    config = SiglipEncoderConfig(tower=tower, side=tower.rows if pooled < 0 else round(pooled**0.5))
    return NetworkFiles(config=config, make=SiglipEncoder, files={"": (shards, rename)})


def _sana(folder: Path, shards: Shards) -> NetworkFiles[SanaDecoder]:
    nested = any(name.startswith("transformer.transformer.") for name in shards.shapes)

    def rename(name: str) -> str | None:
        if name.startswith("encoder."):
            return None
        return name.removeprefix("transformer.") if nested else name

    facts = read_config(folder)
    shapes = {new: shape for name, shape in shards.shapes.items() if (new := rename(name)) is not None}
    inner, channels, patch, _ = shape_of(shapes, f"transformer.{TRANSFORMER}")
    first = "transformer.transformer_blocks.0."
    transformer = {
        "in_channels": channels,
        "out_channels": channels,
        "patch_size": patch,
        "num_attention_heads": inner // HEAD_DIM,
        "attention_head_dim": HEAD_DIM,
        "num_layers": count(shapes, r"transformer\.transformer_blocks\.(\d+)\."),
        "num_cross_attention_heads": inner // CROSS_HEAD_DIM,
        "cross_attention_head_dim": CROSS_HEAD_DIM,
        "cross_attention_dim": inner,
        "caption_channels": shape_of(shapes, "transformer.caption_projection.linear_1.weight")[1],
        "mlp_ratio": shape_of(shapes, f"{first}ff.conv_inverted.weight")[0] / 2 / inner,
        "sample_size": int(facts.get("input_size", 16)),
    } | (facts.get("transformer_config") or {})
    vae = DC_AE | (facts.get("vae_config") or {})
    config = SanaConfig(
        transformer=transformer,
        vae=vae,
        channels=shape_of(shapes, "connector.0.weight")[1],
        size=transformer["sample_size"] * 2 ** (len(vae["encoder_block_out_channels"]) - 1),
    )
    return NetworkFiles(config=config, make=SanaDecoder, files={"": (shards, rename)})
