"""Published layout <-> ours: the same tensors, bit for bit, under other names.

Ours is one folder with everything a model needs: config.yaml, model.safetensors, the tokenizer.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from blip3o.errors import CheckpointError
from blip3o.files import write_text
from blip3o.model.decoders.sdxl import SdxlConfig
from blip3o.model.encoders.eva_clip import EvaClipConfig
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights import checkpoint
from blip3o.weights.checkpoint import write_tensors
from blip3o.weights.folders import DECODER_FOLDER, TOWER_FOLDER
from blip3o.weights.placement.device import DevicePlacement
from blip3o.weights.published import model as published
from blip3o.weights.published.layout import CONFIG, TOWER, published_config, published_name
from blip3o.weights.published.model import Source
from blip3o.weights.published.spaces import WEIGHTS

AS_IT_IS = DevicePlacement(device=torch.device("cpu"), dtype=None)
SHARD_BYTES = 5_000_000_000
"""Most bytes of one file of the published layout."""


def to_ours(source: Source, folder: Path, *, verify: bool = True) -> Path:
    """Write a published model as one folder of ours, its tensors in their own dtype. Raises CheckpointError."""
    pipeline = published.deferred(source, verify=verify).load(AS_IT_IS)
    checkpoint.save(pipeline, folder, dtype=None)
    return folder


def to_published(
    pipeline: Pipeline, folder: Path, *, shard_bytes: int = SHARD_BYTES, encoder_inside: bool = False
) -> Path:
    """Write a machine of the published architecture in the published layout.

    The target encoder gets a folder of its own, or goes `encoder_inside` the model's files. Raises CheckpointError for
    a model of another architecture.
    """
    space = pipeline.config.space
    encoder, decoder = space.encoder, space.decoder
    if not isinstance(encoder, EvaClipConfig | None) or not isinstance(decoder, SdxlConfig | None):
        raise CheckpointError(
            f"{pipeline.config.name} has parts that the published layout has no place for: it takes an EVA-CLIP "
            "encoder and an SDXL decoder"
        )
    tensors = {published_name(name): value for name, value in pipeline.unified.state_dict().items()}
    tensors["model.latent_queries"] = tensors["model.latent_queries"][None]
    tower = {} if encoder is None else dict(pipeline.space.encoder.state_dict())
    if encoder_inside:
        tensors |= {TOWER + name: value for name, value in tower.items()}
    elif tower:
        write_tensors(folder / TOWER_FOLDER / checkpoint.WEIGHTS, tower)
        facts = {"vision_cfg": {"head_width": encoder.channels // encoder.num_heads}} if encoder else {}
        _write_json(folder / TOWER_FOLDER / CONFIG, facts)
    _write_shards(folder, tensors, shard_bytes)
    _write_json(folder / CONFIG, published_config(pipeline.config.unified, 1 if encoder is None else encoder.pool))
    pipeline.template.words.save(folder)
    if decoder is not None:
        _write_decoder(folder / DECODER_FOLDER, decoder, dict(pipeline.space.decoder.state_dict()))
    return folder


def _write_shards(folder: Path, tensors: Mapping[str, Tensor], most: int) -> None:
    shards = list(_shards(tensors, most))
    if len(shards) == 1:
        write_tensors(folder / checkpoint.WEIGHTS, shards[0])
        return
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(folder / name, shard)
        places |= dict.fromkeys(shard, name)
    total = sum(value.nbytes for value in tensors.values())
    _write_json(folder / f"{checkpoint.WEIGHTS}.index.json", {"metadata": {"total_size": total}, "weight_map": places})


def _shards(tensors: Mapping[str, Tensor], most: int) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if shard and sum(held.nbytes for held in shard.values()) + value.nbytes > most:
            yield shard
            shard = {}
        shard[name] = value
    yield shard


def _write_decoder(folder: Path, config: SdxlConfig, tensors: Mapping[str, Tensor]) -> None:
    for part, facts in (("unet", config.unet), ("vae", config.vae)):
        held = {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
        write_tensors(folder / part / f"{WEIGHTS}.safetensors", held)
        _write_json(folder / part / CONFIG, facts)
    _write_json(folder / "scheduler" / "scheduler_config.json", config.scheduler)


def _write_json(path: Path, facts: Mapping[str, object]) -> None:
    write_text(path, json.dumps(facts, indent=1))
