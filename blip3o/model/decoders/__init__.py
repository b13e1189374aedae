"""The features of an image space -> pixels: one file per decoder, all behind the protocol of decoder.py."""

from collections.abc import Callable
from typing import Any

from blip3o.model.decoders.decoder import Decoder
from blip3o.model.decoders.pixel import PixelDecoder, PixelDecoderConfig
from blip3o.model.decoders.sana import SanaConfig, SanaDecoder
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder
from blip3o.model.decoders.vae import VaeDecoder
from blip3o.model.layers.vae import VaeConfig

DecoderConfig = PixelDecoderConfig | SdxlConfig | SanaConfig | VaeConfig
DECODERS: dict[str, Callable[[Any], Decoder]] = {
    "pixel": PixelDecoder,
    "sdxl": SdxlDecoder,
    "sana": SanaDecoder,
    "vae": VaeDecoder,
}
"""The `kind` of a config -> the network it builds."""
