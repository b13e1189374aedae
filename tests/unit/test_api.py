"""What the Python API refuses, and what a chat remembers."""

import numpy as np
import pytest
from PIL import Image

from blip3o.api import BLIP3o, Reply
from blip3o.errors import ConfigError, PictureError, PromptError
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


def test_an_image_may_be_a_file_and_is_turned_upright(model, picture, tmp_path):
    turned = picture.copy()
    turned.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        (lying,) = model.features(image)
    (upright,) = model.features(tmp_path / "turned.png")
    assert (model.features(str(tmp_path / "turned.png"))[0] == upright).all()
    assert (lying == upright).all()
    assert (model.features(turned)[0] != upright).any()


def test_an_image_whose_data_end_early_is_refused(model, picture, tmp_path):
    path = tmp_path / "half.png"
    picture.effect_spread(9).save(path)
    path.write_bytes(path.read_bytes()[:-60])
    with Image.open(path) as image, pytest.raises(PictureError, match="the picture is damaged"):
        model.caption(image)


def test_words_for_a_list_and_no_room_for_an_answer_are_refused(model, picture):
    with pytest.raises(PromptError, match="labels is 'dog'"):
        model.classify(picture, "dog")
    with pytest.raises(ConfigError, match="max_tokens is 0"):
        model.understand(picture, "what is this?", max_tokens=0)


def test_no_images_have_no_features(model):
    assert model.features([]).shape == (0, model.features(Image.new("RGB", (8, 8))).shape[1])
