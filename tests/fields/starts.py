"""What a run begins with: weights and tokens, of small models in folders of their own."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from published_toy import text_backbone
from transformers import Qwen3Config, Qwen3ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.tokenizer import make
from blip3o.train import starting_model
from blip3o.train.starting_model import StartConfig
from blip3o.weights import checkpoint
from fields.case import TINY, Case, Change

HELD = tempfile.TemporaryDirectory()
MODEL, ONE, OTHER, TOWER, WORDS = (str(Path(HELD.name) / name) for name in ("model", "one", "other", "tower", "words"))
KNOWN = make(("red", "dog"))
SIZES = text_backbone("qwen3", len(KNOWN) + 8)
PROMPT = replace(TINY.model.prompt, picture_size=SIZES.vision.image_size, patch_size=SIZES.vision.patch_size)
BUILT = replace(
    TINY.model,
    unified=replace(TINY.model.unified, backbone=SIZES),
    prompt=replace(PROMPT, merge_size=1),
)
"""A model whose backbone is a Qwen3 that reads by SigLIP."""


@cache
def written():
    """Write what the cases name, once."""
    torch.manual_seed(3)
    checkpoint.save(Pipeline(BUILT, KNOWN), Path(MODEL), dtype=None)
    for place in (ONE, OTHER):
        Qwen3ForCausalLM(Qwen3Config(**SIZES.text.published())).save_pretrained(place)
        KNOWN.save(Path(place))
    SiglipVisionModel(SiglipVisionConfig(**SIZES.vision.published().to_dict())).save_pretrained(TOWER)
    make(("blue", "cat", "cup")).save(Path(WORDS))


def begun(config, world):
    """The weights and the tokens that a run begins with."""
    written()
    torch.manual_seed(0)
    pipeline = Pipeline(BUILT, starting_model.tokenizer_of(config) or KNOWN)
    starting_model.fill(pipeline, config)
    return dict(pipeline.state_dict()), sorted(pipeline.template.words.tokenizer.get_vocab())


STARTS = (
    Case(
        StartConfig(backbone=ONE),
        begun,
        {
            "model": Change(MODEL, along={"backbone": ""}),
            "backbone": OTHER,
            "vision": TOWER,
            "tokenizer": WORDS,
        },
    ),
)
