"""The published layout: where everything lies in a folder, what tensors are called there, and what they tell of sizes.

    <folder>/config.json, model*.safetensors       the unified model; the target encoder may be inside
    <folder>/eva_clip_vision_tower/                 the target encoder, where it lies apart
    <folder>/diffusion-decoder/{unet,vae,scheduler} the decoder, in the layout of diffusers

Sizes of the diffusion transformer stand in no config: they are read off its tensors.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from blip3o.config import finite, from_dict
from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.backbones import qwen2_5_vl
from blip3o.model.backbones.backbone import TextConfig
from blip3o.model.backbones.llama3 import Llama3Config
from blip3o.model.backbones.qwen2_5_vl import QwenConfig, QwenTextConfig, QwenVisionConfig
from blip3o.model.backbones.qwen3 import Qwen3Config
from blip3o.model.denoisers import next_dit
from blip3o.model.denoisers.next_dit import NextDiTConfig
from blip3o.model.encoders.eva_clip import DEVIATION, MEAN, EvaClipConfig
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.model.unified import UnifiedConfig
from blip3o.processing import tokenizer as tok
from blip3o.processing.chat_template import PromptConfig
from blip3o.weights.folders import PUBLISHED_CONFIG as CONFIG

PROCESSOR = "preprocessor_config.json"
DENOISER = "model.dit.model."
TOWER = "model.gen_vision_tower.vision_tower.model."
"""Where the target encoder stands in files that hold it."""
UNUSED = ("model.gen_vision_tower.", "model.vae.")
"""Tensors that the trainer saved along, and that no unified model uses."""
READER = "model.vision_tower."
"""Where a backbone that reads by SigLIP has its tower."""
SIGLIP_NAMES = (
    (r"^model\.vision_tower\.(vision_tower\.)?(vision_model\.)?", "visual.tower."),
    (r"^model\.mm_projector\.", "visual.projector."),
)
"""A pattern of its tensors' names -> the name here."""
SIGLIP_HEADS = 16
"""Of SigLIP so400m, which no tensor shows."""
SIGLIP_TOKENS: dict[str, Any] = {
    "picture_tokens": (tok.IMAGE_START, tok.QUERY, tok.IMAGE_END),
    "query": tok.IMAGE_PAD,
}
"""In published models that read by SigLIP these tokens change places."""
HALF = (0.5, 0.5, 0.5)
HEAD_WIDTH = 112
"""Of the published tower, whose number of heads no tensor shows."""

Shapes = Mapping[str, tuple[int, ...]]
Config = TypeVar("Config")


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """What stands in a folder's config. Raises CheckpointError where it is missing or no JSON."""
    path = folder / name
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no {name}: name the folder of a whole checkpoint") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}): copy it again from its source") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path} is {type(facts).__name__}, expected keys and values: copy it again")
    with sensible(path):
        return finite(facts)


@contextmanager
def sensible(source: Path) -> Iterator[None]:
    """Raises CheckpointError for whatever goes wrong meanwhile with what a file or folder says of a network."""
    try:
        yield
    except CheckpointError:
        raise
    except ConfigError as error:
        raise CheckpointError(f"{source} describes no network: {error}: use the config of its weights") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{source} describes no network ({type(error).__name__}: {error}): use the config of its weights"
        ) from error


def unified_config(facts: Mapping[str, Any], shapes: Shapes) -> UnifiedConfig:
    """The sizes of all parts, from config.json and from the tensors' shapes."""
    text = {**facts, **(facts.get("text_config") or {})}
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    text["rope_theta"] = text.get("rope_theta", rope.get("rope_theta"))
    by_siglip = any(name.startswith(READER) for name in shapes)
    try:
        backbone = _reading_by_siglip(text, rope, shapes) if by_siglip else _qwen2_5_vl(text, rope)
        queries = int(facts["n_query"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"config.json lacks {error} of a BLIP3-o: name the folder of a published one") from error
    denoiser = denoiser_config(shapes, side=round(queries**0.5))
    head = FlowHeadConfig(
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


def _qwen2_5_vl(text: Mapping[str, Any], rope: Mapping[str, Any]) -> QwenConfig:
    language = {**text, "mrope_section": tuple(rope["mrope_section"])}
    tower = {**text["vision_config"]}
    tower["fullatt_block_indexes"] = tuple(tower["fullatt_block_indexes"])
    return QwenConfig(
        text=_chosen(language, QwenTextConfig), vision=_chosen(tower, QwenVisionConfig), reads_by_grid=True
    )


def _reading_by_siglip(text: Mapping[str, Any], rope: Mapping[str, Any], shapes: Shapes) -> Llama3Config | Qwen3Config:
    """A language model of the kind that its tensors show: Qwen3 normalises queries, Llama does not."""
    scaling = {key: value for key, value in rope.items() if key not in ("type", "rope_theta")}
    language = {
        "head_dim": text["hidden_size"] // text["num_attention_heads"],
        "max_position_embeddings": TextConfig.max_position_embeddings,
        **text,
        "rope_scaling": scaling if scaling.get("rope_type", "default") != "default" else None,
    }
    sizes = _chosen(language, TextConfig)
    named = ((_in_backbone(name), shape) for name, shape in shapes.items())
    towers = {name.removeprefix("visual."): shape for name, shape in named if name is not None}
    vision = siglip_config(towers, int(text.get("vision_num_attention_heads", SIGLIP_HEADS)))
    if "model.layers.0.self_attn.q_norm.weight" in shapes:
        return Qwen3Config(text=sizes, vision=vision)
    return Llama3Config(text=sizes, vision=vision)


def siglip_config(shapes: Shapes, heads: int) -> SiglipConfig:
    """The sizes of a SigLIP tower, by its tensors, called `tower.*`."""
    width, _, patch, _ = shape_of(shapes, "tower.embeddings.patch_embedding.weight")
    rows = round(shape_of(shapes, "tower.embeddings.position_embedding.weight")[0] ** 0.5)
    return SiglipConfig(
        hidden_size=width,
        intermediate_size=shape_of(shapes, "tower.encoder.layers.0.mlp.fc1.weight")[0],
        num_hidden_layers=count(shapes, r"tower\.encoder\.layers\.(\d+)\."),
        num_attention_heads=heads,
        image_size=rows * patch,
        patch_size=patch,
    )


def prompt_config(folder: Path, vision: QwenVisionConfig | SiglipConfig, slot_length: int) -> PromptConfig:
    """The words around prompts, in the form that published scores were drawn with, and how pictures are read: as the
    folder's preprocessor_config.json has it, else as Qwen2.5-VL does."""
    given = read_config(folder, PROCESSOR) if (folder / PROCESSOR).is_file() else {}
    size = given.get("size") or {}
    least = given.get("min_pixels") or size.get("shortest_edge") or PromptConfig.least_pixels
    most = given.get("max_pixels") or size.get("longest_edge") or PromptConfig.most_pixels
    tokens = SIGLIP_TOKENS if isinstance(vision, SiglipConfig) else {}
    return PromptConfig(
        picture_size=vision.image_size if isinstance(vision, SiglipConfig) else None,
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
        slot_length=slot_length,
        longest_prompt=20_000,
        least_pixels=int(least),
        most_pixels=int(most),
        mean=tuple(given.get("image_mean", HALF if tokens else MEAN)),
        deviation=tuple(given.get("image_std", HALF if tokens else DEVIATION)),
        system="You are a helpful assistant.",
        request="Please generate image based on the following caption: {}",
        **tokens,
    )


def denoiser_config(shapes: Shapes, side: int) -> NextDiTConfig:
    """The sizes of the diffusion transformer, by its tensors."""
    width, channels = shape_of(shapes, f"{DENOISER}patch_embedder.proj.weight")
    return NextDiTConfig(
        channels=channels,
        side=side,
        condition_width=shape_of(shapes, f"{DENOISER}caption_projection.linear_1.weight")[1],
        width=width,
        depth=count(shapes, rf"{re.escape(DENOISER)}layers\.(\d+)\."),
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
        depth=count(shapes, r"blocks\.(\d+)\."),
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
    found = _in_backbone(name)
    return None if found is None else f"backbone.{found}"


def _in_backbone(name: str) -> str | None:
    """What a tensor of published files is called in its backbone; None for SigLIP's pooling head, which is not used."""
    for pattern, ours in (*SIGLIP_NAMES, *qwen2_5_vl.NAMES):
        name = re.sub(pattern, ours, name)
    return None if name.startswith("visual.tower.head.") else name


def published_name(name: str) -> str:
    """What a tensor of ours is called in published files: the inverse of `renamed`."""
    if name == "head.queries":
        return "model.latent_queries"
    if name.startswith("head.denoiser."):
        name = name.removeprefix("head.denoiser.")
        for published, ours in reversed(next_dit.NAMES):
            name = name.replace(ours, published)
        return f"{DENOISER}{name}"
    name = name.removeprefix("backbone.").replace("language_model.", "model.", 1)
    for ours, published in (("visual.tower.", f"{READER}vision_model."), ("visual.projector.", "model.mm_projector.")):
        name = name.replace(ours, published, 1)
    return name


def published_config(config: UnifiedConfig, pool: int) -> dict[str, Any]:
    """The config.json of a unified model; `pool` is that of its target encoder."""
    backbone = config.backbone
    facts = {
        "architectures": ["blip3oQwenForCausalLM"],
        **asdict(backbone.text),
        "n_query": config.head.slot_length,
        "gen_vision_tower": "eva-clip-E-14-plus",
        "gen_hidden_size": config.head.channels,
        "gen_pooling": f"early_pool2d_{pool}",
    }
    if not isinstance(backbone, QwenConfig):
        tower = {"model_type": backbone.kind, "vision_num_attention_heads": backbone.vision.num_attention_heads}
        return facts | tower
    sections, blocks = list(facts.pop("mrope_section")), list(backbone.vision.fullatt_block_indexes)
    rope = {"type": "default", "rope_type": "default", "mrope_section": sections}
    width = {"out_hidden_size": backbone.text.hidden_size}
    vision = {"model_type": "qwen2_5_vl", **asdict(backbone.vision), "fullatt_block_indexes": blocks, **width}
    return facts | {"model_type": "blip3o_qwen", "rope_scaling": rope, "vision_config": vision}


def shape_of(shapes: Shapes, name: str) -> tuple[int, ...]:
    """The shape of a tensor. Raises CheckpointError where it is missing."""
    if name not in shapes:
        raise CheckpointError(f"the checkpoint lacks {name}, by which its sizes are known: use a whole checkpoint")
    return shapes[name]


def _chosen(facts: Mapping[str, Any], kind: type[Config]) -> Config:
    """A config, of the facts that it has fields for; KeyError for one that is missing."""
    return from_dict(kind, {field.name: facts[field.name] for field in fields(kind)})  # pyright: ignore[reportArgumentType]


def count(shapes: Shapes, pattern: str) -> int:
    """How many numbers the group of the pattern takes among the names."""
    return len({found[1] for name in shapes if (found := re.match(pattern, name))})
