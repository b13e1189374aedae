"""SigLIP and SigLIP 2 in published files: the tower that language models read by, the encoder of SigLIP2_SANA."""

from blip3o.model.encoders.siglip import SiglipEncoderConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published.adapter import Adapter, Facts, Names, count, shape_of

HEADS = 16
"""Of SigLIP so400m, which no tensor shows."""
TOWER = Names((("head.", None),))
"""The head that pools for CLIP's objective is not used."""
NAMES = Names(
    (("encoder.model.vision_model.", "tower."), ("encoder.*vision_model.", "tower."), ("", None)), {"tower.": TOWER}
)
"""What wraps the tower differs between trainers."""


def read_tower(shapes: Shapes, heads: int) -> SiglipConfig:
    """The sizes of a tower, by its tensors, called `tower.*`."""
    width, _, patch, _ = shape_of(shapes, "tower.embeddings.patch_embedding.weight")
    rows = round(shape_of(shapes, "tower.embeddings.position_embedding.weight")[0] ** 0.5)
    return SiglipConfig(
        hidden_size=width,
        intermediate_size=shape_of(shapes, "tower.encoder.layers.0.mlp.fc1.weight")[0],
        num_hidden_layers=count(shapes, "tower.encoder.layers."),
        num_attention_heads=heads,
        image_size=rows * patch,
        patch_size=patch,
    )


def _read(facts: Facts, shapes: Shapes) -> SiglipEncoderConfig:
    tower = read_tower(shapes, int(facts.get("num_attention_heads", HEADS)))
    pooled = int(facts.get("num_pooled_tokens", -1))
    return SiglipEncoderConfig(kind="siglip", tower=tower, side=tower.rows if pooled < 0 else round(pooled**0.5))


SIGLIP = Adapter(
    kind=SiglipEncoderConfig,
    names=NAMES,
    keys=("tower.embeddings.patch_embedding.weight",),
    read=_read,
    write=lambda config: {
        "num_attention_heads": config.tower.num_attention_heads,
        "num_pooled_tokens": config.side**2,
    },
)
