"""Published layout <-> ours: the same tensors, bit for bit, under other names.

Ours is one folder with everything a model needs: config.yaml, model.safetensors, the tokenizer.
"""

from pathlib import Path

from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor

from blip3o.errors import CheckpointError
from blip3o.model.decoders.sdxl import SdxlConfig
from blip3o.model.encoders.eva_clip import EvaClipConfig
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights import checkpoint
from blip3o.weights.checkpoint import write_tensors
from blip3o.weights.folders import DECODER_FOLDER, PUBLISHED_CONFIG, TOWER_FOLDER, write_json
from blip3o.weights.placement.device import DevicePlacement
from blip3o.weights.published import model as published
from blip3o.weights.published import unified
from blip3o.weights.published.eva_clip import EVA_CLIP, INSIDE
from blip3o.weights.published.layout import SCHEDULE, WEIGHTS
from blip3o.weights.published.sdxl import SDXL

SHARD_BYTES = 5_000_000_000
"""Most bytes of one file of the published layout."""


def to_ours(source: Path, folder: Path, *, decoder: Path | None = None, verify: bool = True) -> Path:
    """Write a published model as one folder of ours, its tensors in their own dtype. Raises CheckpointError."""
    pipeline = published.open_model(source, decoder=decoder, verify=verify).load(DevicePlacement(dtype=None))
    checkpoint.save(pipeline, folder, dtype=None)
    return folder


def to_published(
    pipeline: Pipeline, folder: Path, *, shard_bytes: int = SHARD_BYTES, encoder_inside: bool = False
) -> Path:
    """Write a pipeline of the published architecture in the published layout.

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
    facts, names = unified.write(pipeline.config.unified)
    tensors = names.renamed(pipeline.unified.state_dict())
    tensors["model.latent_queries"] = tensors["model.latent_queries"][None]
    encoder_facts = {"gen_pooling": "early_pool2d_1"} if encoder is None else EVA_CLIP.write(encoder)
    facts["gen_pooling"] = encoder_facts.pop("gen_pooling")
    if encoder is not None:
        tower = pipeline.space.encoder.state_dict()
        if encoder_inside:
            tensors |= INSIDE.inverse.renamed(tower)
        else:
            write_tensors(folder / TOWER_FOLDER / checkpoint.WEIGHTS, tower)
            write_json(folder / TOWER_FOLDER / PUBLISHED_CONFIG, encoder_facts)
    _write_shards(folder, tensors, shard_bytes)
    write_json(folder / PUBLISHED_CONFIG, facts)
    pipeline.template.words.save(folder)
    if decoder is not None:
        place, parts = folder / DECODER_FOLDER, SDXL.write(decoder)
        for part in SDXL.folders:
            tensors = pipeline.space.decoder.get_submodule(part).state_dict()
            write_tensors(place / part / f"{WEIGHTS}.safetensors", tensors)
            write_json(place / part / PUBLISHED_CONFIG, parts[part])
        write_json(place / "scheduler" / SCHEDULE, parts["scheduler"])
    return folder


def _write_shards(folder: Path, tensors: dict[str, Tensor], most: int) -> None:
    pattern = "model{suffix}.safetensors"
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=most, filename_pattern=pattern)
    for name, names in split.filename_to_tensors.items():
        write_tensors(folder / name, {name: tensors[name] for name in names})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_json(folder / f"{checkpoint.WEIGHTS}.index.json", index)
