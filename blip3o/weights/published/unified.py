"""The unified model in published files: a backbone, the queries and the diffusion transformer under one config.json."""

from typing import Any

from blip3o.errors import CheckpointError
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.unified import UnifiedConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published import BACKBONES
from blip3o.weights.published.adapter import Adapter, Facts, Names, recognised
from blip3o.weights.published.next_dit import NEXT_DIT


def names(backbone: Adapter, *, tied: bool = False) -> Names:
    """The names of the whole model; an output head that is `tied` to the embedding is repeated by some files."""
    rows = [
        ("", "backbone."),
        ("model.latent_queries", "head.queries"),
        ("model.dit.model.", "head.denoiser."),
        ("model.gen_vision_tower.", None),  # the target encoder and a VAE, which some trainers save along
        ("model.vae.", None),
        *([("lm_head.weight", None)] if tied else []),
    ]
    return Names(rows, {"backbone.": backbone.names, "head.denoiser.": NEXT_DIT.names})


def read(facts: Facts, shapes: Shapes) -> tuple[UnifiedConfig, Names]:
    """The sizes of all parts and the names of their tensors, by config.json and the shapes of the files.

    Raises CheckpointError where they are not of such a model.
    """
    adapter = recognised(BACKBONES, shapes)
    assert adapter is not None  # the last of the table is the default
    ours = names(adapter).renamed(shapes)
    try:
        facts = _flat(facts)
        backbone = adapter.read(facts, _below("backbone.", ours))
        denoiser = NEXT_DIT.read(facts, _below("head.denoiser.", ours))
        head = FlowHeadConfig(
            kind="flow",
            slot_length=int(facts["n_query"]),
            width=backbone.text.hidden_size,
            channels=denoiser.channels,
            side=denoiser.side,
            time_parts=1000,
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"config.json lacks {error} of a BLIP3-o: name the folder of a published one") from error
    config = UnifiedConfig(backbone=backbone, head=head, denoiser=denoiser)
    return config, names(adapter, tied=backbone.text.tie_word_embeddings)


def write(config: UnifiedConfig) -> tuple[dict[str, Any], Names]:
    """The config.json of a unified model, and the names of its tensors in published files for ours."""
    adapter = next(adapter for adapter in BACKBONES if isinstance(config.backbone, adapter.kind))
    whole = {"architectures": ["blip3oQwenForCausalLM"], "gen_vision_tower": "eva-clip-E-14-plus"}
    return whole | adapter.write(config.backbone) | NEXT_DIT.write(config.denoiser), names(adapter).inverse


def _flat(facts: Facts) -> dict[str, Any]:
    """What config.json says, where transformers 4.51 has it: 5.x keeps the language model's sizes by themselves, and
    its rotation under another name."""
    text = {**facts, **(facts.get("text_config") or {})}
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    rotation = {"rope_theta": text.get("rope_theta", rope.get("rope_theta")), "rope_scaling": rope}
    return text | rotation | {"n_query": facts["n_query"]}


def _below(start: str, shapes: Shapes) -> Shapes:
    return {name.removeprefix(start): shape for name, shape in shapes.items() if name.startswith(start)}
