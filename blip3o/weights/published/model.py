"""A published checkpoint as a pipeline: its networks (layout.py) and the words around its prompts, in one config."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.backbones.qwen2_5_vl import QwenVisionConfig
from blip3o.model.encoders.eva_clip import DEVIATION, MEAN
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.model.space import SpaceConfig
from blip3o.pipeline.pipeline import ModelConfig
from blip3o.pipeline.sampling import PUBLISHED
from blip3o.processing import tokenizer as tok
from blip3o.processing.chat_template import PromptConfig
from blip3o.processing.tokenizer import Tokenizer
from blip3o.weights.deferred import DeferredModel, build
from blip3o.weights.folders import DECODER_FOLDER, Part
from blip3o.weights.published.layout import (
    describing,
    find_decoder,
    find_encoder,
    find_unified,
    holds_encoder,
    read_config,
)
from blip3o.weights.safetensors_files import Files

ABOUT = {"layout": "published"}
"""The facts told of such a model."""
PROCESSOR = "preprocessor_config.json"
SIGLIP_TOKENS: dict[str, Any] = {
    "picture_tokens": (tok.IMAGE_START, tok.QUERY, tok.IMAGE_END),
    "query": tok.IMAGE_PAD,
}
"""In published models that read by SigLIP these tokens change places."""
HALF = (0.5, 0.5, 0.5)


def open_model(
    folder: Path,
    needs: Collection[Part] | None = None,
    encoder: Path | None = None,
    decoder: Path | None = None,
    *,
    verify: bool = True,
) -> DeferredModel:
    """A published model without its tensors, from its configs and the headers of its files.

    `needs` are the parts that must be there; None takes those that are. `encoder` and `decoder` are their folders where
    they lie elsewhere. Raises CheckpointError for what is missing, and for parts that do not fit together.
    """
    config, files = gather(folder, needs, encoder, decoder)
    tokenizer = Tokenizer.load(folder)
    shapes = {f"{place}.{name}": shape for place, (held, _) in files.items() for name, shape in held.shapes.items()}
    pipeline = build(config, tokenizer, shapes)
    for place, (shards, names) in files.items():
        shards.match(pipeline.get_submodule(place), names)
    channels = config.unified.head.channels
    pipeline.space.mean, pipeline.space.deviation = torch.zeros(channels), torch.ones(channels)
    return DeferredModel(pipeline=pipeline, files=files, about=ABOUT, verify=verify)


def gather(
    folder: Path, needs: Collection[Part] | None = None, encoder: Path | None = None, decoder: Path | None = None
) -> tuple[ModelConfig, Files]:
    """The config of a published model and the files of its networks; arguments and errors are those of `open_model`."""
    decoder_folder = decoder or folder / DECODER_FOLDER
    takes_encoder = (encoder or holds_encoder(folder)) if needs is None else "encoder" in needs
    takes_decoder = (decoder or decoder_folder.is_dir()) if needs is None else "decoder" in needs
    unified = find_unified(folder)
    encoding = find_encoder(folder, encoder) if takes_encoder else None
    painting = find_decoder(decoder_folder) if takes_decoder else None
    networks = {"unified": unified, "space.encoder": encoding, "space.decoder": painting}
    files = {
        f"{place}.{inside}".removesuffix("."): found
        for place, network in networks.items()
        for inside, found in (network.files.items() if network else ())
    }
    with describing(folder):
        prompt = prompt_config(folder, unified.config.backbone.vision, unified.config.head.slot_length)
    try:
        config = ModelConfig(
            name=folder.resolve().name,
            prompt=prompt,
            unified=unified.config,
            space=SpaceConfig(encoder=encoding and encoding.config, decoder=painting and painting.config),
            sampling=PUBLISHED,
        )
    except ConfigError as error:
        raise CheckpointError(f"the parts of {folder} do not fit together: {error}") from error
    return config, files


def prompt_config(folder: Path, vision: QwenVisionConfig | SiglipConfig, slot_length: int) -> PromptConfig:
    """The words around prompts, in the form that published scores were drawn with, and how pictures are read: as the
    folder's preprocessor_config.json has it, else as Qwen2.5-VL does."""
    facts = read_config(folder, PROCESSOR) if (folder / PROCESSOR).is_file() else {}
    size = facts.get("size") or {}
    least = facts.get("min_pixels") or size.get("shortest_edge") or PromptConfig.least_pixels
    most = facts.get("max_pixels") or size.get("longest_edge") or PromptConfig.most_pixels
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
        mean=tuple(facts.get("image_mean", HALF if tokens else MEAN)),
        deviation=tuple(facts.get("image_std", HALF if tokens else DEVIATION)),
        system="You are a helpful assistant.",
        request="Please generate image based on the following caption: {}",
        **tokens,
    )
