"""The assistant's next turn in conversations: words, a picture, or reasoning and then a picture."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from blip3o import __version__
from blip3o.config import whole
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.pipeline import Pipeline
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.pipeline.writing import WritingOptions
from blip3o.processing import tokenizer as tok
from blip3o.processing.chat_template import TokenizedSample
from blip3o.processing.conversation import THINK, Conversation, Turn
from blip3o.processing.images import to_image

Progress = Callable[[int, int], None]
"""(items done, items in all)"""
OnImage = Callable[[int, Image.Image], None]
"""(number of a picture, the picture)"""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model answered: words, or a picture and the reasoning before it."""

    text: str = ""
    reasoning: str = ""
    image: Image.Image | None = None


def draw(
    engine: Engine,
    conversations: Sequence[Conversation],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    *,
    think: bool,
    progress: Progress | None,
    on_image: OnImage | None,
) -> list[Image.Image]:
    """The assistant's picture in each conversation; with `think`, it writes its reasoning first.

    `on_image` gets each as soon as its batch is drawn.
    """
    images: list[Image.Image] = []
    for part in _batches(engine, len(conversations), progress):
        batch = [_thinking(one) for one in conversations[part]] if think else conversations[part]
        begun = _write(engine, batch, 96) if think else [[] for _ in batch]
        images += _draw(engine, batch, begun, seeds[part], sampling)
        if on_image is not None:
            for index in range(part.start, part.stop):
                on_image(index, images[index])
    return images


def answer(
    engine: Engine, conversations: Sequence[Conversation], *, max_tokens: int, progress: Progress | None
) -> list[str]:
    """The assistant's words in each conversation."""
    answers: list[str] = []
    for part in _batches(engine, len(conversations), progress):
        answers += [_text(engine, ids)[0] for ids in _write(engine, conversations[part], max_tokens)]
    return answers


def stream(engine: Engine, conversation: Conversation, *, max_tokens: int) -> Iterator[str]:
    """The assistant's words in one conversation, piece by piece as they are written."""
    row, said = engine.write(engine.pipeline.template.ask(conversation), _options(engine, max_tokens)), ""
    while not row.done:
        engine.step()
        text = engine.pipeline.template.words.decode(row.tokens).lstrip()
        if not text.endswith("\ufffd"):  # half of a letter
            yield text[len(said) :]
            said = text


def reply(
    engine: Engine,
    conversations: Sequence[Conversation],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    *,
    think: bool,
    max_tokens: int,
    progress: Progress | None,
) -> list[Reply]:
    """The assistant's next turn in each conversation; it draws where it writes the image-start token."""
    replies: list[Reply] = []
    start = engine.pipeline.template.words.control[tok.IMAGE_START]
    for part in _batches(engine, len(conversations), progress):
        batch = [_thinking(one) if think else one for one in conversations[part]]
        written = _write(engine, batch, max_tokens)
        drawing = [index for index, ids in enumerate(written) if ids and ids[-1] == start]
        talks, begun = [batch[index] for index in drawing], [written[index] for index in drawing]
        drawn = _draw(engine, talks, begun, [seeds[part][index] for index in drawing], sampling)
        images = dict(zip(drawing, drawn, strict=True))
        for index, (text, why) in enumerate(_text(engine, ids) for ids in written):
            replies.append(Reply(text=text, reasoning=why, image=images.get(index)))
    return replies


def _write(engine: Engine, conversations: Sequence[Conversation], max_tokens: int) -> list[list[int]]:
    """What the assistant writes, up to and with the end of its turn or the image-start token."""
    samples = [engine.pipeline.template.ask(one) for one in conversations]
    return engine.texts(samples, _options(engine, max_tokens))


def _options(engine: Engine, max_tokens: int) -> WritingOptions:
    control = engine.pipeline.template.words.control
    stops = (control[tok.TURN_END], control[tok.IMAGE_START])
    return WritingOptions(max_tokens=whole("max_tokens", max_tokens), stops=stops)


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
    conversations: Sequence[Conversation],
    begun: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: SamplingConfig,
) -> list[Image.Image]:
    """The assistant's picture in each conversation, of which it has `begun` to write an answer."""
    with torch.inference_mode():
        samples = [_request(engine.pipeline, one, ids) for one, ids in zip(conversations, begun, strict=True)]
        images = [to_image(image) for image in engine.images(samples, seeds, sampling)]
    for image, one, ids, seed in zip(images, conversations, begun, seeds, strict=True):
        prompt = " ".join(part for part in one[-1].content if isinstance(part, str))
        reasoning = _text(engine, ids)[1]
        image.info |= {"prompt": prompt, "seed": seed, "model": engine.pipeline.config.name, "version": __version__}
        image.info |= {"steps": sampling.steps, "guidance": sampling.guidance}
        image.info |= {"reasoning": reasoning} if reasoning else {}
    return images


def _request(pipeline: Pipeline, conversation: Conversation, begun: Sequence[int]) -> TokenizedSample:
    """The conversation with its slot, the features of its newest picture at hand."""
    control = pipeline.template.words.control
    ends = (control[tok.TURN_END], control[tok.IMAGE_START])
    sample = pipeline.template.ask(conversation, [index for index in begun if index not in ends], draw=True)
    if not (sample.pictures and pipeline.config.unified.takes_reference):
        return sample
    newest = sample.pictures[-1]
    known = replace(newest, features=pipeline.features([newest])[0])
    return replace(sample, pictures=[*sample.pictures[:-1], known])


def parts(count: int, batch_size: int, times: int = 1) -> list[slice]:
    """Where batches of `times` a `batch_size` of items begin and end. Raises ConfigError for one out of bounds."""
    size = times * whole("batch_size", batch_size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _batches(engine: Engine, count: int, progress: Progress | None) -> Iterator[slice]:
    """The batches one by one, as many as the engine writes at once; when one is done, `progress` hears of it."""
    for part in parts(count, engine.writer.capacity):
        yield part
        if progress is not None:
            progress(part.stop, count)


def _thinking(talk: Conversation) -> Conversation:
    return (Turn("system", (THINK,)), *talk)
