"""Published checkpoints -> machines: a folder in the layout of `weights/layout.py`, read straight to its device."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.decoders.decoder import Decoder
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.space import SpaceConfig
from blip3o.model.unified import Unified
from blip3o.prompt.tokenizer import Words
from blip3o.weights.layout import (
    prompt_config,
    read_config,
    renamed,
    unified_config,
)
from blip3o.weights.machine import Machine, ModelConfig, SamplingConfig
from blip3o.weights.shards import Shards
from blip3o.weights.spaces import DECODER_FOLDER, Found, find_decoder, find_encoder, holds_encoder

SAMPLING = SamplingConfig(steps=30, guidance=3.0, decoder_steps=50)
"""As published."""
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

    def find_encoder(self) -> Found[Encoder]:
        """The target encoder in its files. Raises CheckpointError where it is nowhere."""
        return find_encoder(self.unified, self.encoder)

    def find_decoder(self) -> Found[Decoder]:
        """The decoder in its files. Raises CheckpointError where it is nowhere."""
        return find_decoder(self.decoder or self.unified / DECODER_FOLDER)

    @property
    def holds(self) -> set[Part]:
        """The parts that are there."""
        there: set[Part] = {"encoder"} if self.encoder or holds_encoder(self.unified) else set()
        return there | ({"decoder"} if self.decoder or (self.unified / DECODER_FOLDER).is_dir() else set())


def plan(source: Source, needs: Collection[Part] | None = None) -> ModelConfig:
    """The config of a published model, from its configs and the headers of its files: no tensor is read.

    `needs` are the parts that must be there; None takes those that are. Raises CheckpointError for what is missing, and
    for parts that do not fit together.
    """
    folder = source.unified
    unified = unified_config(read_config(folder), Shards.find(folder).shapes)
    encoder, decoder = _found(source, needs)
    try:
        return ModelConfig(
            name=folder.resolve().name,
            prompt=prompt_config(folder, unified.backbone.vision, unified.head.slot_length),
            unified=unified,
            space=SpaceConfig(encoder=encoder and encoder.config, decoder=decoder and decoder.config),
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
    encoder, decoder = _found(source, needs)
    machine.unified = load_unified(source.unified, device=device, dtype=dtype)
    if encoder is not None:
        machine.space.encoder = encoder.load(device=device, dtype=dtype)
    if decoder is not None:
        machine.space.decoder = decoder.load(device=device, dtype=dtype)
    channels = machine.config.unified.head.channels
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


def _found(source: Source, needs: Collection[Part] | None) -> tuple[Found[Encoder] | None, Found[Decoder] | None]:
    wanted = source.holds if needs is None else needs
    encoder = source.find_encoder() if "encoder" in wanted else None
    return encoder, source.find_decoder() if "decoder" in wanted else None
