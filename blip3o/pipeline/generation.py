"""The assistant's next turn in a conversation, as a task of the engine: words, a picture, or both."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from blip3o import __version__
from blip3o.config import whole
from blip3o.errors import PromptError
from blip3o.pipeline import self_check
from blip3o.pipeline.drawing import DrawingRow
from blip3o.pipeline.engine import Engine, EngineTask, TaskResult
from blip3o.pipeline.pipeline import Pipeline
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.pipeline.self_check import candidate_seeds
from blip3o.pipeline.writing import WritingOptions
from blip3o.processing import tokenizer as tok
from blip3o.processing.chat_template import TokenizedSample
from blip3o.processing.conversation import THINK, Conversation, Turn
from blip3o.processing.images import to_image

Progress = Callable[[int, int], None]
"""(items done, items in all)"""
REASONING_TOKENS = 96
"""At most so many are written before a picture."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model answered: words, or a picture and the reasoning before it."""

    text: str = ""
    reasoning: str = ""
    image: Image.Image | None = None
    written: int = 0
    """Tokens of words."""
    complete: bool = True
    """False where the most tokens allowed ended it."""


class Listener:
    """Who sees an answer while it is made; this one looks away."""

    def words(self, text: str) -> None:
        """All that is written so far, without reasoning; the last letter may be half."""

    def picture(self, row: DrawingRow) -> None:
        """A picture one step on."""


def draw(
    engine: Engine,
    conversation: Conversation,
    seed: int,
    sampling: SamplingConfig,
    *,
    think: bool | None = None,
    listener: Listener | None = None,
) -> EngineTask[Image.Image]:
    """The assistant's picture; with `think`, it writes its reasoning first (None: as its config says)."""
    begun: list[int] = []
    if _thinks(engine, think):
        conversation = _thinking(conversation)
        begun = yield from _write(engine, conversation, _reasoning_options(engine, REASONING_TOKENS, seed))
    return (yield from _draw(engine, conversation, begun, seed, sampling, listener))


def answer(engine: Engine, conversation: Conversation, *, max_tokens: int) -> EngineTask[str]:
    """The assistant's words."""
    tokens = yield from _write(engine, conversation, _options(engine, max_tokens))
    return _text(engine, tokens)[0]


def reply(
    engine: Engine,
    conversation: Conversation,
    seed: int,
    sampling: SamplingConfig,
    *,
    think: bool | None,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    listener: Listener | None = None,
) -> EngineTask[Reply]:
    """The assistant's next turn; it draws where it writes the image-start token."""
    conversation = _thinking(conversation) if _thinks(engine, think) else conversation
    options, begin = _options(engine, max_tokens), engine.pipeline.template.words.control.get(tok.THINK_START, -1)
    if temperature:
        options = replace(options, temperature=temperature, top_p=top_p, seed=seed)
    stopping = replace(options, stops=(*options.stops, begin))
    tokens = yield from _write(engine, conversation, stopping, listener=listener)
    if tokens[-1:] == [begin] and len(tokens) < max_tokens:
        options = _reasoning_options(engine, max_tokens - len(tokens), seed)
        tokens += yield from _write(engine, conversation, options, tokens, listener)
    text, reasoning = _text(engine, tokens)
    image = None
    if tokens[-1:] == [engine.pipeline.template.words.control[tok.IMAGE_START]]:
        image = yield from _draw(engine, conversation, tokens, seed, sampling, listener)
    complete = tokens[-1:] != [] and tokens[-1] in options.stops
    return Reply(text=text, reasoning=reasoning, image=image, written=len(tokens), complete=complete)


def collect(
    engine: Engine,
    tasks: Iterable[EngineTask[TaskResult]],
    total: int,
    progress: Progress | None = None,
    on_result: Callable[[int, TaskResult], None] | None = None,
) -> list[TaskResult]:
    """The results of all tasks; `on_result` gets the number and the result of each, and `progress` hears of it."""
    results: list[TaskResult] = []
    for index, result in enumerate(engine.run(tasks)):
        results.append(result)
        if on_result is not None:
            on_result(index, result)
        if progress is not None:
            progress(index + 1, total)
    return results


def stream(engine: Engine, conversation: Conversation, *, max_tokens: int) -> Iterator[str]:
    """The assistant's words in one conversation, piece by piece as they are written."""
    row, said = engine.write(engine.pipeline.template.ask(conversation), _options(engine, max_tokens)), ""
    while not row.done:
        engine.step()
        text = engine.pipeline.template.words.decode(row.tokens).lstrip()
        if not text.endswith("\ufffd"):  # half of a letter
            yield text[len(said) :]
            said = text


def _write(
    engine: Engine,
    conversation: Conversation,
    options: WritingOptions,
    begun: Sequence[int] = (),
    listener: Listener | None = None,
) -> EngineTask[list[int]]:
    """The tokens that the assistant writes after those that it has `begun` with."""
    row = engine.write(engine.pipeline.template.ask(conversation, begun), options)
    try:
        while not row.done:
            yield
            if listener is not None:
                listener.words(_text(engine, [*begun, *row.tokens])[0])
    finally:  # a task that is closed takes its row along
        row.cancelled = True
    return row.tokens


def _options(engine: Engine, max_tokens: int) -> WritingOptions:
    """At most so many tokens, up to and with the end of the turn or the image-start token."""
    control = engine.pipeline.template.words.control
    stops = (control[tok.TURN_END], control[tok.IMAGE_START])
    return WritingOptions(max_tokens=whole("max_tokens", max_tokens), stops=stops)


def _reasoning_options(engine: Engine, max_tokens: int, seed: int) -> WritingOptions:
    config = engine.pipeline.config.reasoning
    return replace(_options(engine, max_tokens), temperature=config.temperature, top_p=config.top_p, seed=seed)


def _text(engine: Engine, ids: Sequence[int]) -> tuple[str, str]:
    """Token ids as (text, reasoning)."""
    words = engine.pipeline.template.words
    ids = list(ids)
    begin, end = words.control.get(tok.THINK_START), words.control.get(tok.THINK_END)
    if ids and ids[0] == begin:
        cut = ids.index(end) if end in ids else len(ids)
        return words.decode(ids[cut:]).strip(), words.decode(ids[:cut]).strip()
    return words.decode(ids).strip(), ""


def _draw(
    engine: Engine,
    conversation: Conversation,
    begun: Sequence[int],
    seed: int,
    sampling: SamplingConfig,
    listener: Listener | None,
) -> EngineTask[Image.Image]:
    """The assistant's picture, where it has `begun` to write an answer: the best of its candidates. It carries how it
    was drawn."""
    reasoning = _text(engine, begun)[1]
    wanted = self_check.wanted(conversation, reasoning) if sampling.best_of > 1 else ""
    request, seeds = _request(engine.pipeline, conversation, begun), candidate_seeds(seed, sampling.best_of)
    checked, seeds = bool(wanted), seeds if wanted else seeds[:1]
    rows = [engine.draw(request, one, sampling) for one in seeds]
    try:
        while not all(row.done for row in rows):
            yield
            if listener is not None:
                listener.picture(rows[0])
    finally:
        for row in rows:
            row.cancelled = True
    images = [to_image(row.image) for row in rows if row.image is not None]
    assert len(images) == len(rows), "nobody cancels the rows of a task"
    scores = self_check.scores(engine.pipeline, images, wanted) if checked else [0.0]
    image, seed = max(zip(scores, images, seeds, strict=True), key=lambda one: one[0])[1:]
    prompt = " ".join(part for part in conversation[-1].content if isinstance(part, str))
    image.info |= {"prompt": prompt, "seed": seed, "model": engine.pipeline.config.name, "version": __version__}
    image.info |= {"steps": sampling.steps, "guidance": sampling.guidance}
    image.info |= {"reasoning": reasoning} if reasoning else {}
    if checked:
        image.info["candidates"] = {str(one): round(score, 4) for one, score in zip(seeds, scores, strict=True)}
    return image


def _request(pipeline: Pipeline, conversation: Conversation, begun: Sequence[int]) -> TokenizedSample:
    """The conversation with its slot, the features of its newest picture at hand."""
    control = pipeline.template.words.control
    ends = (control[tok.TURN_END], control[tok.IMAGE_START])
    sample = pipeline.template.ask(conversation, [index for index in begun if index not in ends], draw=True)
    if not (sample.pictures and pipeline.config.unified.takes_reference):
        return sample
    newest = sample.pictures[-1]
    with torch.inference_mode():
        encoded = replace(newest, features=pipeline.features([newest])[0])
    return replace(sample, pictures=[*sample.pictures[:-1], encoded])


def _thinks(engine: Engine, think: bool | None) -> bool:
    return engine.pipeline.config.reasoning.always if think is None else think


def _thinking(talk: Conversation) -> Conversation:
    return (Turn("system", (THINK,)), *talk)


def seeds_of(seed: Any, count: int) -> list[int]:
    """A seed for each of so many items: `seed + k` for item k (from 0), or those given. Raises PromptError for another
    number of seeds, ConfigError for one out of bounds."""
    if isinstance(seed, np.ndarray | Sequence) and not isinstance(seed, str | bytes | bytearray | memoryview):
        seeds = [whole("seed", one) for one in seed]
    else:
        first = whole("seed", seed)
        seeds = list(range(first, first + count))
    if len(seeds) != count:
        raise PromptError(f"{len(seeds)} seeds for {count} images: give one seed, or one for each image")
    return seeds
