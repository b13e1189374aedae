"""Judges: a model behind an OpenAI-compatible server, or one of ours here; every reply is kept on disk."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from PIL import Image

from blip3o.errors import JudgeError, JudgeRefusalError, PictureError, PromptError, brief
from blip3o.evals.benchmark import USUAL, Judge, JudgeCall
from blip3o.evals.candidate import Candidate
from blip3o.files import write_text

if TYPE_CHECKING:
    import openai

TRIES = 4
"""How often the server is asked again when it times out, is overrun or fails."""


UNTAKEN = "(?:unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra|not permitted|not allowed)"
"""How servers say that they do not take a field of a request, within some words of its name."""
MOST_TOKENS = "max_tokens"
REFUSES = (400, 413, 422)
"""What a server answers to a request that it would not take at another time either."""


class ChatJudge(Judge):
    """A model by its name, at the base URL of a server.

    Fields of a request that the server refuses by name are left out of this and of all later ones, or go by the name
    that it asks for (`max_completion_tokens`).
    """

    def __init__(self, model: str, base_url: str, key: str, *, timeout_s: float = 120.0) -> None:
        try:
            import openai
        except ImportError as error:
            raise JudgeError("a judge needs the openai client: pip install 'blip3o[eval]'") from error
        self.name, self.openai = model, openai
        self.client = openai.OpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=TRIES)
        self.tokens = {"prompt": 0, "completion": 0}
        self.names: dict[str, str | None] = {}
        """Field -> what the server calls it; None for one that it does not take."""
        self.lock = Lock()

    def ask(self, prompt: str, pictures: Sequence[Image.Image] = (), settings: JudgeCall = USUAL) -> str:
        """One chat completion, without its thoughts; pictures go as PNG. Raises JudgeError."""
        shown = [{"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in pictures]
        words = [{"type": "text", "text": _whole(prompt)}]
        messages: list[Any] = [{"role": "system", "content": _whole(settings.system)}] if settings.system else []
        messages.append({"role": "user", "content": [*words, *shown] if shown else _whole(prompt)})
        fields: dict[str, Any] = {"temperature": settings.temperature, MOST_TOKENS: settings.max_tokens}
        if not settings.think:
            fields["chat_template_kwargs"] = {"enable_thinking": False}
        try:
            reply = self._sent(messages, fields)
        except self.openai.RateLimitError as error:
            raise JudgeError(f"{self.name} takes no more requests ({brief(error)}): wait, then run again") from error
        except self.openai.APITimeoutError as error:
            raise JudgeError(f"{self.name} did not answer in time: run again, what is scored is kept") from error
        except (self.openai.APIError, ValueError) as error:
            if getattr(error, "status_code", None) in REFUSES:
                raise JudgeRefusalError(f"{self.name} refuses this request ({brief(error)})") from error
            raise JudgeError(f"{self.name} cannot be asked ({brief(error)}): check --judge and the key") from error
        if isinstance(reply, str):
            raise JudgeError(
                f"the server sent a page in place of a reply of {self.name}: does the base URL end in /v1?"
            )
        self._count(getattr(reply, "usage", None))
        choice = next(iter(getattr(reply, "choices", None) or ()), None)
        text = _words(getattr(choice, "message", None))
        if not text:
            reason = getattr(choice, "finish_reason", None) or "no reason"
            raise JudgeRefusalError(f"{self.name} sent a reply without words ({reason} given)")
        return text

    def _sent(self, messages: list[Any], fields: Mapping[str, Any]) -> Any:
        """The reply to a request whose fields go by the names that the server takes."""
        while True:
            names = {field: self.names.get(field, field) for field in fields}
            body = {name: fields[field] for field, name in names.items() if name is not None}
            try:
                return self.client.chat.completions.create(model=self.name, messages=messages, extra_body=body)
            except (self.openai.BadRequestError, self.openai.UnprocessableEntityError) as error:
                refused = _untaken(error, body)
                if refused is None:
                    raise
                field = next(field for field, name in names.items() if name == refused)
                with self.lock:
                    self.names[field] = _other_name(error) if refused == MOST_TOKENS else None

    def _count(self, usage: Any) -> None:
        with self.lock:
            for kind in self.tokens:
                number = getattr(usage, f"{kind}_tokens", None)
                self.tokens[kind] += number if isinstance(number, int) else 0


class LocalJudge(Judge):
    """A unified model of ours as the judge, labelled so: its scores say little about a model that it resembles."""

    def __init__(self, model: Candidate, name: str) -> None:
        self.model, self.name = model, f"local:{name}"
        self.lock = Lock()

    def ask(self, prompt: str, pictures: Sequence[Image.Image] = (), settings: JudgeCall = USUAL) -> str:
        """A greedy answer, whatever the temperature; ours does not think."""
        try:
            with self.lock:
                text = f"{settings.system}\n{prompt}".strip()
                return self.model.understand([list(pictures)], [text], max_tokens=settings.max_tokens)[0]
        except (PromptError, PictureError) as error:
            raise JudgeRefusalError(f"{self.name} cannot be asked: {error}") from error


class Cached(Judge):
    """A judge whose raw replies are kept in a folder, so that no request is paid for twice."""

    def __init__(self, judge: Judge, folder: Path, place: str = "") -> None:
        """`place` tells judges of one name apart: the URL of a server, the fingerprint of weights."""
        self.judge, self.name, self.folder, self.place = judge, judge.name, folder, place
        self.asked = self.kept = 0

    def ask(self, prompt: str, pictures: Sequence[Image.Image] = (), settings: JudgeCall = USUAL) -> str:
        """The reply that is there, or a new one."""
        shown = [(picture.size, picture.mode, hashlib.sha256(picture.tobytes()).hexdigest()) for picture in pictures]
        request = [self.name, self.place, settings.system, prompt, shown]
        request += [settings.temperature, settings.max_tokens, settings.attempt, *([] if settings.think else [False])]
        path = self.folder / f"{hashlib.sha256(json.dumps(request).encode()).hexdigest()}.json"
        if path.is_file():
            self.kept += 1
            return json.loads(path.read_text(encoding="utf-8"))["reply"]
        reply = self.judge.ask(prompt, pictures, settings=settings)
        self.asked += 1
        sent = {"system": settings.system, "prompt": prompt, "attempt": settings.attempt}
        write_text(path, json.dumps({"judge": self.name, **sent, "reply": reply}, indent=2))
        return reply


def _data_url(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _whole(text: str) -> str:
    """Words that UTF-8 can hold: half a pair of surrogates becomes a question mark."""
    return text.encode(errors="replace").decode()


def _untaken(error: "openai.APIStatusError", names: Iterable[str]) -> str | None:
    """The field of a request that the server says it does not take."""
    message = " ".join(str(error).split())
    for name in names:
        near = rf"(?i){UNTAKEN}.{{0,60}}\b{name}\b|\b{name}\b.{{0,60}}{UNTAKEN}"
        if name in (error.param or name) and re.search(near, message):
            return name
    return None


def _other_name(error: Exception) -> str | None:
    """What the server wants the number of tokens to be called."""
    return min(set(re.findall(r"\bmax_\w*tokens\b", str(error))) - {MOST_TOKENS}, default=None)


def _words(message: Any) -> str:
    """What a model says: its words after its thoughts, or, where there are none, the thoughts, in which it answered."""
    content = getattr(message, "content", None)
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    fields = (content, getattr(message, "reasoning_content", None), getattr(message, "reasoning", None))
    reply, *thoughts = (_whole(text) if isinstance(text, str) else "" for text in fields)
    reply = reply.replace("<think>", "")
    candidates = (reply.rpartition("</think>")[2], reply.replace("</think>", ""), *thoughts)
    return next((text for text in candidates if text.strip()), "").strip()
