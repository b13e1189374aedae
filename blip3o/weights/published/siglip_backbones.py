"""Language models that read by SigLIP in published files: Llama 3 and Qwen3, which normalises queries."""

from dataclasses import asdict, replace
from typing import Any

from blip3o.model.backbones.backbone import TextConfig
from blip3o.model.backbones.llama3 import Llama3Config
from blip3o.model.backbones.qwen3 import Qwen3Config
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
KEY = "visual.tower.embeddings.patch_embedding.weight"


def _parts(facts: Facts, shapes: Shapes) -> dict[str, Any]:
    """The sizes of the language model and of the tower."""
    rope = {key: value for key, value in (facts.get("rope_scaling") or {}).items() if key not in ("type", "rope_theta")}
    language = {
        "head_dim": facts["hidden_size"] // facts["num_attention_heads"],
        "max_position_embeddings": TextConfig.max_position_embeddings,
        **facts,
        "rope_scaling": rope if rope.get("rope_type", "default") != "default" else None,
    }
    tower = {name.removeprefix("visual."): shape for name, shape in shapes.items()}
    vision = read_tower(tower, int(facts.get("vision_num_attention_heads", HEADS)))
    return {"text": select(language, TextConfig), "vision": vision}


def _write(config: Llama3Config | Qwen3Config) -> dict[str, Any]:
    """The language model's sizes, and of the tower what no tensor shows."""
    tower = {"vision_num_attention_heads": config.vision.num_attention_heads}
    return asdict(config.text) | tower | {"model_type": config.kind}


LLAMA3 = Adapter(
    kind=Llama3Config,
    names=NAMES,
    keys=(KEY,),
    read=lambda facts, shapes: Llama3Config(kind="llama3", **_parts(facts, shapes)),
    write=_write,
)
QWEN3 = replace(
    LLAMA3,
    kind=Qwen3Config,
    keys=(KEY, "language_model.layers.0.self_attn.q_norm.weight"),
    read=lambda facts, shapes: Qwen3Config(kind="qwen3", **_parts(facts, shapes)),
)
