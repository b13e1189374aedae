"""Networks in the names and files they were published in: one file per network, all behind `Adapter` of adapter.py."""

from collections.abc import Sequence

from blip3o.weights.published.adapter import Adapter
from blip3o.weights.published.eva_clip import EVA_CLIP, EVA_CLIP_INSIDE
from blip3o.weights.published.qwen2_5_vl import QWEN2_5_VL
from blip3o.weights.published.sana import SANA
from blip3o.weights.published.sdxl import SDXL
from blip3o.weights.published.siglip import SIGLIP
from blip3o.weights.published.siglip_backbones import TEXT_BACKBONE

BACKBONES: Sequence[Adapter] = (TEXT_BACKBONE, QWEN2_5_VL)
ENCODERS: Sequence[Adapter] = (SIGLIP, EVA_CLIP, EVA_CLIP_INSIDE)
DECODERS: Sequence[Adapter] = (SDXL, SANA)
"""Taken is the first whose `keys` are among the tensors; one of several `folders` is known by the first of them."""
