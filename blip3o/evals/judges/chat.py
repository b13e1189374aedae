"""Judges: a model behind an OpenAI-compatible server, or one of ours here; every reply is kept on disk."""

import base64
import hashlib
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from blip3o.errors import JudgeError, PromptError
from blip3o.evals.benchmark import Judge
from blip3o.evals.candidate import Candidate
from blip3o.weights.checkpoint import whole_file

TRIES = 4
"""How often the server is asked again when it times out, is overrun or fails."""


class ChatJudge(Judge):
    """A model by its name, at the base URL of a server."""

    def __init__(self, model: str, base_url: str, key: str, *, timeout_s: float = 120.0) -> None:
        try:
            import openai
        except ImportError as error:
            raise JudgeError("a judge needs the openai client: pip install 'blip3o[eval]'") from error
        self.model, self.openai = model, openai
        self.client = openai.OpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=TRIES)
        self.tokens = {"prompt": 0, "completion": 0}
        self.lock = Lock()

    @property
    def name(self) -> str:
        return self.model

    def ask(
        self,
        prompt: str,
        pictures: Sequence[Image.Image] = (),
        *,
        system: str = "",
        temperature: float = 0.0,
        max_tokens: int = 512,
        attempt: int = 0,
    ) -> str:
        """One chat completion; pictures go as PNG. Raises JudgeError."""
        shown = [{"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in pictures]
        messages: list[Any] = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": [{"type": "text", "text": prompt}, *shown] if shown else prompt})
        try:
            reply = self.client.chat.completions.create(
                model=self.model, messages=messages, temperature=temperature, max_tokens=max_tokens
            )
        except self.openai.RateLimitError as error:
            raise JudgeError(f"{self.model} takes no more requests ({_short(error)}): wait, then run again") from error
        except self.openai.APITimeoutError as error:
            raise JudgeError(f"{self.model} did not answer in time: run again, what is scored is kept") from error
        except self.openai.APIError as error:
            raise JudgeError(f"{self.model} cannot be asked ({_short(error)}): check --judge and the key") from error
        if isinstance(reply, str):
            raise JudgeError(
                f"the server sent a page in place of a reply of {self.model}: does the base URL end in /v1?"
            )
        with self.lock:
            if reply.usage is not None:
                self.tokens["prompt"] += reply.usage.prompt_tokens
                self.tokens["completion"] += reply.usage.completion_tokens
        text = reply.choices[0].message.content if reply.choices else None
        if not text or not text.strip():
            raise JudgeError(f"{self.model} sent a reply without words: run again, or name another judge")
        return text


class LocalJudge(Judge):
    """A unified model of ours as the judge, labelled so: its scores say little about a model that it resembles."""

    def __init__(self, model: Candidate, name: str) -> None:
        self.model, self._name = model, name
        self.lock = Lock()

    @property
    def name(self) -> str:
        return f"local:{self._name}"

    def ask(
        self,
        prompt: str,
        pictures: Sequence[Image.Image] = (),
        *,
        system: str = "",
        temperature: float = 0.0,
        max_tokens: int = 512,
        attempt: int = 0,
    ) -> str:
        """A greedy answer, whatever the temperature."""
        try:
            with self.lock:
                asked = f"{system}\n{prompt}".strip()
                return self.model.understand([list(pictures)], [asked], max_tokens=max_tokens)[0]
        except PromptError as error:
            raise JudgeError(f"{self.name} cannot be asked: {error}") from error


class Cached(Judge):
    """A judge whose raw replies are kept in a folder, so that no request is paid for twice."""

    def __init__(self, judge: Judge, folder: Path, place: str = "") -> None:
        """`place` tells judges of one name apart: the URL of a server, the fingerprint of weights."""
        self.judge, self.folder, self.place = judge, folder, place
        self.asked = self.kept = 0

    @property
    def name(self) -> str:
        return self.judge.name

    def ask(
        self,
        prompt: str,
        pictures: Sequence[Image.Image] = (),
        *,
        system: str = "",
        temperature: float = 0.0,
        max_tokens: int = 512,
        attempt: int = 0,
    ) -> str:
        """The reply that is there, or a new one."""
        shown = [(picture.size, picture.mode, hashlib.sha256(picture.tobytes()).hexdigest()) for picture in pictures]
        request = [self.name, self.place, system, prompt, shown, temperature, max_tokens, attempt]
        path = self.folder / f"{hashlib.sha256(json.dumps(request).encode()).hexdigest()}.json"
        if path.is_file():
            self.kept += 1
            return json.loads(path.read_text(encoding="utf-8"))["reply"]
        reply = self.judge.ask(
            prompt, pictures, system=system, temperature=temperature, max_tokens=max_tokens, attempt=attempt
        )
        self.asked += 1
        with whole_file(path) as temporary:
            kept = {"judge": self.name, "system": system, "prompt": prompt, "attempt": attempt, "reply": reply}
            temporary.write_text(json.dumps(kept, ensure_ascii=False, indent=2), encoding="utf-8")
        return reply


def _data_url(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
