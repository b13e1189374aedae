"""Published checkpoints -> machines: a folder in the layout of `weights/layout.py`, read straight to its device."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder
from blip3o.model.encoders.eva_clip import EvaClip, EvaClipConfig
from blip3o.model.space import SpaceConfig
from blip3o.model.unified import Unified
from blip3o.prompt.tokenizer import Words
from blip3o.weights.layout import (
    CONFIG,
    TOWER,
    prompt_config,
    read_config,
    renamed,
    tower_config,
    unified_config,
)
from blip3o.weights.machine import Machine, ModelConfig, SamplingConfig
from blip3o.weights.shards import Shards

SAMPLING = SamplingConfig(steps=30, guidance=3.0, decoder_steps=50)
"""As published."""
DECODER_FOLDER, TOWER_FOLDER = "diffusion-decoder", "eva_clip_vision_tower"
WEIGHTS = "diffusion_pytorch_model"
"""What files of diffusers are called."""

FIRST = "cls_token"
"""A tensor by which the target encoder is known."""

Part = Literal["encoder", "decoder"]
"""A part that lies in files of its own, without which a model can do some things and not others."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the parts of a published model lie."""

    unified: Path
    encoder: Path | None = None
    """A folder with the target encoder; default: `eva_clip_vision_tower` in the model's folder, or its own tensors."""
    decoder: Path | None = None
    """A folder with unet, vae and scheduler; default: `diffusion-decoder` in the model's folder."""

    @property
    def encoder_folder(self) -> Path:
        apart = self.encoder or self.unified / TOWER_FOLDER
        return apart if self.encoder or any(apart.glob("*.safetensors")) else self.unified

    @property
    def decoder_folder(self) -> Path:
        return self.decoder or self.unified / DECODER_FOLDER


def plan(source: Source, needs: Collection[Part] | None = None) -> ModelConfig:
    """The config of a published model, from its configs and the headers of its files: no tensor is read.

    `needs` are the parts that must be there; None takes those that are. Raises CheckpointError for what is missing, and
    for parts that do not fit together.
    """
    folder = source.unified
    unified = unified_config(read_config(folder), Shards.find(folder).shapes)
    encoder = _encoder_config(source) if _wanted("encoder", needs, _has_encoder(source)) else None
    decoder = sdxl_config(source.decoder_folder) if _wanted("decoder", needs, source.decoder_folder.is_dir()) else None
    try:
        return ModelConfig(
            name=folder.resolve().name,
            prompt=prompt_config(folder, unified.backbone.vision, unified.head.slot_length),
            unified=unified,
            space=SpaceConfig(encoder=encoder, decoder=decoder),
            sampling=SAMPLING,
        )
    except ConfigError as error:
        raise CheckpointError(f"the parts of {folder} do not fit together: {error}") from error


def sketch(source: Source, needs: Collection[Part] | None = None) -> Machine:
    """A published model without its tensors, on the meta device; of its files only the headers are read."""
    config, words = plan(source, needs), Words.load(source.unified)
    with torch.device("meta"):
        return Machine(config, words)


def load(
    source: Source,
    needs: Collection[Part] | None = None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Machine:
    """A published model, ready to use. Raises CheckpointError, as `plan` does and for tensors that do not fit."""
    machine = sketch(source, needs)
    config = machine.config
    machine.unified = load_unified(source.unified, device=device, dtype=dtype)
    if config.space.encoder is not None:
        machine.space.encoder = load_tower(source, device=device, dtype=dtype)
    if config.space.decoder is not None:
        machine.space.decoder = load_sdxl(source.decoder_folder, device=device, dtype=dtype)
    channels = config.unified.head.channels
    machine.space.mean, machine.space.deviation = (make(channels, device=device) for make in (torch.zeros, torch.ones))
    return machine.eval()


def load_unified(folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Unified:
    """The unified model of a folder, its tensors straight on their device; `dtype` None keeps that of the files.

    Raises CheckpointError for a folder that holds no such model, and for tensors missing, unknown or misshapen.
    """
    facts, shards = read_config(folder), Shards.find(folder)
    config = unified_config(facts, shards.shapes)
    with torch.device("meta"):
        unified = Unified(config)
    tied = config.backbone.text.tie_word_embeddings
    shards.fill(unified, lambda name: renamed(name, tied), device=device, dtype=dtype)
    return unified.eval()


def load_tower(source: Source, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> EvaClip:
    """The target encoder, from where it lies. Raises CheckpointError where it is nowhere."""
    shards, start = _tower_shards(source)
    with torch.device("meta"):
        tower = EvaClip(_encoder_config(source))
    shards.fill(
        tower, lambda name: name.removeprefix(start) if name.startswith(start) else None, device=device, dtype=dtype
    )
    return tower.eval()


def load_sdxl(folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> SdxlDecoder:
    """The decoder of a `diffusion-decoder` folder: unet, vae and scheduler in the layout of diffusers.

    Raises CheckpointError where the folder or a part of it is missing or does not fit its config.
    """
    with torch.device("meta"):
        decoder = SdxlDecoder(sdxl_config(folder))
    for part in ("unet", "vae"):
        shards = Shards.find(folder / part, WEIGHTS)
        shards.fill(getattr(decoder, part), lambda name: name, device=device, dtype=dtype)
    return decoder.eval()


def sdxl_config(folder: Path) -> SdxlConfig:
    """The config of a `diffusion-decoder` folder. Raises CheckpointError where it is not there or not whole."""
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} does not exist: copy the folder diffusion-decoder of BLIP3o/BLIP3o-Model-8B there (4B and 8B "
            "share it; models trained further come without), or name another place with --decoder"
        )
    for part in ("unet", "vae"):
        Shards.find(folder / part, WEIGHTS)
    unet, vae = read_config(folder / "unet"), read_config(folder / "vae")
    return SdxlConfig(
        unet=unet,
        vae=vae,
        scheduler=read_config(folder / "scheduler", "scheduler_config.json"),
        size=unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1),
    )


def _wanted(part: Part, needs: Collection[Part] | None, there: bool) -> bool:
    return there if needs is None else part in needs


def _has_encoder(source: Source) -> bool:
    return source.encoder_folder != source.unified or TOWER + FIRST in Shards.find(source.unified).shapes


def _encoder_config(source: Source) -> EvaClipConfig:
    shards, start = _tower_shards(source)
    facts = read_config(source.unified)
    for folder in (source.unified / TOWER_FOLDER, source.encoder_folder):
        if (folder / CONFIG).is_file():
            facts |= read_config(folder)
    return tower_config(facts, {name.removeprefix(start): shape for name, shape in shards.shapes.items()})


def _tower_shards(source: Source) -> tuple[Shards, str]:
    """The files that hold the target encoder, and how its names begin in them."""
    shards = Shards.find(source.encoder_folder)
    start = "" if FIRST in shards.shapes else TOWER
    if f"{start}{FIRST}" not in shards.shapes:
        raise CheckpointError(
            f"{source.encoder_folder} holds no target encoder: put the tensors of jiuhai/eva_clip_vision_tower, as "
            f"safetensors, into {source.unified / TOWER_FOLDER}, or name another place with --encoder"
        )
    return shards, start
