"""The diffusion transformers that a flow head works through: one file per network, behind layers/denoiser.py."""

from collections.abc import Callable
from typing import Any

from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.layers.denoiser import Denoiser

DenoiserConfig = NextDiTConfig
DENOISERS: dict[str, Callable[[Any], Denoiser]] = {"next_dit": NextDiT}
"""The `kind` of a config -> the network it builds."""
