"""A model of the published architecture with random weights and the smallest sizes, and its folder as published."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from blip3o.config import from_dict
from blip3o.model.backbones.qwen2_5_vl import QwenConfig
from blip3o.model.backbones.text_backbone import TextBackboneConfig
from blip3o.model.decoders.sana import SanaConfig
from blip3o.model.decoders.sdxl import SdxlConfig
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.encoders.eva_clip import EvaClipConfig
from blip3o.model.encoders.siglip import SiglipEncoderConfig
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.pipeline.pipeline import ModelConfig, Pipeline
from blip3o.pipeline.sampling import PUBLISHED
from blip3o.processing.tokenizer import Tokenizer, make
from blip3o.weights.published.convert import to_published
from blip3o.weights.published.layout import NetworkFiles
from blip3o.weights.published.model import prompt_config
from blip3o.weights.safetensors_files import hollow

UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 8,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": [2, 4],
    "transformer_layers_per_block": 1,
    "use_linear_projection": True,
    "cross_attention_dim": 112,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 160,
}
VAE = {
    "block_out_channels": [8, 8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "scaling_factor": 0.13025,
}
TINY_DC_AE = {
    "latent_channels": 4,
    "attention_head_dim": 4,
    "encoder_block_types": ["ResBlock", "EfficientViTBlock"],
    "decoder_block_types": ["ResBlock", "EfficientViTBlock"],
    "encoder_block_out_channels": [4, 8],
    "decoder_block_out_channels": [4, 8],
    "encoder_layers_per_block": [1, 1],
    "decoder_layers_per_block": [1, 1],
    "encoder_qkv_multiscales": [[], [5]],
    "decoder_qkv_multiscales": [[], [5]],
}
"""An autoencoder of SANA's kind, with the defaults of the library for what it does not say."""
TINY_SANA = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_layers": 2,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 8,
    "cross_attention_dim": 16,
    "caption_channels": 12,
    "mlp_ratio": 2.5,
    "sample_size": 8,
    "patch_size": 1,
}
TINY_VAE = VAE | {
    "block_out_channels": [8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "latent_channels": 4,
    "shift_factor": 0.25,
}
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


def text_backbone(kind: str, words: int, tied: bool = True) -> TextBackboneConfig:
    """The smallest backbone of a kind that reads by SigLIP."""
    config = backbone(kind, words, tied)
    assert isinstance(config, TextBackboneConfig)
    return config


def backbone(kind: str, words: int, tied: bool = True) -> QwenConfig | TextBackboneConfig:
    """The smallest backbone of a kind."""
    sizes = {
        "vocab_size": words,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_theta": 1e6,
        "tie_word_embeddings": tied,
        "rms_norm_eps": 1e-6,
    }
    tower = {"hidden_size": 16, "intermediate_size": 32}
    siglip = tower | {"num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    qwen = tower | {
        "depth": 2,
        "num_heads": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }
    if kind == "qwen2_5_vl":
        facts = {"text": sizes | {"mrope_section": [2, 3, 3]}, "vision": qwen, "reads_by_grid": True}
        return from_dict(QwenConfig, facts)
    facts = {"kind": kind, "text": sizes | {"head_dim": 16}, "vision": siglip}
    return from_dict(TextBackboneConfig, facts)


def pipeline(kind: str = "qwen2_5_vl", *, tied: bool = True) -> Pipeline:
    """With the tied head of the 4B, or one of its own as the 8B, and a tokenizer that knows any word."""
    words = Tokenizer(make(["red", "dog"]).tokenizer)
    mind = backbone(kind, len(words), tied)
    unified = UnifiedConfig(
        backbone=mind,
        head=FlowHeadConfig(slot_length=16, width=32, channels=112, side=4, time_parts=1000),
        denoiser=NextDiTConfig(
            channels=112, side=4, condition_width=32, width=32, depth=2, num_heads=2, mlp_multiple=128
        ),
    )
    config = ModelConfig(
        name="toy-4b",
        prompt=prompt_config(Path(), mind.vision, 16),
        unified=unified,
        space=SpaceConfig(
            encoder=EvaClipConfig(size=112, patch_size=14, channels=112, depth=2, num_heads=1, mlp_width=64, pool=2),
            decoder=SdxlConfig(unet=UNET, vae=VAE, scheduler=SCHEDULER, size=64),
        ),
        sampling=PUBLISHED,
    )
    torch.manual_seed(0)
    made = Pipeline(config, words).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return made


def write(folder: Path, kind: str = "qwen2_5_vl") -> Path:
    """Three shards, in which the target encoder and a VAE that nobody uses stand, too; the decoder beside them."""
    made = pipeline(kind)
    parts = (made.unified, made.space.encoder)
    size = sum(value.nbytes for part in parts for value in part.state_dict().values())
    to_published(made, folder, shard_bytes=int(size / 2.6), encoder_inside=True)
    last = max(folder.glob("model-*.safetensors"))
    save_file(load_file(last) | {"model.vae.decoder.conv_in.weight": torch.ones(2, 2)}, last)
    return folder


def network(config: Any) -> nn.Module:
    """The network of a config, whatever part of a model it is."""
    if isinstance(config, UnifiedConfig):
        return Unified(config)
    if isinstance(config, NextDiTConfig):
        return NextDiT(config)
    if isinstance(config, EvaClipConfig | SiglipEncoderConfig):
        return ImageSpace(SpaceConfig(encoder=config, decoder=None), config.channels).encoder
    if isinstance(config, SdxlConfig | SanaConfig):
        return ImageSpace(SpaceConfig(encoder=None, decoder=config), config.channels).decoder
    return Unified(replace(pipeline().config.unified, backbone=config)).backbone


def load(found: NetworkFiles, dtype: torch.dtype | None = None) -> Any:
    """A network alone, its tensors out of its files."""
    config, files = found
    with hollow():
        loaded = network(config)
    for module, (shards, names) in files.items():
        shards.fill(loaded.get_submodule(module), names, dtype=dtype)
    return loaded.eval()
