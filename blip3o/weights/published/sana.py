"""The SANA decoder in published files, beside its encoder in the folder of SigLIP2_SANA.

Its sizes show in its tensors; of the rest config.json says at most `transformer_config` and `vae_config`, and what is
not said is as published.
"""

from typing import Any

from blip3o.model.decoders.sana import SanaConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published.adapter import Adapter, Facts, Names, count, shape_of

NAMES = Names(
    (
        ("transformer.transformer.", "transformer."),
        ("transformer.connector.", "connector."),
        ("vae.", "vae."),
        ("transformer.vae.", "vae."),
        ("encoder.", None),
    )
)
"""Published models nest what further training writes flat."""
HEAD_DIM, CROSS_HEAD_DIM = 32, 112
"""Widths of heads, which no tensor shows."""
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
"""mit-han-lab/dc-ae-f32c32-sana-1.0, of SANA 1.0."""


def _read(facts: Facts, shapes: Shapes) -> SanaConfig:
    inner, channels, patch, _ = shape_of(shapes, "transformer.patch_embed.proj.weight")
    transformer = {
        "in_channels": channels,
        "out_channels": channels,
        "patch_size": patch,
        "num_attention_heads": inner // HEAD_DIM,
        "attention_head_dim": HEAD_DIM,
        "num_layers": count(shapes, "transformer.transformer_blocks."),
        "num_cross_attention_heads": inner // CROSS_HEAD_DIM,
        "cross_attention_head_dim": CROSS_HEAD_DIM,
        "cross_attention_dim": inner,
        "caption_channels": shape_of(shapes, "transformer.caption_projection.linear_1.weight")[1],
        "mlp_ratio": shape_of(shapes, "transformer.transformer_blocks.0.ff.conv_inverted.weight")[0] / 2 / inner,
        "sample_size": int(facts.get("input_size", 16)),
    } | (facts.get("transformer_config") or {})
    vae = DC_AE | (facts.get("vae_config") or {})
    return SanaConfig(
        kind="sana",
        transformer=transformer,
        vae=vae,
        channels=shape_of(shapes, "connector.0.weight")[1],
        size=transformer["sample_size"] * 2 ** (len(vae["encoder_block_out_channels"]) - 1),
    )


SANA = Adapter(
    kind=SanaConfig,
    names=NAMES,
    read=_read,
    write=lambda config: {"transformer_config": config.transformer, "vae_config": config.vae},
)
