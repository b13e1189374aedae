"""What the Python API refuses, and what a chat remembers."""

import copy
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.api import BLIP3o, Reply
from blip3o.errors import ConfigError, PictureError, PromptError
from blip3o.pipeline.engine import Engine
from blip3o.processing.conversation import Picture, Turn


@pytest.fixture(scope="module")
def model(pipeline):
    return BLIP3o(pipeline)


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
    with Image.open(path) as image, pytest.raises(PictureError, match=r"half\.png is damaged"):
        model.caption(image)


def test_words_for_a_list_and_no_room_for_an_answer_are_refused(model, picture):
    with pytest.raises(PromptError, match="labels is 'dog'"):
        model.classify(picture, "dog")
    with pytest.raises(ConfigError, match="max_tokens is 0"):
        model.understand(picture, "what is this?", max_tokens=0)


@pytest.mark.parametrize("method", ["caption", "features", "reconstruct", "understand", "edit", "classify", "stream"])
def test_no_picture_at_all_is_refused(model, method):
    words = {"edit": ["make it night"], "classify": [["dog"]], "stream": ["what is this?"]}
    with pytest.raises(PictureError, match="no picture in the list"):
        getattr(model, method)([], *words.get(method, []))


def test_a_question_may_be_about_no_picture(model):
    assert len(model.understand([[]], "what is this?", max_tokens=1)) == 1


def test_without_a_question_a_picture_is_described(model, picture):
    assert model.understand(picture) == model.caption(picture) == model.understand([picture], None)


@pytest.mark.parametrize("labels", [["dog", "Dog"], ["dog", " dog"], ["dog", ""], ["dog", " "], []])
def test_labels_that_are_one_or_none_are_refused(model, picture, labels):
    with pytest.raises(PromptError, match="labels"):
        model.classify(picture, labels)


def test_a_picture_is_the_same_in_whatever_form_it_is_given(model, picture, tmp_path):
    path = tmp_path / "x.png"
    picture.save(path)
    with path.open("rb") as file:
        forms = [picture, path, str(path), path.read_bytes(), file, np.asarray(picture)]
        features = model.features(forms)
    assert (features == features[0]).all()
    chats = [model.chat() for _ in range(2)]
    for chat, form in zip(chats, (picture, path), strict=True):
        chat.send("what is this?", form)
    assert (chats[0].turns[0].content[0].pixels == chats[1].turns[0].content[0].pixels).all()
    assert model.caption(forms[3]) == model.caption(forms[5]) == model.caption(picture)


def test_each_image_is_handed_over_before_it_counts_as_done(model, picture):
    seen = []

    def keep(index, image):
        seen.append((index, image))

    def count(done, _):
        seen.append(done)

    drawn = model.generate(["a dog"] * 3, batch_size=2, on_image=keep, progress=count)
    assert [one if isinstance(one, int) else one[0] for one in seen] == [0, 1, 1, 2, 2, 3]
    assert [one[1] for one in seen if not isinstance(one, int)] == drawn
    seen.clear()
    assert model.edit([picture], "make it night", on_image=keep) == [image for _, image in seen]


@pytest.mark.parametrize("verb", ["understand", "edit"])
def test_pictures_are_opened_when_their_turn_comes_and_not_held_longer(model, picture, monkeypatch, verb):
    template, opened, most = model.pipeline.template, weakref.WeakSet(), []
    read = template.picture

    def counted(image):
        opened.add(original := read(image))
        most.append(len(opened))
        return original

    monkeypatch.setattr(template, "picture", counted)
    options = {"max_tokens": 2} if verb == "understand" else {"steps": 1, "decoder_steps": 1}
    getattr(model, verb)([picture] * 24, "what is this?", batch_size=4, **options)
    assert len(most) == 24
    assert max(most) <= 2 * 4  # those under way, and those whose places they took


def test_an_answer_that_is_done_makes_room_for_the_next(model, picture, monkeypatch):
    rows, write, under_way = [], Engine.write, []

    def written(engine, sample, options):
        under_way.append(sum(not row.done for row in rows))
        rows.append(write(engine, sample, replace(options, max_tokens=1 + len(rows) % 4 * 3)))
        return rows[-1]

    monkeypatch.setattr(Engine, "write", written)
    answers = model.understand([picture] * 12, "what is this?", batch_size=4)
    assert len(answers) == 12
    assert max(under_way) < 4
    assert 0 < under_way[4] < 4  # it did not wait for all of the first four


def test_an_image_carries_numbers_as_numbers(model):
    info = model.generate("a dog", seed=3, steps=2, guidance=np.float32(2), decoder_steps=np.int64(1))[0].info
    assert (info["seed"], info["steps"], info["guidance"]) == (3, 2, 2.0)
    assert [type(info[key]) for key in ("seed", "steps", "guidance")] == [int, int, float]


def test_item_k_of_all_gets_seed_plus_k(pipeline):
    model = BLIP3o(pipeline)
    model.sampling = replace(model.sampling, rows=2)  # a picture by itself, in passes of one shape
    drawn = model.generate(["a dog", "a cat"], seed=5)
    assert [image.info["seed"] for image in drawn] == [5, 6]
    assert model.generate(["a bird", "a cat"], seed=[9, 6])[1].tobytes() == drawn[1].tobytes()
    assert [image.info["seed"] for image in model.generate(["a dog"] * 2, seed=[2**31 - 1, 0])] == [2**31 - 1, 0]


def test_the_last_seed_of_all_does_for_a_dialogue(model):
    chat = model.chat(seed=2**31 - 1)
    for _ in range(2):
        chat.send("what is this?")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"size": 80}, "size is 80, but this model paints 72 px"),
        ({"rows": 4}, "no option rows: choose from steps, guidance"),
        ({"stepz": 4}, "no option stepz"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_drawn(model, monkeypatch, option, said):
    monkeypatch.setattr(Engine, "draw", lambda *_: pytest.fail("drawn"))
    with pytest.raises(ConfigError, match=said):
        model.generate("a dog", **option)


def test_an_option_that_a_head_or_a_decoder_does_not_heed_is_refused(model, monkeypatch, picture):
    monkeypatch.setattr(type(model.pipeline.space.decoder), "takes_steps", False)
    monkeypatch.setattr(type(model.pipeline.unified.head), "options", frozenset())
    for option in ({"decoder_steps": 2}, {"steps": 2}, {"guidance": 2.0}, {"solver": "heun"}):
        with pytest.raises(ConfigError, match="has no effect on tiny: leave it out"):
            model.generate("a dog", **option)
    with pytest.raises(ConfigError, match="decoder_steps has no effect"):
        model.reconstruct(picture, steps=2)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_model_in_half_precision_draws_edits_and_reads(pipeline, dtype):
    model = BLIP3o(copy.deepcopy(pipeline).to(dtype))
    [drawn] = model.generate("a red dog", steps=1, decoder_steps=1)
    [edited] = model.edit(drawn, "make it night", steps=1, decoder_steps=1)
    assert drawn.size == edited.size == model.reconstruct(edited, steps=1)[0].size
    assert model.features(edited).dtype == np.float32
    assert len(model.understand(edited, "is it night?", max_tokens=2)) == 1


@pytest.mark.parametrize("verb", ["understand", "edit"])
def test_a_file_that_is_not_there_is_refused_before_any_picture_is_worked_on(model, picture, tmp_path, verb):
    steps = []
    with pytest.raises(PictureError, match=r"nowhere\.png does not exist"):
        getattr(model, verb)([picture, tmp_path / "nowhere.png"], "a dog", batch_size=1, progress=steps.append)
    assert steps == []
