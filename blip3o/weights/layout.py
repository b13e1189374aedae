"""The published layout: where everything lies in a folder, what tensors are called there, and what they tell of sizes.

    <folder>/config.json, model*.safetensors       the unified model; the target encoder may be inside
    <folder>/eva_clip_vision_tower/                 the target encoder, where it lies apart
    <folder>/diffusion-decoder/{unet,vae,scheduler} the decoder, in the layout of diffusers

Sizes of the diffusion transformer stand in no config: they are read off its tensors.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.backbones import qwen2_5_vl
from blip3o.model.backbones.qwen2_5_vl import QwenConfig, QwenTextConfig, QwenVisionConfig
from blip3o.model.denoisers import next_dit
from blip3o.model.denoisers.next_dit import NextDiTConfig
from blip3o.model.encoders.eva_clip import DEVIATION, MEAN, EvaClipConfig
from blip3o.model.heads.head import HeadConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.model.unified import UnifiedConfig
from blip3o.prompt.template import PromptConfig

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
DENOISER = "model.dit.model."
TOWER = "model.gen_vision_tower.vision_tower.model."
"""Where the target encoder stands in files that hold it."""
UNUSED = ("model.gen_vision_tower.", "model.vae.")
"""Tensors that the trainer saved along, and that no unified model uses."""
HEAD_WIDTH = 112
"""Of the published tower, whose number of heads no tensor shows."""

Shapes = Mapping[str, tuple[int, ...]]


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """What stands in a folder's config. Raises CheckpointError where it is missing or no JSON."""
    path = folder / name
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no {name}: name the folder of a whole checkpoint") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}): copy it again from its source") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path} is {type(facts).__name__}, expected keys and values: copy it again")
    return facts


def unified_config(facts: Mapping[str, Any], shapes: Shapes) -> UnifiedConfig:
    """The sizes of all parts, from config.json and from the tensors' shapes."""
    text = {**facts, **(facts.get("text_config") or {})}
    try:
        rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
        language = {**text, "mrope_section": tuple(rope["mrope_section"])}
        language["rope_theta"] = text.get("rope_theta", rope.get("rope_theta"))
        tower = facts["vision_config"]
        tower = {**tower, "fullatt_block_indexes": tuple(tower["fullatt_block_indexes"])}
        backbone = QwenConfig(
            text=QwenTextConfig(**_chosen(language, QwenTextConfig)),
            vision=QwenVisionConfig(**_chosen(tower, QwenVisionConfig)),
            reads_by_grid=True,
        )
        queries = int(facts["n_query"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"config.json lacks {error} of a BLIP3-o on Qwen2.5-VL: name the folder of a published BLIP3-o"
        ) from error
    denoiser = denoiser_config(shapes, side=round(queries**0.5))
    head = HeadConfig(
        kind="flow",
        slot_length=queries,
        width=backbone.text.hidden_size,
        channels=denoiser.channels,
        side=denoiser.side,
        time_parts=1000,
    )
    try:
        return UnifiedConfig(backbone=backbone, head=head, denoiser=denoiser)
    except ConfigError as error:
        raise CheckpointError(
            f"config.json contradicts the tensors ({error}): use the files of one checkpoint"
        ) from error


def prompt_config(folder: Path, vision: QwenVisionConfig | SiglipConfig, slot_length: int) -> PromptConfig:
    """The words around prompts, in the form that published scores were drawn with, and how pictures are read: as the
    folder's preprocessor_config.json has it, else as Qwen2.5-VL does."""
    given = read_config(folder, PROCESSOR) if (folder / PROCESSOR).is_file() else {}
    size = given.get("size") or {}
    least = given.get("min_pixels") or size.get("shortest_edge") or PromptConfig.least_pixels
    most = given.get("max_pixels") or size.get("longest_edge") or PromptConfig.most_pixels
    return PromptConfig(
        picture_size=None,
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
        slot_length=slot_length,
        longest_prompt=20_000,
        least_pixels=int(least),
        most_pixels=int(most),
        mean=tuple(given.get("image_mean", MEAN)),
        deviation=tuple(given.get("image_std", DEVIATION)),
        system="You are a helpful assistant.",
        request="Please generate image based on the following caption: {}",
    )


def denoiser_config(shapes: Shapes, side: int) -> NextDiTConfig:
    """The sizes of the diffusion transformer, by its tensors."""
    width, channels = shape_of(shapes, f"{DENOISER}patch_embedder.proj.weight")
    blocks = {int(name.removeprefix(f"{DENOISER}layers.").split(".")[0]) for name in shapes if _of_block(name)}
    return NextDiTConfig(
        channels=channels,
        side=side,
        thought_width=shape_of(shapes, f"{DENOISER}caption_projection.linear_1.weight")[1],
        width=width,
        depth=len(blocks),
        num_heads=shape_of(shapes, f"{DENOISER}layers.0.gate")[0],
        mlp_multiple=shape_of(shapes, f"{DENOISER}layers.0.feed_forward.linear_1.weight")[0],
    )


def tower_config(facts: Mapping[str, Any], shapes: Shapes) -> EvaClipConfig:
    """The sizes of the target encoder, by its tensors; heads and pooling from config.json, else those published."""
    width, _, patch, _ = shape_of(shapes, "patch_embed.proj.weight")
    patches = round((shape_of(shapes, "pos_embed")[1] - 1) ** 0.5)
    head_width = facts.get("vision_cfg", {}).get("head_width", HEAD_WIDTH)
    pooling = str(facts.get("gen_pooling", "early_pool2d_4"))
    return EvaClipConfig(
        size=patches * patch,
        patch_size=patch,
        channels=width,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
        num_heads=width // head_width,
        mlp_width=shape_of(shapes, "blocks.0.mlp.fc1.weight")[0],
        pool=int(pooling.rpartition("_")[2]),
    )


def renamed(name: str, tied: bool) -> str | None:
    """What a tensor of published files is called here, in the unified model; None for one that it has no use for."""
    if name.startswith(UNUSED) or (tied and name == "lm_head.weight"):
        return None
    if name == "model.latent_queries":
        return "head.queries"
    if name.startswith(DENOISER):
        name = name.removeprefix(DENOISER)
        for published, ours in next_dit.NAMES:
            name = name.replace(published, ours)
        return f"head.denoiser.{name}"
    for pattern, ours in qwen2_5_vl.NAMES:
        name = re.sub(pattern, ours, name)
    return f"backbone.{name}"


def published_name(name: str) -> str:
    """What a tensor of ours is called in published files: the inverse of `renamed`."""
    if name == "head.queries":
        return "model.latent_queries"
    if name.startswith("head.denoiser."):
        name = name.removeprefix("head.denoiser.")
        for published, ours in reversed(next_dit.NAMES):
            name = name.replace(ours, published)
        return f"{DENOISER}{name}"
    return name.removeprefix("backbone.").replace("language_model.", "model.", 1)


def published_config(config: UnifiedConfig, pool: int) -> dict[str, Any]:
    """The config.json of a unified model; `pool` is that of its target encoder."""
    text, vision = asdict(config.backbone.text), asdict(config.backbone.vision)
    sections = list(text.pop("mrope_section"))
    return {
        "architectures": ["blip3oQwenForCausalLM"],
        "model_type": "blip3o_qwen",
        **text,
        "rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": sections},
        "vision_config": {
            "model_type": "qwen2_5_vl",
            **vision,
            "fullatt_block_indexes": list(vision["fullatt_block_indexes"]),
            "out_hidden_size": config.backbone.text.hidden_size,
        },
        "n_query": config.head.slot_length,
        "gen_vision_tower": "eva-clip-E-14-plus",
        "gen_hidden_size": config.head.channels,
        "gen_pooling": f"early_pool2d_{pool}",
    }


def _of_block(name: str) -> bool:
    return name.startswith(f"{DENOISER}layers.")


def shape_of(shapes: Shapes, name: str) -> tuple[int, ...]:
    """The shape of a tensor. Raises CheckpointError where it is missing."""
    if name not in shapes:
        raise CheckpointError(f"the checkpoint lacks {name}, by which its sizes are known: use a whole checkpoint")
    return shapes[name]


def _chosen(facts: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The facts that a config has fields for; KeyError for one that it cannot do without."""
    return {field.name: facts[field.name] for field in fields(kind)}
