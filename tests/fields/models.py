"""The configs of whole models: what they are asked, how they draw, what they are made of."""

from dataclasses import replace

import numpy as np
from PIL import Image
from published_toy import pipeline

from blip3o.api import BLIP3o
from blip3o.errors import UserError
from blip3o.model.heads.regression import RegressionHeadConfig
from blip3o.pipeline.pipeline import Pipeline, ReasoningConfig, SamplingConfig
from blip3o.processing.chat_template import ChatTemplate
from blip3o.processing.conversation import Turn
from fields.case import TINY, Case, Change, shapes

UNIFIED = TINY.model.unified
assert UNIFIED.denoiser is not None
DENOISER = replace(UNIFIED.denoiser, depth=1)
REGRESSION = RegressionHeadConfig(slot_length=9, width=32, channels=8, side=3)


def asked(config, world):
    """What the backbone gets of words and pictures, and which words it may not get."""
    template = ChatTemplate(config, world.words)
    picture = template.picture(Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 72, 3), np.uint8)))
    drawing = template.ask((Turn("user", ("a red dog", picture)),), draw=True)
    question = template.ask((Turn("user", (picture, "what is this?")),))
    try:
        template.check("a red dog and a blue cat")
        refused = ""
    except UserError as error:
        refused = str(error)
    batches = [template.collate([one]) for one in (drawing, question)]
    return refused, batches


def drawn(config, world):
    """Two pictures, guided, and the features that were painted in each pass."""
    made, passes = pipeline(), []
    decode = made.space.decoder.decode

    def counted(features, *given, **how):
        passes.append(features)
        return decode(features, *given, **how)

    made.space.decoder.decode = counted
    model = BLIP3o(made)
    model.sampling = config
    return passes, [np.asarray(image) for image in model.generate(["a red dog", "a blue dog"])]


def introduced(config, world):
    """What a model says of itself, and a picture of it."""
    model = BLIP3o(world.awake(Pipeline(config, world.words)))
    image = model.generate("a dog", steps=1, decoder_steps=1)[0]
    batch = model.pipeline.template.collate([model.pipeline.template.ask((Turn("user", ("a dog",)),), draw=True)])
    return model.info(), shapes(model.pipeline), image.info, np.asarray(image), batch


def reasoned(config, world):
    """A picture that a model draws when nobody says whether it is to reason."""
    model = BLIP3o(world.awake(Pipeline(replace(TINY.model, reasoning=config), world.words)))
    return np.asarray(model.generate("a dog", steps=1, decoder_steps=1)[0])


MODELS = (
    Case(
        TINY.model.prompt,
        asked,
        {
            "picture_size": 48,
            "patch_size": 6,
            "merge_size": 1,
            "temporal_patch_size": 2,
            "slot_length": 4,
            "longest_prompt": 9,
            "least_pixels": Change(20_000, given={"picture_size": None}),
            "most_pixels": Change(2000, given={"picture_size": None, "least_pixels": 100}),
            "mean": (0.5, 0.4, 0.5),
            "deviation": (0.5, 0.4, 0.5),
            "picture_tokens": ("<|vision_start|>", "<|video_pad|>", "<|vision_end|>"),
            "query": "[/IMG]",
            "system": "two dogs",
            "request": "draw {}",
            "ends_turn": True,
        },
    ),
    Case(
        SamplingConfig(steps=3, guidance=3.0, decoder_steps=2, rows=2),
        drawn,
        {
            "steps": 4,
            "guidance": 1.0,
            "solver": "heun",
            "guided_from": 0.5,
            "guided_until": 0.3,
            "decoder_steps": 3,
            "size": 32,
            "rows": 1,
            "compatible": True,
            "best_of": 2,
        },
    ),
    Case(
        ReasoningConfig(),
        reasoned,
        {
            "always": True,
            "temperature": Change(1.0, given={"always": True}),
            "top_p": Change(0.1, given={"always": True, "temperature": 1.0}),
        },
    ),
    Case(
        UNIFIED,
        lambda config, world: shapes(Pipeline(replace(TINY.model, unified=config), world.words)),
        {
            "backbone": replace(UNIFIED.backbone, text=replace(UNIFIED.backbone.text, num_hidden_layers=1)),
            "head": Change(REGRESSION, {"denoiser": None}),
            "denoiser": DENOISER,
        },
    ),
    Case(
        TINY.model.space,
        lambda config, world: shapes(Pipeline(replace(TINY.model, space=config), world.words)),
        {"encoder": None, "decoder": None},
    ),
    Case(
        TINY.model,
        introduced,
        {
            "name": "another",
            "prompt": replace(TINY.model.prompt, system="two dogs"),
            "unified": replace(UNIFIED, denoiser=DENOISER),
            "space": replace(TINY.model.space, encoder=None),
            "sampling": replace(TINY.model.sampling, guidance=5.0),
            "reasoning": ReasoningConfig(always=True),
        },
    ),
)
