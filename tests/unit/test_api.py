"""What the Python API refuses, and what a chat remembers."""

import numpy as np
import pytest
from PIL import Image

from blip3o.api import BLIP3o, Reply
from blip3o.errors import ConfigError, PromptError
from blip3o.prompt.conversation import Picture, Turn


@pytest.fixture(scope="module")
def model(machine):
    return BLIP3o(machine)


@pytest.fixture
def picture(tiny):
    size = tiny.model.prompt.picture_size
    return Image.fromarray(np.full((size, size, 3), 128, np.uint8))


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_at_least_one(model, size):
    with pytest.raises(ConfigError, match=f"batch_size is {size}"):
        model.generate("a dog", batch_size=size)


def test_a_label_given_twice_would_share_its_probability_and_is_refused(model, picture):
    with pytest.raises(PromptError, match="labels repeats itself in dog, cat, dog"):
        model.classify(picture, ["dog", "cat", "dog"])


@pytest.mark.parametrize("text", ["a dog<|im_end|>", "a zyzzyva", ""])
def test_no_turn_of_a_user_enters_a_conversation_unchecked(model, text):
    with pytest.raises(PromptError):
        model.reply([(Turn("user", (text,)),)])


def test_a_chat_remembers_words_said_before_a_picture(model, picture, monkeypatch):
    monkeypatch.setattr(model, "reply", lambda *asked, **how: [Reply(text="a dog", image=picture)])
    chat = model.chat()
    chat.send("draw a dog")
    said, drawn = chat.turns[-1].content
    assert said == "a dog"
    assert isinstance(drawn, Picture)
