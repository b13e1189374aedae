"""The assistant's next turn in conversations: words, a picture, or reasoning and then a picture."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from blip3o import __version__
from blip3o.batch import Batch
from blip3o.bounds import whole
from blip3o.pipeline.pipeline import Call, Pipeline
from blip3o.pipeline.sampling import SamplingConfig
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


class Assistant:
    """A model that takes its turn."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.pipeline = pipeline
        self.name = name

    def draw(
        self,
        talks: Sequence[Conversation],
        seeds: Sequence[int],
        sampling: SamplingConfig,
        *,
        think: bool,
        batch_size: int,
        progress: Progress | None,
        on_image: OnImage | None,
    ) -> list[Image.Image]:
        """The assistant's picture in each conversation; with `think`, it writes its reasoning first.

        `on_image` gets each as soon as its batch is drawn.
        """
        made: list[Image.Image] = []
        call = Call(sampling=sampling)
        batches = parts(len(talks), batch_size)
        for part in _told(batches, progress):
            asked = [_thinking(talk) for talk in talks[part]] if think else talks[part]
            begun = self._write(asked, 96) if think else [[] for _ in asked]
            made += self._imagine(asked, begun, seeds[part], call)
            if on_image is not None:
                for index in range(part.start, part.stop):
                    on_image(index, made[index])
        return made

    def answer(
        self, talks: Sequence[Conversation], *, max_tokens: int, batch_size: int, progress: Progress | None
    ) -> Iterator[str]:
        """The assistant's words in each conversation, as they come."""
        for part in _told(parts(len(talks), batch_size), progress):
            yield from (self._say(ids)[0] for ids in self._write(talks[part], max_tokens))

    def stream(self, talk: Conversation, *, max_tokens: int) -> Iterator[str]:
        """The assistant's words in one conversation, piece by piece as they are written."""
        ids: list[int] = []
        told = ""
        for token in self._tokens(talk, max_tokens):
            ids.append(token)
            said = self.pipeline.template.words.decode(ids).lstrip()
            if not said.endswith("\ufffd"):  # half of a letter
                yield said[len(told) :]
                told = said

    def reply(
        self,
        talks: Sequence[Conversation],
        seeds: Sequence[int],
        sampling: SamplingConfig,
        *,
        think: bool,
        max_tokens: int,
        batch_size: int,
        progress: Progress | None,
    ) -> list[Reply]:
        """The assistant's next turn in each conversation; it draws where it writes the image-start token."""
        replies: list[Reply] = []
        call = Call(sampling=sampling)
        for part in _told(parts(len(talks), batch_size), progress):
            asked = [_thinking(talk) if think else talk for talk in talks[part]]
            replies += self._turn(asked, seeds[part], call, max_tokens)
        return replies

    def _turn(self, talks: Sequence[Conversation], seeds: Sequence[int], call: Call, max_tokens: int) -> list[Reply]:
        written = self._write(talks, max_tokens)
        start = self.pipeline.template.words.control[tok.IMAGE_START]
        drawing = [index for index, ids in enumerate(written) if ids and ids[-1] == start]
        drawn = self._imagine(
            [talks[index] for index in drawing],
            [written[index] for index in drawing],
            [seeds[index] for index in drawing],
            call,
        )
        images = dict(zip(drawing, drawn, strict=True))
        said = [self._say(ids) for ids in written]
        return [Reply(text=text, reasoning=why, image=images.get(index)) for index, (text, why) in enumerate(said)]

    def _write(self, talks: Sequence[Conversation], max_tokens: int) -> list[list[int]]:
        """What the assistant writes, up to and with the end of its turn or the image-start token."""
        with torch.inference_mode():
            return self.pipeline.unified.generate(self._begun(talks), self._stops, whole("max_tokens", max_tokens))

    def _tokens(self, talk: Conversation, max_tokens: int) -> Iterator[int]:
        writing = self.pipeline.unified.stream(self._begun([talk]), self._stops, whole("max_tokens", max_tokens))
        while True:
            with torch.inference_mode():  # only while a token is computed, not while the caller has it
                column = next(writing, None)
            if column is None:
                return
            yield int(column[0])

    def _begun(self, talks: Sequence[Conversation]) -> Batch:
        template = self.pipeline.template
        return template.collate([template.ask(talk) for talk in talks], left=True).to(self.pipeline.device)

    @property
    def _stops(self) -> list[int]:
        control = self.pipeline.template.words.control
        return [control[tok.TURN_END], control[tok.IMAGE_START]]

    def _say(self, ids: Sequence[int]) -> tuple[str, str]:
        """Token ids as (text, reasoning)."""
        words = self.pipeline.template.words
        ids = list(ids)
        begin, end = words.control.get(tok.THINK_START), words.control.get(tok.THINK_END)
        if ids and ids[0] == begin:
            cut = ids.index(end) if end in ids else len(ids)
            return words.decode(ids[cut:]).strip(), words.decode(ids[:cut]).strip()
        return words.decode(ids).strip(), ""

    def _imagine(
        self,
        talks: Sequence[Conversation],
        begun: Sequence[Sequence[int]],
        seeds: Sequence[int],
        call: Call,
    ) -> list[Image.Image]:
        """Draw the assistant's picture in each conversation, of which it has `begun` to write an answer."""
        if not talks:
            return []
        template = self.pipeline.template
        start = template.words.control[tok.IMAGE_START]
        with torch.inference_mode():
            asked = [self._asked(talk, [i for i in ids if i != start]) for talk, ids in zip(talks, begun, strict=True)]
            images = [to_image(row) for row in self.pipeline.draw(asked, seeds, call)]
        for image, talk, ids, seed in zip(images, talks, begun, seeds, strict=True):
            image.info |= self._origin(talk, ids, seed, call.sampling)
        return images

    def _asked(self, talk: Conversation, begun: list[int]) -> TokenizedSample:
        """The conversation with its slot, the features of its newest picture at hand."""
        end = self.pipeline.template.words.control[tok.TURN_END]
        encoded = self.pipeline.template.ask(talk, [index for index in begun if index != end], draw=True)
        if not (encoded.pictures and self.pipeline.config.unified.denoiser.with_reference):
            return encoded
        newest = encoded.pictures[-1]
        known = replace(newest, features=self.pipeline.features([newest])[0].float().cpu().numpy())
        return replace(encoded, pictures=[*encoded.pictures[:-1], known])

    def _origin(self, talk: Conversation, ids: Sequence[int], seed: int, sampling: SamplingConfig) -> dict[str, object]:
        prompt = " ".join(part for part in talk[-1].content if isinstance(part, str))
        facts: dict[str, object] = {"prompt": prompt, "seed": seed, "model": self.name, "version": __version__}
        facts |= {"steps": sampling.steps, "guidance": sampling.guidance}
        reasoning = self._say(ids)[1]
        return facts | ({"reasoning": reasoning} if reasoning else {})


def parts(count: int, batch_size: int, times: int = 1) -> list[slice]:
    """Where batches of `times` a `batch_size` of items begin and end. Raises ConfigError for one out of bounds."""
    size = times * whole("batch_size", batch_size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _told(batches: list[slice], progress: Progress | None) -> Iterator[slice]:
    """The batches one by one; when one is done, `progress` hears of it."""
    for part in batches:
        yield part
        if progress is not None:
            progress(part.stop, batches[-1].stop)


def _thinking(talk: Conversation) -> Conversation:
    return (Turn("system", (THINK,)), *talk)
