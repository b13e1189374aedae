"""Pixels -> the features of an image space: one file per encoder, all behind the protocol of encoder.py."""

from collections.abc import Callable
from typing import Any

from blip3o.model.encoders.convolutional import ConvolutionalEncoder, ConvolutionalEncoderConfig
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.encoders.eva_clip import EvaClip, EvaClipConfig
from blip3o.model.encoders.siglip import SiglipEncoder, SiglipEncoderConfig
from blip3o.model.encoders.vae import VaeEncoder
from blip3o.model.layers.vae import VaeConfig

EncoderConfig = ConvolutionalEncoderConfig | EvaClipConfig | SiglipEncoderConfig | VaeConfig
ENCODERS: dict[str, Callable[[Any], Encoder]] = {
    "convolutional": ConvolutionalEncoder,
    "eva_clip": EvaClip,
    "siglip": SiglipEncoder,
    "vae": VaeEncoder,
}
"""The `kind` of a config -> the network it builds."""
