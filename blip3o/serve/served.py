"""The models of a server, each with the thread that drives its engine, and what a request becomes for them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from blip3o.api import BLIP3o
from blip3o.config import BOUNDS
from blip3o.errors import PromptError, UserError
from blip3o.pipeline import generation
from blip3o.pipeline.drawing import DrawingRow
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.sampling import SamplingOptions
from blip3o.pipeline.self_check import check_edit
from blip3o.processing.conversation import Conversation, Turn
from blip3o.processing.images import to_image
from blip3o.processing.tokenizer import check_control
from blip3o.serve import pictures
from blip3o.serve.engine_thread import EngineThread, Job
from blip3o.serve.limits import Limits
from blip3o.serve.metrics import ServerMetrics
from blip3o.serve.schemas import ChatRequest, ImageRequest, Message, Request, side_of

MAX_TOKENS = 256
"""Of an answer, where the request names no number."""


class NoModelError(UserError):
    """A name that no model is served under."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """One model at work."""

    name: str
    model: BLIP3o
    thread: EngineThread


class Models:
    """All of them, by their names."""

    def __init__(
        self,
        models: Mapping[str, BLIP3o],
        metrics: ServerMetrics,
        limits: Limits,
        *,
        capacity: int = 16,
        queue: int = 64,
    ) -> None:
        self.metrics, self.limits = metrics, limits
        self.served = {
            name: Served(
                name=name,
                model=model,
                thread=EngineThread(model.pipeline, metrics, capacity=capacity, queue=queue),
            )
            for name, model in models.items()
        }
        metrics.watch(
            "blip3o_queue", "Requests that wait", lambda: sum(one.thread.queued for one in self.served.values())
        )

    def find(self, name: str) -> Served:
        """The model of this name; the first, where there is no name. Raises NoModelError."""
        if name and name not in self.served:
            raise NoModelError(f"there is no model {name}: choose from {', '.join(self.served)}")
        return self.served[name] if name else next(iter(self.served.values()))

    def close(self, deadline_s: float) -> None:
        """End all threads: what is there is finished within so many seconds, or refused."""
        for one in self.served.values():
            one.thread.close(deadline_s)


class Stream(generation.Listener):
    """Tells what is new of an answer: pieces of words, and pictures that are not done yet. It goes on where it was,
    should its request begin anew."""

    def __init__(self, tell: Callable[[str | Image.Image], None], *, previews: int = 0, steps: int = 1) -> None:
        self.tell, self.said, self.solver_steps = tell, "", steps
        self.due = {round((number + 1) * steps / (previews + 1)) for number in range(previews)} - {0, steps}
        """The solver steps after which a picture is shown, once each."""
        self.engine: Engine | None = None

    def of(self, engine: Engine) -> "Stream":
        """The same, for an engine."""
        self.engine = engine
        return self

    def words(self, text: str) -> None:
        if not text.endswith("\ufffd") and len(text) > len(self.said):
            self.tell(text[len(self.said) :])
            self.said = text

    def picture(self, row: DrawingRow) -> None:
        assert self.engine is not None
        remaining = self.engine.remaining(row)
        if remaining is not None and (done := self.solver_steps - remaining) in self.due:
            self.due.remove(done)
            image = self.engine.preview(row)
            assert image is not None, "a row that has taken a step has a preview"
            self.tell(to_image(image))


def seed_of(request: Request) -> int:
    """That of the request, or any."""
    return random.randint(0, int(BOUNDS["seed"][1])) if request.seed is None else request.seed


class RequestedWork:
    """A request, checked and ready to begin: before that, everything wrong with it is told."""

    def __init__(self, models: Models, request: Request, user: str) -> None:
        self.one = models.find(request.model)
        self.limits = models.limits
        self.user = (user, request.user)
        self.seed = seed_of(request)
        self.request = request
        self.template = self.one.model.pipeline.template

    def conversation(self, messages: Sequence[Message]) -> Conversation:
        """The turns of a chat. Raises UserError for what the model cannot be asked."""
        if messages[-1].role != "user":
            raise PromptError(f"the last message is of the {messages[-1].role}: end with one of the user")
        parts = [(message, part) for message in messages for part in message.parts]
        self.check_words([(message.role, part.text) for message, part in parts if part.image_url is None])
        addresses = [part.image_url.url for _, part in parts if part.image_url is not None]
        shown = iter(pictures.opened([*map(pictures.bytes_of, addresses)], self.template, self.limits))
        turns = []
        for message in messages:
            content = [part.text if part.image_url is None else next(shown) for part in message.parts]
            role = "system" if message.role == "developer" else message.role
            turns.append(Turn(role, tuple(one for one in content if one != "")))
        return tuple(turn for turn in turns if turn.content)

    def check_words(self, said: Sequence[tuple[str, str]]) -> None:
        """Raise PromptError for words that a side, each of these, may not say."""
        total = sum(len(text) for _, text in said)
        if total > self.limits.characters:
            raise PromptError(f"the messages have {total} characters, more than {self.limits.characters}: send less")
        for role, text in said:
            if role == "user":
                self.template.check(text)
            else:
                check_control(text)

    def chat(self, request: ChatRequest) -> "ChatWork":
        """A chat, ready to begin."""
        self.one.thread.require_room(1)
        conversation = self.conversation(request.messages)
        most = request.max_completion_tokens or request.max_tokens or MAX_TOKENS
        prompt = len(self.template.ask(conversation).tokens)
        if prompt > self.limits.tokens:
            raise PromptError(f"the messages have {prompt} tokens, more than {self.limits.tokens}: send less")
        how = {
            "think": request.think,
            "max_tokens": most,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        return ChatWork(self, conversation, self.sampling(request.size), how, prompt)

    def draw(self, request: ImageRequest, files: Sequence[bytes] = ()) -> "DrawWork":
        """Pictures of a prompt, or of an instruction about pictures in files."""
        thread = self.one.thread
        if request.n > thread.most_waiting + thread.capacity:
            raise PromptError(f"n is {request.n}, more than the server takes at a time: ask for fewer")
        thread.require_room(request.n)
        self.template.check(request.prompt)
        shown = pictures.opened(files, self.template, self.limits)
        if shown:
            check_edit(self.one.model.pipeline, request.best_of, request.think)
        conversation = (Turn("user", (*shown, request.prompt)),)
        return DrawWork(self, conversation, self.sampling(request.size), request)

    def sampling(self, size: str | None) -> Any:
        """How the model draws, changed as the request says. Raises UserError."""
        try:
            given: SamplingOptions = {**self.request.options, "size": side_of(size)}
            return self.one.model.sampling_of(given)
        except ValueError as error:
            raise error if isinstance(error, UserError) else PromptError(str(error)) from None


class ChatWork:
    """The next turn of a chat."""

    def __init__(
        self, work: RequestedWork, conversation: Conversation, sampling: Any, how: dict[str, Any], prompt_tokens: int
    ) -> None:
        self.work, self.conversation, self.sampling, self.how = work, conversation, sampling, how
        self.prompt_tokens = prompt_tokens

    def begin(self, tell: Callable[[Any], None] | None = None) -> Job:
        """Have it done; `tell` hears the words while they are written."""

        stream = self.stream = None if tell is None else Stream(tell)

        def task(engine: Engine) -> Any:
            listener = None if stream is None else stream.of(engine)
            return generation.reply(
                engine, self.conversation, self.work.seed, self.sampling, listener=listener, **self.how
            )

        return self.work.one.thread.submit([task], self.work.user, self.sampling.best_of)[0]


class DrawWork:
    """Pictures, each of its own seed."""

    def __init__(self, work: RequestedWork, conversation: Conversation, sampling: Any, request: ImageRequest) -> None:
        self.work, self.conversation, self.sampling, self.request = work, conversation, sampling, request

    def begin(self, tell: Callable[[Any], None] | None = None) -> list[Job]:
        """Have them done; `tell` sees the first while it forms."""
        seeds = iter([(self.work.seed + k) % (int(BOUNDS["seed"][1]) + 1) for k in range(self.request.n)])
        stream = None
        if tell is not None:
            stream = Stream(tell, previews=self.request.partial_images, steps=self.sampling.steps)
        begins = [partial(self.task, seed=seed, stream=stream if k == 0 else None) for k, seed in enumerate(seeds)]
        return self.work.one.thread.submit(begins, self.work.user, self.sampling.best_of)

    def task(self, engine: Engine, *, seed: int, stream: Stream | None) -> Any:
        """The work of one picture."""
        how = {"think": self.request.think, "listener": None if stream is None else stream.of(engine)}
        return generation.draw(engine, self.conversation, seed, self.sampling, **how)
