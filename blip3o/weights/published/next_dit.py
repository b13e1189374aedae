"""Next-DiT, the diffusion transformer, in published files. Its sizes stand in no config: its tensors show them."""

from blip3o.model.denoisers.next_dit import NextDiTConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published.adapter import Adapter, Facts, Names, count, shape_of

NAMES = Names(
    (
        ("caption_projection.linear_1.", "caption_projection.0."),
        ("caption_projection.linear_2.", "caption_projection.2."),
        ("patch_embedder.proj.", "patch_embedder."),
        ("time_caption_embed.timestep_embedder.", "time_embedding."),
        ("time_caption_embed.caption_embedder.", "pooled_embedding."),
        (".attn2.to_out.0.", ".to_out."),
        (".norm1.linear.", ".modulation."),
        (".norm1.norm.", ".norm1."),
        ("norm_out.linear_1.", "final_modulation."),
        ("norm_out.linear_2.", "final."),
    )
)


def _read(facts: Facts, shapes: Shapes) -> NextDiTConfig:
    width, channels = shape_of(shapes, "patch_embedder.weight")
    return NextDiTConfig(
        channels=channels,
        side=round(int(facts["n_query"]) ** 0.5),
        condition_width=shape_of(shapes, "caption_projection.0.weight")[1],
        width=width,
        depth=count(shapes, "layers."),
        num_heads=shape_of(shapes, "layers.0.gate")[0],
        mlp_multiple=shape_of(shapes, "layers.0.feed_forward.linear_1.weight")[0],
    )


NEXT_DIT = Adapter(
    kind=NextDiTConfig,
    names=NAMES,
    read=_read,
    write=lambda config: {"n_query": config.side**2, "gen_hidden_size": config.channels},
)
