"""What sharding, LoRA, rounding and offloading hang on modules is reached: every module that has work is called for it.

A module without a forward of its own is a container (ModuleList, ImageSpace, ...). It may hold no parameter,
but for what a head puts into the slot.
"""

from copy import deepcopy

import published_toy
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from torch import nn

from blip3o.api import BLIP3o
from blip3o.flow.noise import generators
from blip3o.model.heads.head import Head
from blip3o.processing.conversation import Picture, Turn

HALVES = (AutoencoderKL,)
"""Of an autoencoder of the library one half works at a time, by its methods, which call the hooks of accelerate by
themselves; both halves are modules that are called."""
PICTURE = Image.new("RGB", (72, 72), "red")


def works(module):
    return type(module).forward is not nn.Module.forward and not isinstance(module, HALVES)


def train(pipeline):
    """One step of every part that learns: words, an edit, and the decoder."""
    pipeline.requires_grad_(True)  # of the shared one, another test may have frozen parts
    template, space = pipeline.template, pipeline.space
    picture = template.picture(PICTURE)
    features = pipeline.features([picture])
    drawn = Picture(picture.pixels, features[0].detach())
    question = (Turn("user", (drawn, "a dog")), Turn("assistant", ("red dog",)))
    edit = (Turn("user", (drawn, "a dog")), Turn("assistant", (drawn,)))
    for talk in (question, edit):
        losses = pipeline.unified(template.collate([template.encode(talk)]), generators([0]))
        for loss in (losses.text, losses.image):
            if loss is not None:
                loss.mean().backward(retain_graph=True)
    pixels = torch.zeros(1, 3, space.config.decoder.size, space.config.decoder.size)
    space.decoder(features, pixels, generators([0])).mean().backward()


@pytest.fixture(params=["picture book", "published, tied", "published, untied", "qwen3"])
def model(request, pipeline):
    make = {
        "picture book": lambda: deepcopy(pipeline),
        "published, tied": published_toy.pipeline,
        "published, untied": lambda: published_toy.pipeline(tied=False),
        "qwen3": lambda: published_toy.pipeline("qwen3"),
    }
    return BLIP3o(make[request.param]())


def settings(pipeline):
    """What hangs on the modules but tensors and hooks; of a config of the library also how it attends."""
    return {
        f"{name}.{key}": (repr(value), getattr(value, "_attn_implementation", ""))
        for name, module in pipeline.named_modules()
        for key, value in vars(module).items()
        if not key.startswith("_")
    }


def test_every_module_with_work_is_called_and_no_call_writes_to_a_config(model):
    pipeline, called = model.pipeline, set()
    before = settings(pipeline)
    for name, module in pipeline.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    model.generate("a dog", steps=2, decoder_steps=1)
    model.edit(PICTURE, "a dog", steps=2, decoder_steps=1)
    model.understand(PICTURE, "a dog", max_tokens=2)
    model.reconstruct(PICTURE, steps=1)
    assert "unified.backbone.lm_head" in called
    assert settings(pipeline) == before
    train(pipeline)
    assert not [name for name, module in pipeline.named_modules() if works(module) and name not in called]


def test_the_losses_of_words_images_and_decoders_are_made_inside_forward(model):
    """What shards a network gathers it before its forward and lets it go after: no layer of it may work in between."""
    pipeline, active, outside = model.pipeline, [], []
    owners = ["unified", "unified.backbone", "unified.head", "unified.head.denoiser", "space.decoder"]
    for name in owners:
        module = pipeline.get_submodule(name)
        module.register_forward_pre_hook(lambda *_, name=name: active.append(name))
        module.register_forward_hook(lambda *_, name=name: active.remove(name))
    for name, module in pipeline.named_modules():
        if list(module.parameters(recurse=False)) and works(module):
            above = {owner for owner in owners if f"{name}.".startswith(f"{owner}.")}
            module.register_forward_pre_hook(
                lambda *_, name=name, above=above: None if above <= {*active} or reads(name) else outside.append(name)
            )
    train(pipeline)
    assert not outside


def reads(name):
    """Reading words and pictures comes before the backbone's forward: an embedding, and a tower called as a whole."""
    return "embed_tokens" in name or ".visual." in name or "lm_head" in name


def test_a_container_holds_no_parameter_but_what_fills_the_slot(model):
    for module in model.pipeline.modules():
        assert works(module) or isinstance(module, Head) or not list(module.parameters(recurse=False))
