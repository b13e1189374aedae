"""Training shows the model the very tokens that it is asked to draw from, for every layout of prompts."""

import random

import published_toy
import pytest
from data_files import encoded, jsonl, opened
from PIL import Image

from blip3o.api import BLIP3o

CAPTION, INSTRUCTION = "a red dog", "make the dog red"
REQUEST = "Please generate image based on the following caption: a red dog"


@pytest.fixture(params=["picture book", "qwen2_5_vl", "llama3", "qwen3"])
def model(request, pipeline):
    return BLIP3o(pipeline if request.param == "picture book" else published_toy.pipeline(request.param))


@pytest.fixture
def source(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded("red", size=(60, 90)))
    caption = {"image": "a.png", "caption": CAPTION}
    edit = {"source": "a.png", "instruction": INSTRUCTION, "target": "a.png"}
    return opened("jsonl", jsonl(tmp_path / "rows.jsonl", caption, edit))


@pytest.fixture
def fed(model, monkeypatch):
    """The samples that the model is fed when it draws; it stops before the first step."""
    samples = []

    def start(drawer, rows, count):
        samples.extend(row.sample for row in rows)
        raise InterruptedError

    monkeypatch.setattr("blip3o.pipeline.drawing.Drawer._start", start)
    return samples


def trained(model, source, task, index):
    return model.pipeline.template.encode(source.conversation(task, index, random.Random(0)))


def test_a_caption_is_wrapped_as_a_prompt_is(model, source, fed):
    with pytest.raises(InterruptedError):
        model.generate(CAPTION, steps=1)
    sample = trained(model, source, "draw", 0)
    assert sample.tokens == fed[0].tokens
    assert sample.has_slot
    text = model.pipeline.template.words.decode(sample.tokens)
    assert (REQUEST.lower() in text) == (model.pipeline.config.name == "toy-4b")
    assert CAPTION in text


def test_an_edit_is_wrapped_as_it_is_asked_for(model, source, fed, tmp_path):
    with pytest.raises(InterruptedError):
        model.edit(Image.open(tmp_path / "a.png"), INSTRUCTION, steps=1)
    sample = trained(model, source, "edit", 1)
    assert sample.tokens == fed[0].tokens
    assert [picture.pixels.shape for picture in sample.pictures] == [(90, 60, 3)]


def test_a_description_is_trained_behind_what_it_is_asked_by(model, source):
    sample = trained(model, source, "caption", 0)
    *asked, answered = source.conversation("caption", 0, random.Random(0))
    prompt = model.pipeline.template.ask(tuple(asked)).tokens
    assert sample.tokens[: len(prompt)] == prompt
    assert sample.tokens[len(prompt) :] == sample.labels[len(prompt) :]
    assert model.pipeline.template.words.decode(sample.labels[len(prompt) :]).strip() == CAPTION
    assert answered.content == (CAPTION,)
