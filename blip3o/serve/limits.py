"""Who may ask, how often, and how much a request may hold: before anything of it is read."""

import hmac
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
App = Callable[[AsgiMessage, Receive, Send], Awaitable[None]]
OPEN = ("/health",)
"""Paths that need no key."""
KNOWN_USERS = 10_000
"""Users whose requests are counted at a time; who has not come for longest is forgotten first."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is allowed."""

    keys: tuple[str, ...] = ()
    """Of which a request must name one, as `Authorization: Bearer KEY`; none lets everybody in."""
    per_minute: int = 0
    """Requests of a key, or of an address where there are no keys; 0 is any number."""
    body_bytes: int = 32_000_000
    pixels: int = 25_000_000
    """Of all pictures of a request; more are refused before they are decoded."""
    pictures: int = 16
    """In one request."""
    characters: int = 50_000
    """Of all words of a request."""
    tokens: int = 16_384
    """Of a prompt, pictures and all."""
    hosts: tuple[str, ...] = ()
    """Names that the server may be called by, without port; none is any. So no page gets in by a name of its own that
    leads to this machine."""


class Guard:
    """Stands in front of the app; a request that may not in never reaches it."""

    def __init__(self, app: App, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.limits, self.clock = app, limits, clock
        self.allowances: dict[str, tuple[float, float]] = {}
        """User -> (requests that are left, as of when)."""

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if (told := self.foreign(headers)) is not None:
            await _refuse(send, 403, told, "forbidden")
            return
        key = headers.get(b"authorization", b"").removeprefix(b"Bearer ").decode("latin-1")
        if self.limits.keys and not any(_equal(key, known) for known in self.limits.keys):
            await _refuse(send, 401, "no such API key: name one as 'Authorization: Bearer KEY'", "invalid_api_key")
            return
        user = key if self.limits.keys else str((scope.get("client") or ("", 0))[0])
        wait = self.wait_s(user)
        if wait:
            told = f"more than {self.limits.per_minute} requests a minute: try again in {wait} s"
            await _refuse(send, 429, told, "rate_limit_exceeded", {b"retry-after": str(wait).encode()})
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.limits.body_bytes:
            await self.too_large(send)
            return
        scope.setdefault("state", {})["user"] = user
        await self.limited(scope, receive, send)

    def foreign(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Why a request comes from a page of another origin; None where it does not."""
        host = headers.get(b"host", b"").decode("latin-1")
        if self.limits.hosts and _name(host) not in self.limits.hosts:
            return f"the server is not called {host!r}: ask {self.limits.hosts[0]}"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return f"pages of {origin!r} may not ask: send the request from a program"
        return None

    async def limited(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        """The request with a body of no more bytes than are allowed, whatever its length says."""
        left, over, begun = self.limits.body_bytes, False, False

        async def counted() -> AsgiMessage:
            nonlocal left, over
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                over = True
                return {"type": "http.disconnect"}
            return message

        async def sent(message: AsgiMessage) -> None:
            nonlocal begun
            if not over:
                begun = True
                await send(message)

        try:
            await self.app(scope, counted, sent)
        except Exception:
            if not over:
                raise
        if over and not begun:
            await self.too_large(send)

    def wait_s(self, user: str) -> int:
        """Seconds until this user may ask again; 0 counts a request and lets it in."""
        rate = self.limits.per_minute
        if not rate:
            return 0
        now = self.clock()
        left, then = self.allowances.pop(user, (float(rate), now))
        left = min(rate, left + (now - then) * rate / 60)
        allowed = left >= 1
        self.allowances[user] = (left - allowed, now)
        if len(self.allowances) > KNOWN_USERS:
            del self.allowances[next(iter(self.allowances))]
        return 0 if allowed else max(1, math.ceil((1 - left) * 60 / rate))

    async def too_large(self, send: Send) -> None:
        """Refuse a body that is too large."""
        await _refuse(send, 413, f"the request has more than {self.limits.body_bytes} bytes: send less", "too_large")


def error_body(message: str, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error as clients of the OpenAI API expect it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _name(host: str) -> str:
    """A host without its port."""
    return host.rpartition(":")[0] if re.search(r":\d+$", host) else host


def _equal(one: str, other: str) -> bool:
    """In a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


async def _refuse(send: Send, status: int, message: str, code: str, headers: dict[bytes, bytes] | None = None) -> None:
    body = json.dumps(error_body(message, code)).encode()
    fields = {b"content-type": b"application/json", b"content-length": str(len(body)).encode(), **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": [*fields.items()]})
    await send({"type": "http.response.body", "body": body})
