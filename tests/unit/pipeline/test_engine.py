"""The engine: whoever joins, leaves or is cancelled, a row is what it is alone."""

import random
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.writing import WritingOptions, draw_token
from blip3o.processing.conversation import Turn

WORDS = ["a red dog", "two blue dogs", "a cat", "a dog on a beach by night", "a red car", "three dogs"]


@pytest.fixture(scope="module")
def shipped():
    """The shipped model: in the smallest one a matrix is so small that the place of a row shows in its last bits."""
    return BLIP3o.load().pipeline


@pytest.fixture
def engine(shipped):
    return Engine(shipped)


@pytest.fixture(scope="module")
def drawn(shipped):
    return [shipped.template.ask((Turn("user", (words,)),), draw=True) for words in WORDS]


@pytest.fixture(scope="module")
def questions(template):
    """With a picture, with another, and without: of different lengths."""
    pictures = [template.picture(Image.new("RGB", (72, 72), color)) for color in ("red", "blue")]
    return [
        template.ask((Turn("user", content),))
        for content in ((pictures[0], "what is this?"), (*pictures, "a dog"), ("two blue dogs on a beach",))
    ]


@pytest.fixture(scope="module")
def samplings(shipped):
    """A row of every kind: steps, guidance and its interval, solver, decoder steps."""
    plain = replace(shipped.config.sampling, decoder_steps=1)
    return [
        replace(plain, steps=3),
        replace(plain, steps=5, guidance=4.0),
        replace(plain, steps=4, guidance=1.0),
        replace(plain, steps=6, guided_from=0.3, guided_until=0.6, decoder_steps=2),
        replace(plain, steps=4, solver="heun"),
        replace(plain, steps=6, solver="multistep", guidance=3.0),
    ]


def finish(engine, *rows) -> Any:
    while not all(row.done for row in rows):
        engine.step()
    return rows


@pytest.fixture(scope="module")
def alone(shipped, drawn, samplings):
    rows = [
        finish(engine := Engine(shipped), engine.draw(sample, seed, sampling))[0]
        for seed, (sample, sampling) in enumerate(zip(drawn, samplings, strict=True))
    ]
    return [row.image for row in rows]


@pytest.mark.parametrize("order", range(3))
def test_an_image_that_joins_at_any_step_is_bit_for_bit_what_it_is_alone(engine, drawn, samplings, alone, order):
    rng, rows = random.Random(order), {}
    for index in rng.sample(range(6), 6):
        rows[index] = engine.draw(drawn[index], index, samplings[index])
        for _ in range(rng.randrange(3)):
            engine.step()
    finish(engine, *rows.values())
    assert [index for index in range(6) if not torch.equal(rows[index].image, alone[index])] == []


def test_more_images_than_a_pass_has_rows_wait_for_their_places(engine, drawn, samplings, alone):
    rows = [engine.draw(drawn[0], seed, samplings[0]) for seed in range(6)]
    engine.step()
    assert (len(engine.drawer.waiting), len(next(iter(engine.drawer.passes.values())).rows)) == (2, 4)
    finish(engine, *rows)
    assert torch.equal(rows[0].image, alone[0])
    assert all((row.image - rows[0].image).abs().max() > 0 for row in rows[1:])


def test_a_cancelled_image_leaves_at_once_and_disturbs_nobody(engine, drawn, samplings, alone):
    rows = [engine.draw(drawn[index], index, samplings[index]) for index in (0, 1, 3)]
    engine.step()
    rows[0].cancelled = True
    engine.step()
    rows += [engine.draw(drawn[1], 1, samplings[1])]
    finish(engine, *rows)
    assert rows[0].image is None
    assert [torch.equal(row.image, alone[index]) for row, index in zip(rows[1:], (1, 3, 1), strict=True)] == [True] * 3
    assert engine.drawer.passes == {}


def test_a_cancelled_image_that_waits_is_never_begun(engine, drawn, samplings):
    row = engine.draw(drawn[0], 0, samplings[0])
    row.cancelled = True
    engine.step()
    assert engine.drawer.passes == {}
    assert engine.drawer.waiting == []


def test_a_preview_comes_nearer_to_the_image_and_changes_nothing(engine, drawn, samplings, alone):
    row = engine.draw(drawn[1], 1, samplings[1])
    assert engine.preview(row) is None
    seen = []
    for _ in range(4):
        engine.step()
        seen.append(engine.preview(row))
    finish(engine, row)
    assert all(image.shape == row.image.shape for image in seen)
    assert (seen[-1] - row.image).abs().mean() < (seen[0] - row.image).abs().mean()
    assert torch.equal(row.image, alone[1])


def write(pipeline, sample, **options: Any):
    engine = Engine(pipeline)
    return finish(engine, engine.write(sample, WritingOptions(**{"max_tokens": 7, **options})))[0]


def test_an_answer_that_joins_late_is_what_it_is_alone(pipeline, questions):
    engine, rows = Engine(pipeline, capacity=2), []
    for sample in questions:
        rows.append(engine.write(sample, WritingOptions(max_tokens=7)))
        engine.step()
    engine.step()
    assert (len(engine.writer.rows), len(rows[2].tokens)) == (2, 0)  # it waits
    finish(engine, *rows)
    for row, sample in zip(rows, questions, strict=True):
        own = write(pipeline, sample)
        assert row.tokens == own.tokens
        assert row.log_probabilities == pytest.approx(own.log_probabilities, abs=1e-4)


def test_the_place_of_an_answer_that_is_done_is_taken_at_once(pipeline, questions):
    engine = Engine(pipeline, capacity=2)
    short, long, late = (
        engine.write(sample, WritingOptions(max_tokens=limit))
        for sample, limit in zip(questions, (1, 9, 3), strict=True)
    )
    engine.step()
    assert (short.done, len(long.tokens), len(late.tokens)) == (True, 1, 0)
    engine.step()
    assert (len(long.tokens), len(late.tokens)) == (2, 1)
    long.cancelled = True
    finish(engine, late)
    assert len(long.tokens) == 2
    assert late.tokens == write(pipeline, questions[2], max_tokens=3).tokens


def test_an_answer_ends_with_its_own_stop_token(pipeline, questions):
    free = write(pipeline, questions[0]).tokens
    stopped = write(pipeline, questions[0], stops=(free[2],)).tokens
    assert stopped == free[: free.index(free[2]) + 1]


def test_a_drawn_answer_depends_on_its_seed_alone(pipeline, questions):
    hot = [write(pipeline, questions[2], temperature=3.0, seed=seed).tokens for seed in (0, 0, 1)]
    assert hot[0] == hot[1] != hot[2]
    assert write(pipeline, questions[2], temperature=3.0, top_p=1e-6).tokens == write(pipeline, questions[2]).tokens
    engine = Engine(pipeline)
    engine.write(questions[0], WritingOptions(max_tokens=7))
    engine.step()
    row = engine.write(questions[2], WritingOptions(max_tokens=7, temperature=3.0))
    assert finish(engine, row)[0].tokens == hot[0]


def test_tokens_are_drawn_as_often_as_they_are_likely_among_the_likeliest():
    chances, count = torch.tensor([0.1, 0.4, 0.3, 0.2]), 1000
    places = (torch.arange(count) + 0.5) / count

    def shares(top_p):
        tokens = torch.stack([draw_token(chances, top_p, place[None]) for place in places])
        return (tokens.bincount(minlength=4) / count).tolist()

    assert shares(1.0) == pytest.approx([0.1, 0.4, 0.3, 0.2], abs=0.002)
    assert shares(0.69) == pytest.approx([0, 4 / 7, 3 / 7, 0], abs=0.002)
    assert shares(0.1) == [0, 1, 0, 0]


def test_temperature_flattens_what_is_drawn(pipeline, questions):
    cold, hot = (
        {write(pipeline, questions[2], temperature=heat, seed=seed, max_tokens=1).tokens[0] for seed in range(40)}
        for heat in (0.05, 20.0)
    )
    assert len(cold) < len(hot)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"max_tokens": 0}, "max_tokens"), ({"temperature": -1.0}, "temperature"), ({"top_p": 0.0}, "top_p")],
)
def test_options_out_of_bounds_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        WritingOptions(**{"max_tokens": 1, **options})


def test_two_threads_use_one_model_as_if_each_had_it_alone(pipeline):
    model, picture = BLIP3o(deepcopy(pipeline)), Image.new("RGB", (72, 72), "red")

    def draw():
        return [np.asarray(image).tobytes() for image in model.generate(["a dog", "a red car"], seed=3)]

    def answer():
        return model.understand([picture] * 3, ["what is this?", "a dog", "how many dogs?"], max_tokens=6)

    turns = draw(), answer()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            calls = [pool.submit(call) for call in (draw, answer, draw, answer)]
            assert [call.result() for call in calls] == [*turns, *turns]
