"""Published checkpoints -> machines: a folder in the layout of layout.py, read straight to its device."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.decoders.decoder import Decoder
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.space import SpaceConfig
from blip3o.model.unified import Unified
from blip3o.pipeline.pipeline import ModelConfig
from blip3o.pipeline.sampling import PUBLISHED
from blip3o.processing.tokenizer import Tokenizer
from blip3o.weights.deferred import DeferredModel, built
from blip3o.weights.folders import DECODER_FOLDER, Part
from blip3o.weights.published.layout import prompt_config, read_config, renamed, sensible, unified_config
from blip3o.weights.published.spaces import NetworkFiles, find_decoder, find_encoder, holds_encoder
from blip3o.weights.safetensors_files import Files, Shards

ABOUT = {"layout": "published"}
"""The facts told of such a model."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the parts of a published model lie."""

    unified: Path
    encoder: Path | None = None
    """A folder with the target encoder; default: `eva_clip_vision_tower` in the model's folder, or its own tensors."""
    decoder: Path | None = None
    """A folder with unet, vae and scheduler; default: `diffusion-decoder` in the model's folder."""

    def find_encoder(self) -> NetworkFiles[Encoder]:
        """The target encoder in its files. Raises CheckpointError where it is nowhere."""
        return find_encoder(self.unified, self.encoder)

    def find_decoder(self) -> NetworkFiles[Decoder]:
        """The decoder in its files. Raises CheckpointError where it is nowhere."""
        return find_decoder(self.decoder or self.unified / DECODER_FOLDER)

    @property
    def holds(self) -> set[Part]:
        """The parts that are there."""
        there: set[Part] = {"encoder"} if self.encoder or holds_encoder(self.unified) else set()
        return there | ({"decoder"} if self.decoder or (self.unified / DECODER_FOLDER).is_dir() else set())


def deferred(source: Source, needs: Collection[Part] | None = None, *, verify: bool = True) -> DeferredModel:
    """A published model without its tensors, from its configs and the headers of its files.

    `needs` are the parts that must be there; None takes those that are. Raises CheckpointError for what is missing, and
    for parts that do not fit together.
    """
    config, files = gather(source, needs)
    words = Tokenizer.load(source.unified)
    shapes = {f"{place}.{name}": shape for place, (held, _) in files.items() for name, shape in held.shapes.items()}
    pipeline = built(config, words, shapes)
    for place, (held, rename) in files.items():
        held.match(pipeline.get_submodule(place), rename)
    channels = config.unified.head.channels
    pipeline.space.mean, pipeline.space.deviation = torch.zeros(channels), torch.ones(channels)
    return DeferredModel(pipeline=pipeline, files=files, about=ABOUT, verify=verify)


def gather(source: Source, needs: Collection[Part] | None = None) -> tuple[ModelConfig, Files]:
    """The config of a published model, and the files of its networks; `needs` as for `sketch`. No network is built.

    Raises CheckpointError.
    """
    wanted = source.holds if needs is None else needs
    unified = find_unified(source.unified)
    encoder = source.find_encoder() if "encoder" in wanted else None
    decoder = source.find_decoder() if "decoder" in wanted else None
    networks = {"unified": unified, "space.encoder": encoder, "space.decoder": decoder}
    files = {
        f"{place}.{inside}".removesuffix("."): found
        for place, network in networks.items()
        for inside, found in (network.files.items() if network else ())
    }
    return _config(source.unified, unified, encoder, decoder), files


def _config(
    folder: Path,
    unified: NetworkFiles[Unified],
    encoder: NetworkFiles[Encoder] | None,
    decoder: NetworkFiles[Decoder] | None,
) -> ModelConfig:
    with sensible(folder):
        prompt = prompt_config(folder, unified.config.backbone.vision, unified.config.head.slot_length)
    try:
        return ModelConfig(
            name=folder.resolve().name,
            prompt=prompt,
            unified=unified.config,
            space=SpaceConfig(encoder=encoder and encoder.config, decoder=decoder and decoder.config),
            sampling=PUBLISHED,
        )
    except ConfigError as error:
        raise CheckpointError(f"the parts of {folder} do not fit together: {error}") from error


def find_unified(folder: Path) -> NetworkFiles[Unified]:
    """The unified model of a folder. Raises CheckpointError for a folder that holds no such model."""
    facts, shards = read_config(folder), Shards.find(folder)
    with sensible(folder):
        config = unified_config(facts, shards.shapes)
    tied = config.backbone.text.tie_word_embeddings
    return NetworkFiles(config=config, make=Unified, files={"": (shards, lambda name: renamed(name, tied))})
