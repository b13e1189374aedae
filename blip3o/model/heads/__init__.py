"""What generates image features: one file per head, all behind the protocol of head.py."""

from collections.abc import Callable
from typing import Any

from blip3o.model.heads.flow import FlowHead, FlowHeadConfig
from blip3o.model.heads.head import Head
from blip3o.model.heads.regression import RegressionHead, RegressionHeadConfig
from blip3o.model.heads.transfusion import TransfusionHead, TransfusionHeadConfig
from blip3o.model.layers.denoiser import Denoiser

HeadConfig = FlowHeadConfig | RegressionHeadConfig | TransfusionHeadConfig
HEADS: dict[str, Callable[[Any, Callable[[], Denoiser]], Head]] = {
    "flow": FlowHead,
    "regression": lambda config, _: RegressionHead(config),
    "transfusion": lambda config, _: TransfusionHead(config),
}
"""The `kind` of a config -> the network, of the config and of what builds its denoiser."""
