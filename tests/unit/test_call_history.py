"""No result depends on what was asked before: every public method, in random order, answers as a fresh model does."""

import random
from copy import deepcopy

import numpy as np
import published_toy
import pytest
import torch
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.pipeline.sampling import SamplingOptions
from blip3o.processing.conversation import Turn
from blip3o.weights.digest import of

PICTURES = [Image.new("RGB", (48, 48), color) for color in ("red", "blue")]
FAST: SamplingOptions = {"steps": 2, "decoder_steps": 2}
OUTSIDE = {
    "load": "makes a model",
    "from_pretrained": "makes a model",
    "push_to_hub": "saves a model and sends it",
    "sampling_of": "reads what a call is given",
}


def shown(images):
    return [(image.tobytes(), image.info) for image in images]


def chatted(model, folder):
    chat = model.chat(seed=3)
    return [
        (reply.text, reply.image and reply.image.tobytes()) for reply in (chat.send("a red dog"), chat.send("a dog"))
    ]


def replied(model, folder):
    talks = [(Turn("user", (text,)),) for text in ("a red dog", "a dog")]
    return [(reply.text, reply.image and reply.image.tobytes()) for reply in model.reply(talks, seed=2, max_tokens=3)]


CALLS = {
    "generate": lambda model, folder: shown(model.generate(["a red dog", "a dog"], seed=8, **FAST)),
    "generate, guided more": lambda model, folder: shown(model.generate("a dog", seed=8, steps=2, guidance=5.0)),
    "generate, one by one": lambda model, folder: shown(model.generate(["a dog"] * 3, seed=8, batch_size=1, **FAST)),
    "generate, think": lambda model, folder: shown(model.generate("a dog", seed=1, think=True, **FAST)),
    "edit": lambda model, folder: shown(model.edit(PICTURES, "a red dog", seed=4, **FAST)),
    "reconstruct": lambda model, folder: shown(model.reconstruct(PICTURES, seed=4, steps=2)),
    "understand": lambda model, folder: model.understand(PICTURES, "a dog", max_tokens=4),
    "stream": lambda model, folder: list(model.stream(PICTURES[0], "a dog", max_tokens=4)),
    "caption": lambda model, folder: model.caption(PICTURES),
    "classify": lambda model, folder: model.classify(PICTURES, ["dog", "red"]),
    "features": lambda model, folder: model.features(PICTURES).tobytes(),
    "chat": chatted,
    "reply": replied,
    "info": lambda model, folder: model.info(),
    "save_pretrained": lambda model, folder: of(model.save_pretrained(folder / "saved")),
    "device": lambda model, folder: model.device,
}


@pytest.fixture(scope="module")
def published_machine():
    made = published_toy.pipeline()
    for part, std in ((made.unified, 0.2), (made.space.decoder, 0.1)):
        torch.manual_seed(1)
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=std)  # wide awake: what words and null say shows in the pictures
    return made


@pytest.fixture(params=["picture book", "published", "published, compatible"])
def fresh(request, pipeline, published_machine):
    """Makes a model that was asked nothing yet."""
    made = pipeline if request.param == "picture book" else published_machine
    compatible = request.param == "published, compatible"

    def make(change=lambda made: None):
        own = deepcopy(made)
        change(own)
        return BLIP3o(own, compatible=compatible)

    return make


def changed(pipeline):
    with torch.no_grad():
        for parameter in pipeline.unified.parameters():
            parameter.mul_(1.5)


def test_every_public_method_is_asked():
    public = {name for name in vars(BLIP3o) if not name.startswith("_")}
    assert {name.partition(",")[0] for name in CALLS} == public - OUTSIDE.keys()


@pytest.mark.slow
def test_every_answer_is_that_of_a_fresh_model(fresh, tmp_path):
    alone = {name: call(fresh(), tmp_path) for name, call in CALLS.items()}
    model, order = fresh(), random.Random(0).sample([*CALLS, *CALLS], 2 * len(CALLS))
    for index, name in enumerate(order):
        assert CALLS[name](model, tmp_path) == alone[name], f"{name} after {order[:index]}"


def test_pictures_follow_weights_that_change_in_place(fresh, tmp_path):
    model, draw = fresh(), CALLS["generate"]
    before = draw(model, tmp_path)
    changed(model.pipeline)
    assert draw(model, tmp_path) == draw(fresh(changed), tmp_path) != before


def test_a_compatible_call_is_the_same_however_it_is_cut(published_machine):
    model = BLIP3o(deepcopy(published_machine), compatible=True)
    whole, cut = (model.generate(["a dog"] * 3, seed=8, batch_size=size, **FAST) for size in (3, 2))
    assert shown(whole) == shown(cut)
    assert (np.asarray(whole[0]) != np.asarray(whole[1])).any()  # one stream for all
