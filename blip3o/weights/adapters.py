"""The adapters that a model is opened with, as a user names them: a folder, and its share where that is not 1."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights import checkpoint, hub
from blip3o.weights.deferred import ON_CPU, DeferredModel
from blip3o.weights.folders import HUB_ID, existing
from blip3o.weights.placement.device import DevicePlacement

if TYPE_CHECKING:
    from blip3o.weights.lora import SavedAdapter
else:  # opened when an adapter is named
    SavedAdapter = object


def named_adapters(
    names: Sequence[str | Path], placement: DevicePlacement, *, merge: bool
) -> list[tuple[SavedAdapter, float]]:
    """Adapters and their shares; no tensor is read. Raises CheckpointError for a name that is none, ConfigError for
    what has no effect or cannot be done with weights in this placement."""
    if not names:
        if not merge:
            raise ConfigError("merge has an effect only on adapters: name one, or leave it out")
        return []
    if placement.memory != "full" or placement.quantize is not None:
        raise ConfigError("adapters go with memory full and without quantize: merge them first, by blip3o convert")
    from blip3o.weights.lora import SavedAdapter

    return [(SavedAdapter.open(_folder(name)), share) for name, share in map(_parsed, names)]


def apply_adapters(pipeline: Pipeline, adapters: Sequence[tuple[SavedAdapter, float]], *, merged: bool) -> None:
    """Put them on a pipeline; see `lora.apply`."""
    if adapters:
        from blip3o.weights import lora

        lora.apply(pipeline, adapters, merged=merged)


def write_merged(model: DeferredModel, names: Sequence[str], output: Path) -> None:
    """Write the checkpoint of a model with adapters in its weights, in their own dtype."""
    opened = named_adapters(names, ON_CPU, merge=True)
    pipeline = model.load(DevicePlacement(dtype=None))
    apply_adapters(pipeline, opened, merged=True)
    checkpoint.save(pipeline, output, about=about_with(model.about, opened), dtype=None)


def about_with(about: Mapping[str, Any], adapters: Sequence[tuple[SavedAdapter, float]]) -> dict[str, Any]:
    """The facts about a model, its adapters among them."""
    told = [str(one.folder) if share == 1 else f"{one.folder}:{share:g}" for one, share in adapters]
    return dict(about) | ({"adapters": ", ".join(told)} if told else {})


def identified(name: str | Path) -> str:
    """What tells an adapter in results from others of its name: a digest of its tensors, and its share."""
    from blip3o.weights.lora import WEIGHTS

    folder, share = _parsed(name)
    with existing(_folder(folder) / WEIGHTS).open("rb") as file:
        return f"{Path(folder).name} {hashlib.file_digest(file, 'sha256').hexdigest()[:16]} x {share:g}"


def _parsed(name: str | Path) -> tuple[str, float]:
    text = str(name)
    folder, colon, share = text.rpartition(":")
    if not colon or Path(text).is_dir():
        return text, 1.0
    try:
        return folder, float(share)
    except ValueError:
        raise ConfigError(f"the share of adapter {folder} is {share!r}, expected a number such as 0.5") from None


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if HUB_ID.fullmatch(name):
        return hub.find(name)
    raise CheckpointError(f"no adapter {name!r}: name the folder that `blip3o train` printed, or an id on the Hub")
