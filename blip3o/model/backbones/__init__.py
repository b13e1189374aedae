"""The language models, each a thin wrapper over its `transformers` class, behind the protocol of backbone.py."""

from collections.abc import Callable
from typing import Any

from blip3o.model.backbones.backbone import Backbone
from blip3o.model.backbones.qwen2_5_vl import Qwen, QwenConfig
from blip3o.model.backbones.text_backbone import TextBackbone, TextBackboneConfig

BackboneConfig = QwenConfig | TextBackboneConfig
BACKBONES: dict[str, Callable[[Any], Backbone]] = {"qwen2_5_vl": Qwen, "llama3": TextBackbone, "qwen3": TextBackbone}
"""The `kind` of a config -> the network it builds."""
