"""A checkpoint is a folder: config.yaml, model.safetensors, the tokenizer's files, a digest of these and, where shared,
a model card."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from blip3o import config as configs
from blip3o.errors import CheckpointError, OutputError
from blip3o.files import make_folder, write_text, writing
from blip3o.pipeline.pipeline import ModelConfig, Pipeline
from blip3o.processing.tokenizer import Tokenizer
from blip3o.weights import digest
from blip3o.weights.deferred import DeferredModel, build
from blip3o.weights.folders import CONFIG, about_in, existing, opened, write_json
from blip3o.weights.placement.device import DevicePlacement
from blip3o.weights.safetensors_files import Shards, complain, shapes_of, strange

WEIGHTS, CARD = "model.safetensors", "README.md"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object] | None = None) -> None:
    """Write tensors, and facts `about` them, as one safetensors file that is never half there."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with writing(path) as temporary:
        try:
            save_file(contiguous, temporary, {"about": json.dumps(dict(about or {}))})
        except SafetensorError as error:  # the library's word for a full disk, too
            raise OutputError(f"cannot write {path} ({error}): make room, or choose another place") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors of a safetensors file, the facts about them; raises CheckpointError for a missing or broken file."""
    with opened(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, about_in(path)  # noqa: SIM118


def load_strictly(model: torch.nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Put tensors into the model of their names; raises CheckpointError for missing, unknown and misshapen ones."""
    expected = model.state_dict()
    not_finite = (name for name, value in tensors.items() if strange(value))
    complain(source, shapes_of(expected), shapes_of(tensors), not_finite)
    model.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()})


def save(
    pipeline: Pipeline,
    folder: Path,
    tensors: Mapping[str, Tensor] | None = None,
    about: Mapping[str, object] | None = None,
    *,
    dtype: torch.dtype | None = torch.bfloat16,
) -> None:
    """Write the checkpoint of a pipeline in `dtype`, None for that of its tensors; `tensors` in place of its own
    weights (an average of them, say).

    Until all of it is there, the folder's digest refuses it. Raises OutputError where it cannot be written.
    """
    make_folder(folder)
    write_json(folder / digest.FILE, digest.UNFINISHED)
    weights = dict(pipeline.state_dict() if tensors is None else tensors)
    stored = {name: value.to(dtype) if value.is_floating_point() else value for name, value in weights.items()}
    configs.dump(pipeline.config, folder / CONFIG)
    pipeline.template.words.save(folder)
    write_tensors(folder / WEIGHTS, stored, about)
    write_json(folder / digest.FILE, digest.of(folder))


def write_card(pipeline: Pipeline, folder: Path) -> None:
    """Write a model card that says what the model is and how to load it; one that is there already stays."""
    if (folder / CARD).is_file():
        return
    table = "\n".join(f"| {name} | {count:,} |" for name, count in pipeline.facts()["parts"].items() if count)
    write_text(folder / CARD, _CARD.format(name=pipeline.config.name, table=table))


_CARD = """---
library_name: blip3o
tags: [unified-multimodal, image-generation, visual-question-answering]
---

# {name}

A unified multimodal model with the architecture of BLIP3-o (arXiv 2505.09568): it reads pictures, draws and edits.

| part | parameters |
|---|--:|
{table}

```python
from blip3o import BLIP3o

model = BLIP3o.from_pretrained("owner/name")  # this repository's id, or a folder
```
"""


def load(
    folder: Path, *, dtype: torch.dtype | None = torch.float32, verify: bool = True
) -> tuple[Pipeline, dict[str, object]]:
    """The pipeline of a checkpoint on the CPU, in `dtype` (None: that of its file), and the facts written with it."""
    model = open_model(folder, verify=verify)
    return model.load(DevicePlacement(dtype=dtype)), dict(model.about)


def open_model(folder: Path, *, verify: bool = True) -> DeferredModel:
    """A checkpoint without its tensors; of its file only the header is read. Raises CheckpointError, where it is to
    `verify` also for a folder that changed since it was saved."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder: name the folder of a checkpoint")
    config, words = configs.load(ModelConfig, existing(folder / CONFIG)), Tokenizer.load(folder)
    shards = Shards.find(folder)
    pipeline = build(config, words, shards.shapes)
    shards.match(pipeline, str)
    if verify:
        digest.check(folder)
    about = about_in(next(iter(shards.files)))
    return DeferredModel(pipeline=pipeline, files={"": (shards, str)}, about=about, verify=verify)
