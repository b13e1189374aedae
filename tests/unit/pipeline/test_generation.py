"""The assistant's turn: what it is asked, what it writes before it draws, and which picture it starts from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.pipeline.generation import Assistant
from blip3o.processing import tokenizer as tok
from blip3o.processing.conversation import THINK, Turn

TALKS = [(Turn("user", (f"draw a {color} dog",)),) for color in ("red", "blue", "green")]
SEEDS = [5, 6, 7]
HOW = {"batch_size": 2, "progress": None}
DRAW = HOW | {"think": False, "on_image": None}


@pytest.fixture
def sampling(tiny):
    return replace(tiny.model.sampling, steps=1, rows=0)


@pytest.fixture
def assistant(pipeline):
    return Assistant(pipeline, "tiny")


@pytest.fixture
def spoken(template):
    """Token ids of words, some of them control tokens."""
    control = template.words.control
    return lambda *words: [
        id for word in words for id in ([control[word]] if word in control else template.words.encode(word))
    ]


@pytest.fixture
def writes(assistant, monkeypatch):
    """Makes the model write what the test says, row by row; gives what it was asked."""

    def make(*rows):
        left, asked = list(rows), []

        def write(batch, stops, max_tokens):
            words = assistant.pipeline.template.words
            asked.extend(
                words.tokenizer.decode(row[mask].tolist()) for row, mask in zip(batch.tokens, batch.mask, strict=True)
            )
            return [left.pop(0) for _ in batch.tokens]

        monkeypatch.setattr(assistant.pipeline.unified, "generate", write)
        return asked

    return make


@pytest.fixture
def draws(assistant, monkeypatch):
    """What the model was to draw from, and the seeds; every picture is black."""
    seen = []

    def draw(encoded, seeds, sampling):
        seen.extend(zip(encoded, seeds, strict=True))
        return torch.full((len(encoded), 3, 8, 8), -1.0)

    monkeypatch.setattr(assistant.pipeline, "draw", draw)
    return seen


def test_who_thinks_is_asked_to_and_draws_from_the_reasoning(assistant, sampling, spoken, writes, draws):
    thoughts = [spoken(tok.THINK_START, word, tok.THINK_END, tok.IMAGE_START) for word in ("one", "two", "three")]
    asked = writes(*thoughts)
    images = assistant.draw(TALKS, SEEDS, sampling, **DRAW | {"think": True})
    assert [text.count(THINK.lower()) for text in map(str.lower, asked)] == [1, 1, 1]
    assert [image.info["reasoning"] for image in images] == ["one", "two", "three"]
    for (encoded, _), thought in zip(draws, thoughts, strict=True):
        start = encoded.tokens.index(spoken(tok.IMAGE_START)[0])
        assert encoded.tokens[start - len(thought) + 1 : start] == thought[:-1]


def test_who_does_not_think_writes_nothing_and_is_not_asked_to(assistant, sampling, writes, draws):
    asked = writes()
    images = assistant.draw(TALKS, SEEDS, sampling, **DRAW)
    assert asked == []
    assert all("reasoning" not in image.info for image in images)
    asked = writes([1], [1], [1])
    assistant.reply(TALKS, SEEDS, sampling, think=False, max_tokens=9, **HOW)
    assert not any(THINK.lower() in text.lower() for text in asked)


def test_a_reply_thinks_too_and_tells_reasoning_and_words_apart(assistant, sampling, spoken, writes, draws):
    said = spoken(tok.THINK_START, "red", tok.THINK_END, "dog", tok.TURN_END)
    asked = writes(said, said, spoken("two", tok.TURN_END))
    replies = assistant.reply(TALKS, SEEDS, sampling, think=True, max_tokens=9, **HOW)
    assert all(THINK.lower() in text.lower() for text in asked)
    assert [(reply.text, reply.reasoning) for reply in replies] == [("dog", "red"), ("dog", "red"), ("two", "")]


def test_in_a_batch_of_replies_each_picture_has_its_own_prompt_and_seed(assistant, sampling, spoken, writes, draws):
    drawn = spoken(tok.IMAGE_START)
    writes(spoken("two", tok.TURN_END), drawn, drawn)
    replies = assistant.reply(TALKS, SEEDS, sampling, think=False, max_tokens=9, batch_size=3, progress=None)
    assert [reply.image is not None for reply in replies] == [False, True, True]
    assert [seed for _, seed in draws] == [6, 7]
    assert [(reply.image.info["prompt"], str(reply.image.info["seed"])) for reply in replies[1:]] == [
        ("draw a blue dog", "6"),
        ("draw a green dog", "7"),
    ]


@torch.no_grad()
def test_an_edit_starts_from_the_newest_picture_of_its_conversation(assistant, sampling, template, draws):
    pictures = [template.picture(Image.new("RGB", (72, 72), color)) for color in ("red", "blue")]
    assistant.draw([(Turn("user", (*pictures, "make it night")),)], [0], sampling, **DRAW)
    read = draws[0][0].pictures
    assert read[0].features is None
    wanted = assistant.pipeline.features([pictures[1]])[0].numpy()
    np.testing.assert_allclose(read[1].features, wanted, rtol=1e-4, atol=1e-4)


def test_an_edit_that_starts_from_other_features_is_another_picture(assistant, sampling, template, monkeypatch):
    talk = (Turn("user", (template.picture(Image.new("RGB", (72, 72), "red")), "make it night")),)
    config = assistant.pipeline.config.unified.head

    def drawn(seed):
        rng = torch.Generator().manual_seed(seed)
        features = torch.randn(1, config.channels, config.side, config.side, generator=rng)
        monkeypatch.setattr(assistant.pipeline, "features", lambda pictures: features)
        return np.asarray(assistant.draw([talk], [0], sampling, **DRAW)[0], np.int16)

    assert np.abs(drawn(1) - drawn(2)).max() > 2


def test_a_letter_is_told_when_it_is_whole(assistant, monkeypatch, template):
    ids = list(template.words.encode("ü"))
    assert len(ids) > 1
    columns = [torch.tensor([id]) for id in (*ids, *template.words.encode("dog"))]
    monkeypatch.setattr(assistant.pipeline.unified, "stream", lambda batch, stops, max_tokens: iter(columns))
    pieces = list(assistant.stream(TALKS[0], max_tokens=9))
    assert "".join(pieces) == template.words.decode([int(column[0]) for column in columns]).lstrip()
    assert not any("\ufffd" in piece for piece in pieces)


def test_progress_hears_of_every_batch(assistant, sampling, draws):
    told = []
    assistant.draw(TALKS, SEEDS, sampling, **DRAW | {"progress": lambda *done: told.append(done)})
    assert told == [(2, 3), (3, 3)]
