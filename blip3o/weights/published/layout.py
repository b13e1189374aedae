"""Where the parts of a published model lie: its folders, their configs, the networks in their files.

    <folder>/config.json, model*.safetensors       the unified model; the target encoder may be inside
    <folder>/eva_clip_vision_tower/                 the target encoder, where it lies apart
    <folder>/diffusion-decoder/{unet,vae,scheduler} the decoder, in the layout of diffusers

SigLIP2_SANA is one folder with an encoder and a decoder: `encoder.`, `transformer.`, `connector.` and `vae.` in
model*.safetensors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blip3o.config import finite
from blip3o.errors import CheckpointError, ConfigError
from blip3o.weights.folders import PUBLISHED_CONFIG, TOWER_FOLDER, existing, read_json
from blip3o.weights.published import unified
from blip3o.weights.published.adapter import Adapter, recognised
from blip3o.weights.published.eva_clip import EVA_CLIP, EVA_CLIP_INSIDE
from blip3o.weights.published.sana import SANA
from blip3o.weights.published.sdxl import SDXL
from blip3o.weights.published.siglip import SIGLIP
from blip3o.weights.safetensors_files import Files, Shards

ENCODERS: Sequence[Adapter] = (SIGLIP, EVA_CLIP, EVA_CLIP_INSIDE)
DECODERS: Sequence[Adapter] = (SDXL, SANA)
"""Those that lie in several folders are known by the first of them, and go first."""
WEIGHTS, SCHEDULE = "diffusion_pytorch_model", "scheduler_config.json"
"""What `diffusers` calls its files."""
ENCODER_FACTS = ("vision_cfg", "gen_pooling")
"""What configs beside the encoder's own may say of it; the rest there is of other networks."""


@dataclass(frozen=True, kw_only=True)
class NetworkFiles:
    """A network in its files: known by its config, not yet built or read."""

    config: Any
    files: Files


def find_unified(folder: Path) -> NetworkFiles:
    """The unified model of a folder. Raises CheckpointError for a folder that holds no such model."""
    facts, shards = read_config(folder), Shards.find(folder)
    with describing(folder):
        config, names = unified.read(facts, shards.shapes)
    return NetworkFiles(config=config, files={"": (shards, names)})


def holds_encoder(folder: Path) -> bool:
    """Whether a model's folder has its target encoder, apart or among its own tensors."""
    apart = any((folder / TOWER_FOLDER).glob("*.safetensors"))
    return apart or recognised(ENCODERS, Shards.find(folder).shapes) is not None


def find_encoder(model: Path, apart: Path | None = None) -> NetworkFiles:
    """The target encoder of a model's folder: in a folder `apart`, in its own `eva_clip_vision_tower`, or inside.

    Raises CheckpointError where it is nowhere.
    """
    inside = model / TOWER_FOLDER
    folder = apart or (inside if any(inside.glob("*.safetensors")) else model)
    shards = Shards.find(folder)
    adapter = recognised(ENCODERS, shards.shapes)
    if adapter is None:
        raise CheckpointError(
            f"{folder} holds no target encoder: put the tensors of jiuhai/eva_clip_vision_tower, as safetensors, into "
            f"{inside}, or name another place with --encoder"
        )
    beside = _config_or_empty(model) | _config_or_empty(inside)
    facts = {key: beside[key] for key in ENCODER_FACTS if key in beside} | _config_or_empty(folder)
    return _network(adapter, folder, facts, {"": shards})


def find_decoder(folder: Path) -> NetworkFiles:
    """The decoder in a folder. Raises CheckpointError where the folder or a part of it is missing."""
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} does not exist: copy the folder diffusion-decoder of BLIP3o/BLIP3o-Model-8B there (4B and 8B "
            "share it; models trained further come without), or name another place with --decoder"
        )
    adapter = next((a for a in DECODERS if (folder / (*a.folders, PUBLISHED_CONFIG)[0]).exists()), SDXL)
    if not adapter.folders:
        return _network(adapter, folder, read_config(folder), {"": Shards.find(folder)})
    files = {part: Shards.find(folder / part, WEIGHTS) for part in adapter.folders}
    facts = {part: read_config(folder / part) for part in adapter.folders}
    return _network(adapter, folder, facts | {"scheduler": read_config(folder / "scheduler", SCHEDULE)}, files)


def _config_or_empty(folder: Path) -> dict[str, Any]:
    return read_config(folder) if (folder / PUBLISHED_CONFIG).is_file() else {}


def _network(adapter: Adapter, folder: Path, facts: dict[str, Any], files: dict[str, Shards]) -> NetworkFiles:
    shapes = {
        f"{part}.{name}".removeprefix("."): shape
        for part, shards in files.items()
        for name, shape in adapter.names.renamed(shards.shapes).items()
    }
    with describing(folder):
        config = adapter.read(facts, shapes)
    return NetworkFiles(config=config, files={part: (shards, adapter.names) for part, shards in files.items()})


def read_config(folder: Path, name: str = PUBLISHED_CONFIG) -> dict[str, Any]:
    """What stands in a folder's config. Raises CheckpointError where it is missing or no JSON."""
    path = existing(folder / name)
    facts = read_json(path)
    with describing(path):
        return finite(facts)


@contextmanager
def describing(source: Path) -> Iterator[None]:
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
