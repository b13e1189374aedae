"""Checkpoints in the layout of the published BLIP3-o models: their config.json and tensors -> networks of ours.

    <folder>/config.json, model*.safetensors       the unified model; the target encoder may be inside
    <folder>/eva_clip_vision_tower/                 the target encoder, where it lies apart
    <folder>/diffusion-decoder/{unet,vae,scheduler} the decoder, in the layout of diffusers

Sizes of the diffusion transformer stand in no config: they are read off its tensors.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.backbones import qwen2_5_vl
from blip3o.model.backbones.qwen2_5_vl import QwenConfig, QwenTextConfig, QwenVisionConfig
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder
from blip3o.model.denoisers import next_dit
from blip3o.model.denoisers.next_dit import NextDiTConfig
from blip3o.model.encoders.eva_clip import EvaClip, EvaClipConfig
from blip3o.model.heads.head import HeadConfig
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.weights.shards import Shards

DENOISER = "model.dit.model."
TOWER = "model.gen_vision_tower.vision_tower.model."
"""Where the target encoder stands in files that hold it."""
UNUSED = ("model.gen_vision_tower.", "model.vae.")
"""Tensors that the trainer saved along, and that no unified model uses."""
TOWER_FOLDER = "eva_clip_vision_tower"
HEAD_WIDTH = 112
"""Of the published tower, whose number of heads no tensor shows."""

Shapes = Mapping[str, tuple[int, ...]]


def load_unified(folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Unified:
    """The unified model of a folder, its tensors straight on their device; `dtype` None keeps that of the files.

    Raises CheckpointError for a folder that holds no such model, and for tensors missing, unknown or misshapen.
    """
    facts, shards = read_config(folder), Shards.find(folder)
    config = unified_config(facts, shards.shapes)
    with torch.device("meta"):
        unified = Unified(config)
    tied = config.backbone.text.tie_word_embeddings
    shards.fill(unified, lambda name: _renamed(name, tied), device=device, dtype=dtype)
    unified.backbone.restore_buffers()
    return unified.to(device).eval()


def load_tower(folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> EvaClip:
    """The target encoder: from `eva_clip_vision_tower` in the folder, the folder itself, or out of the unified model.

    Raises CheckpointError where none of them holds it.
    """
    apart = folder / TOWER_FOLDER
    shards = Shards.find(apart if any(apart.glob("*.safetensors")) else folder)
    start = "" if "cls_token" in shards.shapes else TOWER
    if f"{start}cls_token" not in shards.shapes:
        raise CheckpointError(
            f"{folder} holds no target encoder: put the tensors of jiuhai/eva_clip_vision_tower, as safetensors, into "
            f"{apart}"
        )
    facts = read_config(apart if (apart / "config.json").is_file() else folder)
    with torch.device("meta"):
        tower = EvaClip(tower_config(facts, {n.removeprefix(start): s for n, s in shards.shapes.items()}))
    shards.fill(
        tower, lambda name: name.removeprefix(start) if name.startswith(start) else None, device=device, dtype=dtype
    )
    return tower.eval()


def load_sdxl(
    folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None, size: int = 1024
) -> SdxlDecoder:
    """The decoder of a `diffusion-decoder` folder: unet, vae and scheduler in the layout of diffusers.

    Raises CheckpointError where the folder or a part of it is missing or does not fit its config.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} does not exist: copy the folder diffusion-decoder of BLIP3o/BLIP3o-Model-8B there (4B and 8B "
            "share it; models trained further come without), or name another place"
        )
    config = SdxlConfig(
        unet=read_config(folder / "unet"),
        vae=read_config(folder / "vae"),
        scheduler=read_config(folder / "scheduler", "scheduler_config.json"),
        size=size,
    )
    with torch.device("meta"):
        decoder = SdxlDecoder(config)
    for part in ("unet", "vae"):
        shards = Shards.find(folder / part, "diffusion_pytorch_model")
        shards.fill(getattr(decoder, part), lambda name: name, device=device, dtype=dtype)
    return decoder.eval()


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
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


def denoiser_config(shapes: Shapes, side: int) -> NextDiTConfig:
    """The sizes of the diffusion transformer, by its tensors."""
    width, channels = _shape(shapes, f"{DENOISER}patch_embedder.proj.weight")
    blocks = {int(name.removeprefix(f"{DENOISER}layers.").split(".")[0]) for name in shapes if _of_block(name)}
    return NextDiTConfig(
        channels=channels,
        side=side,
        thought_width=_shape(shapes, f"{DENOISER}caption_projection.linear_1.weight")[1],
        width=width,
        depth=len(blocks),
        num_heads=_shape(shapes, f"{DENOISER}layers.0.gate")[0],
        mlp_multiple=_shape(shapes, f"{DENOISER}layers.0.feed_forward.linear_1.weight")[0],
    )


def tower_config(facts: Mapping[str, Any], shapes: Shapes) -> EvaClipConfig:
    """The sizes of the target encoder, by its tensors; heads and pooling from config.json, else those published."""
    width, _, patch, _ = _shape(shapes, "patch_embed.proj.weight")
    patches = round((_shape(shapes, "pos_embed")[1] - 1) ** 0.5)
    head_width = facts.get("vision_cfg", {}).get("head_width", HEAD_WIDTH)
    pooling = str(facts.get("gen_pooling", "early_pool2d_4"))
    return EvaClipConfig(
        size=patches * patch,
        patch_size=patch,
        channels=width,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
        num_heads=width // head_width,
        mlp_width=_shape(shapes, "blocks.0.mlp.fc1.weight")[0],
        pool=int(pooling.rpartition("_")[2]),
    )


def _renamed(name: str, tied: bool) -> str | None:
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


def _of_block(name: str) -> bool:
    return name.startswith(f"{DENOISER}layers.")


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    if name not in shapes:
        raise CheckpointError(f"the checkpoint lacks {name}, by which its sizes are known: use a whole checkpoint")
    return shapes[name]


def _chosen(facts: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The facts that a config has fields for; KeyError for one that it cannot do without."""
    return {field.name: facts[field.name] for field in fields(kind)}
