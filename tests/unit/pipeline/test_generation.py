"""The assistant's turn: what it is asked, what it writes before it draws, and which picture it starts from."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.pipeline import generation
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.sampling import ReasoningConfig
from blip3o.processing import tokenizer as tok
from blip3o.processing.conversation import THINK, Turn

TALKS = [(Turn("user", (f"draw a {color} dog",)),) for color in ("red", "blue", "green")]
SEEDS = [5, 6, 7]


@pytest.fixture
def sampling(tiny):
    return replace(tiny.model.sampling, steps=1, rows=0)


@pytest.fixture
def engine(pipeline):
    return Engine(pipeline, capacity=2)


@pytest.fixture
def draw(engine, sampling):
    """The pictures of conversations."""

    def drawn(conversations, seeds=SEEDS, progress=None, **how: Any):
        begin = partial(generation.draw, engine, sampling=sampling, **how)
        return generation.collect(engine, map(begin, conversations, seeds), len(conversations), progress)

    return drawn


@pytest.fixture
def reply(engine, sampling):
    """The replies in the conversations."""

    def replies(think):
        begin = partial(generation.reply, engine, sampling=sampling, think=think, max_tokens=9)
        return generation.collect(engine, map(begin, TALKS, SEEDS), len(TALKS))

    return replies


@pytest.fixture
def spoken(template):
    """Token ids of words, some of them control tokens."""
    control = template.words.control
    return lambda *words: [
        id for word in words for id in ([control[word]] if word in control else template.words.encode(word))
    ]


@pytest.fixture
def writes(engine, monkeypatch):
    """Makes the model write what the test says, row by row; gives what it was asked."""

    def make(*rows):
        left, asked = list(rows), []

        def write(sample, options):
            asked.append(engine.pipeline.template.words.tokenizer.decode(sample.tokens))
            return SimpleNamespace(tokens=left.pop(0), done=True)

        monkeypatch.setattr(engine, "write", write)
        return asked

    return make


@pytest.fixture
def draws(engine, monkeypatch):
    """What the model was to draw from, and the seeds; every picture is black."""
    seen = []

    def draw(sample, seed, sampling):
        seen.append((sample, seed))
        return SimpleNamespace(image=torch.full((3, 8, 8), -1.0), done=True)

    monkeypatch.setattr(engine, "draw", draw)
    return seen


def test_who_thinks_is_asked_to_and_draws_from_the_reasoning(draw, spoken, writes, draws):
    thoughts = [spoken(tok.THINK_START, word, tok.THINK_END, tok.IMAGE_START) for word in ("one", "two", "three")]
    asked = writes(*thoughts)
    images = draw(TALKS, think=True)
    assert [text.count(THINK.lower()) for text in map(str.lower, asked)] == [1, 1, 1]
    assert [image.info["reasoning"] for image in images] == ["one", "two", "three"]
    for (encoded, _), thought in zip(draws, thoughts, strict=True):
        start = encoded.tokens.index(spoken(tok.IMAGE_START)[0])
        assert encoded.tokens[start - len(thought) + 1 : start] == thought[:-1]


def test_who_does_not_think_writes_nothing_and_is_not_asked_to(draw, reply, writes, draws):
    asked = writes()
    images = draw(TALKS)
    assert asked == []
    assert all("reasoning" not in image.info for image in images)
    asked = writes([1], [1], [1])
    reply(think=False)
    assert not any(THINK.lower() in text.lower() for text in asked)


def test_a_model_that_always_thinks_does_so_unless_it_is_told_not_to(engine, draw, spoken, writes, draws, monkeypatch):
    config = replace(engine.pipeline.config, reasoning=ReasoningConfig(always=True))
    monkeypatch.setattr(engine.pipeline, "config", config)
    thought = spoken(tok.THINK_START, "one", tok.THINK_END, tok.IMAGE_START)
    asked = writes(thought, thought, thought)
    assert [image.info.get("reasoning") for image in draw(TALKS)] == ["one"] * 3
    assert [image.info.get("reasoning") for image in draw(TALKS, think=False)] == [None] * 3
    assert len(asked) == 3


def test_reasoning_is_drawn_by_chance_and_seed_and_answers_are_not(engine, reply, spoken, draws, monkeypatch):
    config = replace(engine.pipeline.config, reasoning=ReasoningConfig(temperature=1.0, top_p=0.9))
    monkeypatch.setattr(engine.pipeline, "config", config)
    begun, rest = spoken(tok.THINK_START), spoken("red", tok.THINK_END, tok.IMAGE_START)
    seen = []

    def write(sample, options):
        seen.append((options.temperature, options.top_p, options.seed, options.max_tokens))
        goes_on = sample.tokens[-1] == begun[0]
        assert (begun[0] in options.stops) != goes_on
        return SimpleNamespace(tokens=list(rest if goes_on else begun), done=True)

    monkeypatch.setattr(engine, "write", write)
    assert [one.reasoning for one in reply(think=True)] == ["red"] * 3
    assert sorted(seen) == [(0.0, 1.0, 0, 9)] * 3 + [(1.0, 0.9, seed, 8) for seed in SEEDS]


def test_a_reply_thinks_too_and_tells_reasoning_and_words_apart(reply, spoken, writes, draws):
    said = spoken(tok.THINK_START, "red", tok.THINK_END, "dog", tok.TURN_END)
    asked = writes(said, said, spoken("two", tok.TURN_END))
    replies = reply(think=True)
    assert all(THINK.lower() in text.lower() for text in asked)
    assert [(reply.text, reply.reasoning) for reply in replies] == [("dog", "red"), ("dog", "red"), ("two", "")]


def test_in_a_batch_of_replies_each_picture_has_its_own_prompt_and_seed(reply, spoken, writes, draws):
    drawn = spoken(tok.IMAGE_START)
    writes(spoken("two", tok.TURN_END), drawn, drawn)
    replies = reply(think=False)
    assert [reply.image is not None for reply in replies] == [False, True, True]
    assert [seed for _, seed in draws] == [6, 7]
    facts = [reply.image.info for reply in replies if reply.image is not None]
    assert [(info["prompt"], str(info["seed"])) for info in facts] == [
        ("draw a blue dog", "6"),
        ("draw a green dog", "7"),
    ]


@torch.no_grad()
def test_an_edit_starts_from_the_newest_picture_of_its_conversation(engine, draw, template, draws):
    pictures = [template.picture(Image.new("RGB", (72, 72), color)) for color in ("red", "blue")]
    draw([(Turn("user", (*pictures, "make it night")),)])
    read = draws[0][0].pictures
    assert read[0].features is None
    wanted = engine.pipeline.features([pictures[1]])[0].numpy()
    np.testing.assert_allclose(read[1].features, wanted, rtol=1e-4, atol=1e-4)


def test_an_edit_that_starts_from_other_features_is_another_picture(engine, draw, template, monkeypatch):
    talk = (Turn("user", (template.picture(Image.new("RGB", (72, 72), "red")), "make it night")),)
    config = engine.pipeline.config.unified.head

    def drawn(seed):
        rng = torch.Generator().manual_seed(seed)
        features = torch.randn(1, config.channels, config.side, config.side, generator=rng)
        monkeypatch.setattr(engine.pipeline, "features", lambda pictures: features)
        return np.asarray(draw([talk], [0])[0], np.int16)

    assert np.abs(drawn(1) - drawn(2)).max() > 2


def test_a_letter_is_told_when_it_is_whole(engine, monkeypatch, template):
    ids = list(template.words.encode("ü"))
    assert len(ids) > 1
    tokens, row = [*ids, *template.words.encode("dog")], SimpleNamespace(tokens=[], done=False)

    def step():
        row.tokens.append(tokens[len(row.tokens)])
        row.done = len(row.tokens) == len(tokens)

    monkeypatch.setattr(engine, "write", lambda sample, options: row)
    monkeypatch.setattr(engine, "step", step)
    pieces = list(generation.stream(engine, TALKS[0], max_tokens=9))
    assert "".join(pieces) == template.words.decode(tokens).lstrip()
    assert not any("\ufffd" in piece for piece in pieces)


def test_progress_hears_of_every_picture(draw, draws):
    told = []
    draw(TALKS, progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
