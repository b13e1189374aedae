"""Language models that read by SigLIP in published files: Llama 3 and Qwen3, which normalises queries."""

from dataclasses import asdict
from typing import Any

from blip3o.model.backbones.backbone import TextConfig
from blip3o.model.backbones.text_backbone import TextBackboneConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published import qwen2_5_vl
from blip3o.weights.published.adapter import Adapter, Facts, Names, select
from blip3o.weights.published.siglip import HEADS, TOWER, read_tower

NAMES = Names(
    (
        *qwen2_5_vl.NAMES.rows,
        ("model.mm_projector.", "visual.projector."),
        ("model.vision_tower.vision_model.", "visual.tower."),
        ("model.vision_tower.", "visual.tower."),
        ("model.vision_tower.vision_tower.", "visual.tower."),
        ("model.vision_tower.vision_tower.vision_model.", "visual.tower."),
    ),
    {"visual.tower.": TOWER},
)
QUERY_NORM = "language_model.layers.0.self_attn.q_norm.weight"
"""Qwen3 has it, Llama 3 does not."""


def _parts(facts: Facts, shapes: Shapes) -> dict[str, Any]:
    """The kind, and the sizes of the language model and of the tower."""
    rope = {key: value for key, value in (facts.get("rope_scaling") or {}).items() if key not in ("type", "rope_theta")}
    language = {
        "head_dim": facts["hidden_size"] // facts["num_attention_heads"],
        "max_position_embeddings": TextConfig.max_position_embeddings,
        **facts,
        "rope_scaling": rope if rope.get("rope_type", "default") != "default" else None,
    }
    tower = {name.removeprefix("visual."): shape for name, shape in shapes.items()}
    vision = read_tower(tower, int(facts.get("vision_num_attention_heads", HEADS)))
    kind = "qwen3" if QUERY_NORM in shapes else "llama3"
    return {"kind": kind, "text": select(language, TextConfig), "vision": vision}


def _write(config: TextBackboneConfig) -> dict[str, Any]:
    """The language model's sizes, and of the tower what no tensor shows."""
    tower = {"vision_num_attention_heads": config.vision.num_attention_heads}
    return asdict(config.text) | tower | {"model_type": config.kind}


TEXT_BACKBONE = Adapter(
    kind=TextBackboneConfig,
    names=NAMES,
    keys=("visual.tower.embeddings.patch_embedding.weight",),
    read=lambda facts, shapes: TextBackboneConfig(**_parts(facts, shapes)),
    write=_write,
)
