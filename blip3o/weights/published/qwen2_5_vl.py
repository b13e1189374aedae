"""Qwen2.5-VL in published files, under the names of transformers 4.51 or of 5.x."""

from dataclasses import asdict
from typing import Any

from blip3o.model.backbones.qwen2_5_vl import QwenConfig, QwenTextConfig, QwenVisionConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published.adapter import Adapter, Facts, Names, select

NAMES = Names(
    (
        ("visual.", "visual."),
        ("model.visual.", "visual."),
        ("model.", "language_model."),
        ("model.language_model.", "language_model."),
    )
)


def _read(facts: Facts, shapes: Shapes) -> QwenConfig:
    language = {**facts, "mrope_section": tuple(facts["rope_scaling"]["mrope_section"])}
    tower = {**facts["vision_config"]}
    tower["fullatt_block_indexes"] = tuple(tower["fullatt_block_indexes"])
    return QwenConfig(text=select(language, QwenTextConfig), vision=select(tower, QwenVisionConfig), reads_by_grid=True)


def _write(config: QwenConfig) -> dict[str, Any]:
    """Under the names of transformers 4.51."""
    text, vision = asdict(config.text), asdict(config.vision)
    sections = {"mrope_section": list(text.pop("mrope_section"))}
    vision["fullatt_block_indexes"] = list(config.vision.fullatt_block_indexes)
    return text | {
        "model_type": "blip3o_qwen",
        "rope_scaling": {"type": "default", "rope_type": "default"} | sections,
        "vision_config": {"model_type": "qwen2_5_vl", **vision, "out_hidden_size": config.text.hidden_size},
    }


QWEN2_5_VL = Adapter(kind=QwenConfig, names=NAMES, read=_read, write=_write)
