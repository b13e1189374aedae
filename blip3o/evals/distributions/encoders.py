"""Frozen networks that turn pictures into features, by name, with the preparation they are published with.

The networks are those of FDr^6 (arXiv 2604.28190). Where a distance has a fixed preparation of its own it is that one:
FD-DINOv2 squashes to 224 px (dgm-eval, arXiv 2306.04675), FID resizes "clean" to 299 px. FDr's authors feed DINOv2 and
CLIP at 256 px and SigLIP2 at 224, so compare FDr with theirs only roughly; its ratios are of the same networks anyhow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from blip3o.errors import CheckpointError, ConfigError, brief
from blip3o.evals.distributions.folders import FeatureExtractor
from blip3o.evals.distributions.resize import clean

INCEPTION_PX = 299


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How a picture is made into pixels for a network."""

    size: int
    """Width and height in px."""
    cropped: bool
    """Scale the shorter side and crop the centre; else the whole picture is squashed into the square."""
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    filter: Image.Resampling = Image.Resampling.BICUBIC


SQUASHED = Preparation(size=224, cropped=False, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
CLIP_PREPARATION = Preparation(
    size=224,
    cropped=True,
    mean=(0.48145466, 0.4578275, 0.40821073),
    deviation=(0.26862954, 0.26130258, 0.27577711),
)


def prepared(pictures: Sequence[Image.Image], preparation: Preparation) -> Float[Tensor, "batch 3 height width"]:
    """Pixels as a network expects them: resized by Pillow, then (value / 255 - mean) / deviation."""
    shape = _central if preparation.cropped else _squashed
    resized = [shape(picture.convert("RGB"), preparation.size, preparation.filter) for picture in pictures]
    pixels = np.stack([np.asarray(picture, dtype=np.float32) / 255 for picture in resized])
    mean, deviation = (np.array(part, dtype=np.float32) for part in (preparation.mean, preparation.deviation))
    return torch.from_numpy((pixels - mean) / deviation).permute(0, 3, 1, 2)


def _squashed(picture: Image.Image, size: int, method: Image.Resampling) -> Image.Image:
    return picture.resize((size, size), method)


def _central(picture: Image.Image, size: int, method: Image.Resampling) -> Image.Image:
    """The shorter side scaled to the size and the longer one with it, rounded down, then the square in its middle."""
    shorter = min(picture.size)
    width, height = (size if side == shorter else int(size * side / shorter) for side in picture.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return picture.resize((width, height), method).crop((left, top, left + size, top + size))


# --- what is taken of each network's output ---------------------------------------------------------------------------


def _first_token(model: Any, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
    return model(pixel_values=pixels).last_hidden_state[:, 0]


def _first_token_unmasked(model: Any, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
    """MAE shuffles its patches by noise; constant noise leaves them in order, and none is masked."""
    count = (model.config.image_size // model.config.patch_size) ** 2
    noise = torch.arange(count, dtype=pixels.dtype, device=pixels.device).expand(len(pixels), -1)
    return model(pixel_values=pixels, noise=noise).last_hidden_state[:, 0]


def _tower_pooled(model: Any, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
    """Of the picture's tower, before its projection into the space of words."""
    return model.vision_model(pixel_values=pixels).pooler_output


def _mean_of_map(model: Any, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
    return model(pixel_values=pixels).last_hidden_state.mean(dim=(2, 3))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A network of transformers."""

    model_type: str
    """What its config calls it; a network of another type is refused."""
    source: str
    """On the Hub, where no other is named."""
    preparation: Preparation
    pool: Callable[[Any, Float[Tensor, "batch 3 height width"]], Float[Tensor, "batch dim"]]
    size_of: Callable[[Any], int | None] = lambda config: None
    """The size that a network's config demands; None leaves the published one."""
    settings: Mapping[str, Any] | None = None
    """Values of the config to set."""


KINDS: Mapping[str, Kind] = {
    "dinov2": Kind(
        model_type="dinov2",
        source="facebook/dinov2-large",
        preparation=SQUASHED,
        pool=_first_token,
    ),
    "clip": Kind(
        model_type="clip",
        source="openai/clip-vit-large-patch14",
        preparation=CLIP_PREPARATION,
        pool=_tower_pooled,
        size_of=lambda config: config.vision_config.image_size,
    ),
    "siglip2": Kind(
        model_type="siglip",
        source="google/siglip2-so400m-patch16-256",
        preparation=Preparation(
            size=256,
            cropped=False,
            mean=(0.5, 0.5, 0.5),
            deviation=(0.5, 0.5, 0.5),
            filter=Image.Resampling.BILINEAR,
        ),
        pool=_tower_pooled,
        size_of=lambda config: config.vision_config.image_size,
    ),
    "mae": Kind(
        model_type="vit_mae",
        source="facebook/vit-mae-large",
        preparation=replace(SQUASHED, cropped=True),
        pool=_first_token_unmasked,
        size_of=lambda config: config.image_size,
        settings={"mask_ratio": 0.0},
    ),
    "convnextv2": Kind(
        model_type="convnextv2",
        source="facebook/convnextv2-base-22k-224",
        preparation=SQUASHED,
        pool=_mean_of_map,
    ),
}


def pretrained(name: str, model_type: str, device: str, settings: Mapping[str, Any] | None = None) -> Any:
    """A network in float32, of a name on the Hub or a folder; only safetensors are read, and no code of the Hub's.

    Raises CheckpointError where it cannot be had, is of another type or lacks a part.
    """
    from transformers import AutoModel

    try:
        model, report = AutoModel.from_pretrained(
            name,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **(settings or {}),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{name} cannot be loaded ({brief(error)}): name another network, or its folder"
        ) from error
    if model.config.model_type != model_type:
        raise CheckpointError(f"{name} is a {model.config.model_type}: expected a {model_type}, name another network")
    if report["missing_keys"]:
        first = sorted(report["missing_keys"])[0]
        raise CheckpointError(f"{name} lacks {len(report['missing_keys'])} tensors, {first} first: fetch it again")
    return model.to(device).eval()


def _hub_encoder(kind: Kind, source: str | None, device: str) -> FeatureExtractor:
    model = pretrained(source or kind.source, kind.model_type, device, kind.settings)
    size = kind.size_of(model.config)
    preparation = kind.preparation if size is None else replace(kind.preparation, size=size)

    @torch.inference_mode()
    def encode(pictures: Sequence[Image.Image]) -> Float[np.ndarray, "batch dim"]:
        return kind.pool(model, prepared(pictures, preparation).to(device)).float().cpu().numpy()

    return encode


def _inception_encoder(source: str | None, device: str) -> FeatureExtractor:
    """FID's Inception of 2015 as a TorchScript file of the user's (inception-2015-12-05.pt, as clean-fid fetches it).

    Its part `layers`, where it has one, else the whole, is given pixels as (value - 128) / 128.
    """
    if source is None:
        raise ConfigError("inception has no network on the Hub: name its TorchScript file, inception=FILE.pt")
    try:
        module: Any = torch.jit.load(source, map_location=device)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{Path(source)} is no TorchScript file ({brief(error)}): fetch it again") from error
    network = dict(module.named_children()).get("layers", module).eval()

    @torch.inference_mode()
    def encode(pictures: Sequence[Image.Image]) -> Float[np.ndarray, "batch dim"]:
        size = (INCEPTION_PX, INCEPTION_PX)
        pixels = np.stack([clean(np.asarray(picture.convert("RGB")), size) for picture in pictures])
        output = network((torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device) - 128) / 128)
        return output.reshape(len(pictures), -1).float().cpu().numpy()

    return encode


ENCODERS: Mapping[str, Callable[[str | None, str], FeatureExtractor]] = {
    "inception": _inception_encoder,
    **{name: partial(_hub_encoder, kind) for name, kind in KINDS.items()},
}
"""Name -> what loads it, of a file, folder or name on the Hub (None: the published one), and a device."""


def check(name: str) -> None:
    """Raise ConfigError for an encoder that is not there."""
    if name not in ENCODERS:
        raise ConfigError(f"no encoder is called {name!r}: choose from {', '.join(ENCODERS)}")


def load(name: str, source: str | None = None, device: str = "cpu") -> FeatureExtractor:
    """The encoder of this name. Raises ConfigError for an unknown one and CheckpointError where it cannot be had."""
    check(name)
    return ENCODERS[name](source, device)
