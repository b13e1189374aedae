"""EVA-CLIP, the target encoder, in published files: in a folder of its own, or inside the unified model's."""

from dataclasses import replace

from blip3o.model.encoders.eva_clip import EvaClipConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published.adapter import Adapter, Facts, Names, count, shape_of

INSIDE = Names((("model.gen_vision_tower.vision_tower.model.", ""), ("", None)))
"""Where it stands in files that hold the unified model, too; in its own its names are ours."""
HEAD_WIDTH, POOLING = 112, "early_pool2d_4"
"""As published; no tensor shows them."""


def _read(facts: Facts, shapes: Shapes) -> EvaClipConfig:
    width, _, patch, _ = shape_of(shapes, "patch_embed.proj.weight")
    patches = round((shape_of(shapes, "pos_embed")[1] - 1) ** 0.5)
    return EvaClipConfig(
        size=patches * patch,
        patch_size=patch,
        channels=width,
        depth=count(shapes, "blocks."),
        num_heads=width // facts.get("vision_cfg", {}).get("head_width", HEAD_WIDTH),
        mlp_width=shape_of(shapes, "blocks.0.mlp.fc1.weight")[0],
        pool=int(str(facts.get("gen_pooling", POOLING)).rpartition("_")[2]),
    )


EVA_CLIP = Adapter(
    kind=EvaClipConfig,
    keys=("cls_token",),
    read=_read,
    write=lambda config: {
        "vision_cfg": {"head_width": config.channels // config.num_heads},
        "gen_pooling": f"early_pool2d_{config.pool}",
    },
)
EVA_CLIP_INSIDE = replace(EVA_CLIP, names=INSIDE)
