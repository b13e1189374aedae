"""Every option of the Python API has its effect."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from torch import nn

from blip3o.api import BLIP3o, Reply
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.writing import Writer
from blip3o.processing.conversation import DESCRIBE, DESCRIBE_IN_DETAIL, THINK, Turn
from blip3o.weights import checkpoint

FAST = {"steps": 1, "decoder_steps": 1}


@pytest.fixture(scope="module")
def model(pipeline):
    return BLIP3o(pipeline)


@pytest.fixture(scope="module")
def picture(tiny):
    size = tiny.model.prompt.picture_size
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8))


@pytest.fixture
def asked(model, monkeypatch):
    """What the model was to write an answer to, as text; it writes nothing but an end."""
    seen = []

    def write(engine, sample, options):
        seen.append((model.pipeline.template.words.tokenizer.decode(sample.tokens), options.max_tokens))
        return SimpleNamespace(tokens=[options.stops[0]], done=True)

    monkeypatch.setattr(Engine, "write", write)
    return seen


def values(images):
    return np.stack([np.asarray(image, np.int16) for image in images])


def differ(one, other):
    return np.abs(values(one) - values(other)).max() > 2


def thinks(text):
    return THINK.lower() in text.lower()


@pytest.mark.parametrize("think", [True, False])
def test_who_is_to_think_is_asked_to(model, asked, think):
    model.generate("a dog", think=think, **FAST)
    model.reply([(Turn("user", ("draw a dog",)),)], think=think)
    model.chat(think=think).send("draw a dog")
    assert [thinks(text) for text, _ in asked] == ([True] * 3 if think else [False] * 2)


def test_item_k_has_the_seed_plus_k(model):
    together = model.generate(["a dog"] * 3, seed=7, **FAST)
    apart = [model.generate("a dog", seed=seed, **FAST)[0] for seed in (7, 8, 9)]
    assert not differ(together, apart)
    assert differ(together[:1], together[1:2])


def test_pictures_with_the_same_words_are_edited_each_from_itself(model, picture, tiny):
    assert tiny.model.sampling.rows
    pictures = [picture, picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    together = model.edit(pictures, "make it night", seed=[0, 0], **FAST)
    alone = [model.edit(one, "make it night", seed=0, **FAST)[0] for one in pictures]
    assert not differ(together, alone)
    assert differ(together[:1], together[1:])


def test_equal_prompts_are_thought_over_once(model, monkeypatch):
    unified, thought = model.pipeline.unified, []
    prefill = unified.prefill
    monkeypatch.setattr(unified, "prefill", lambda batch: thought.append(len(batch.tokens)) or prefill(batch))
    model.generate(["a dog", "a cat", "a dog", "a dog"], **FAST)
    assert sum(thought) == 2


def test_a_reconstruction_has_its_seed_and_steps(model, picture):
    one, other = model.reconstruct([picture] * 2, seed=3)
    assert differ([one], [other])
    assert not differ([other], model.reconstruct(picture, seed=4))
    assert differ([one], model.reconstruct(picture, seed=3, steps=3))


@pytest.mark.parametrize(
    "change", [{"steps": 5}, {"guidance": 6.0}, {"solver": "heun"}, {"guided_from": 0.6}, {"guided_until": 0.3}]
)
def test_how_a_picture_is_drawn_changes_it(model, change):
    plain = {"steps": 3, "guidance": 3.0, "decoder_steps": 1}
    assert differ(model.generate("a dog", **plain), model.generate("a dog", **plain | change))


def test_the_steps_of_the_decoder_change_the_picture(model):
    assert differ(model.generate("a dog", **FAST), model.generate("a dog", **FAST | {"decoder_steps": 3}))


def test_the_likeliest_label_stands_first(model, picture):
    for shares in model.classify([picture, picture.rotate(90)], ["dog", "cat", "a red house", "two"]):
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
        assert sum(shares.values()) == pytest.approx(1)


def test_a_long_caption_is_asked_for_as_one(model, picture, asked):
    model.caption(picture)
    model.caption(picture, long=True)
    said = [text for text, _ in asked]
    assert [DESCRIBE_IN_DETAIL in text for text in said] == [False, True]
    assert DESCRIBE in said[0]


def test_an_answer_may_be_as_long_as_it_is_told(model, picture, asked, monkeypatch):
    model.understand(picture, "what is this?", max_tokens=11)
    model.reply([(Turn("user", ("what is this?",)),)], max_tokens=12)
    assert [most for _, most in asked] == [11, 12]
    monkeypatch.undo()
    dog = model.pipeline.template.words.encode("dog")[0]
    monkeypatch.setattr(Writer, "_choose", lambda writer, state: [row.tokens.append(dog) for row in writer.rows])
    assert "".join(model.stream(picture, "what is this?", max_tokens=5)).split() == ["dog"] * 5


@pytest.mark.parametrize("verb", ["generate", "edit", "understand", "reply"])
def test_progress_is_told_of_every_item(model, picture, asked, verb):
    told = []
    how = {"batch_size": 2, "progress": lambda *done: told.append(done)}
    calls = {
        "generate": lambda: model.generate(["a dog"] * 3, **how, **FAST),
        "edit": lambda: model.edit([picture] * 3, "make it night", **how, **FAST),
        "understand": lambda: model.understand([picture] * 3, "what is this?", **how),
        "reply": lambda: model.reply([(Turn("user", ("what is this?",)),)] * 3, **how),
    }
    calls[verb]()
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_chat_keeps_what_was_said_and_gives_every_turn_a_seed_of_its_own(model, monkeypatch):
    heard = []

    def reply(conversations, **how):
        heard.append((len(conversations[0]), how["seed"], how["think"]))
        return [Reply(text="a dog")]

    monkeypatch.setattr(model, "reply", reply)
    chat = model.chat(seed=5, think=True)
    for _ in range(3):
        chat.send("what is this?")
    assert heard == [(1, 5, True), (3, 6, True), (5, 7, True)]


def test_a_model_is_compiled_where_it_is_asked_for_and_only_there(pipeline, tmp_path, monkeypatch):
    checkpoint.save(pipeline, tmp_path)
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    BLIP3o.load(tmp_path)
    assert compiled == []
    parts = BLIP3o.load(tmp_path, compile=True).pipeline
    assert {id(part) for part in compiled} == {
        id(part) for part in (parts.unified.head.denoiser, *parts.space.decoder.children())
    }


def test_a_model_may_draw_as_the_published_code_does(published):
    assert BLIP3o.load(published, compatible=True).sampling.compatible
    assert not BLIP3o.load(published).sampling.compatible
