"""Who may ask, how often, and how much: told before anything is read."""

import asyncio
import json

import pytest

from blip3o.serve.limits import Guard, Limits


class Client:
    """Asks a guarded app that reads its whole body and answers with its length."""

    def __init__(self, limits, now=0.0):
        self.now, self.reached = now, 0
        self.guard = Guard(self.app, limits, clock=lambda: self.now)

    async def app(self, scope, receive, send):
        self.reached += 1
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            length, more = length + len(message["body"]), message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(length).encode()})

    def ask(self, path="/v1/models", parts=(b"",), key=None, address="10.0.0.1", length=None, **more):
        """Status, headers and body of the answer."""
        headers = [(name.encode(), value.encode()) for name, value in more.items()]
        headers += [] if key is None else [(b"Authorization", f"Bearer {key}".encode())]
        headers += [] if length is None else [(b"Content-Length", str(length).encode())]
        scope = {"type": "http", "path": path, "headers": headers, "client": (address, 1)}
        coming = [
            {"type": "http.request", "body": part, "more_body": k < len(parts) - 1} for k, part in enumerate(parts)
        ]
        sent = []

        async def receive():
            return coming.pop(0)

        async def send(message):
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("key", [None, "", "wrong", "right ", "RIGHT"])
def test_who_has_no_key_is_not_let_in(key):
    client = Client(Limits(keys=("other", "right")))
    status, _, body = client.ask(key=key)
    assert (status, client.reached) == (401, 0)
    assert json.loads(body)["error"]["code"] == "invalid_api_key"


def test_who_has_a_key_is_and_health_needs_none():
    client = Client(Limits(keys=("other", "right")))
    assert client.ask(key="right")[0] == client.ask(key="other")[0] == client.ask("/health")[0] == 200


def test_a_user_may_ask_so_often_a_minute_and_is_told_when_again():
    client = Client(Limits(per_minute=3))
    assert [client.ask()[0] for _ in range(4)] == [200, 200, 200, 429]
    assert client.ask(address="10.0.0.2")[0] == 200
    status, headers, body = client.ask()
    assert (status, headers[b"retry-after"]) == (429, b"20")
    assert "more than 3 requests a minute" in json.loads(body)["error"]["message"]
    client.now = 21.0
    assert [client.ask()[0] for _ in range(2)] == [200, 429]
    client.now = 10_000.0
    assert [client.ask()[0] for _ in range(4)] == [200, 200, 200, 429]


def test_a_key_is_counted_wherever_it_asks_from():
    client = Client(Limits(keys=("k",), per_minute=1))
    assert [client.ask(key="k", address=address)[0] for address in ("a", "b")] == [200, 429]


def test_users_are_forgotten_where_there_are_too_many(monkeypatch):
    monkeypatch.setattr("blip3o.serve.limits.KNOWN_USERS", 3)
    client = Client(Limits(per_minute=1))
    for number in range(10):
        client.ask(address=str(number))
    assert [*client.guard.allowances] == ["7", "8", "9"]


@pytest.mark.parametrize("length", [None, 5, 11, "many", -1])
def test_a_body_is_cut_off_where_it_is_too_large_whatever_its_length_says(length):
    client = Client(Limits(body_bytes=10))
    status, _, body = client.ask(parts=(b"x" * 6, b"x" * 6), length=length)
    assert status == 413
    assert "more than 10 bytes" in json.loads(body)["error"]["message"]


def test_a_body_that_fits_is_read_whole():
    assert Client(Limits(body_bytes=10)).ask(parts=(b"x" * 6, b"x" * 4), length=10)[2] == b"10"


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8000", None, 200),
        ("localhost:8000", "http://localhost:8000", 200),
        ("[::1]:8000", None, 200),
        ("evil.example:8000", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("", None, 403),
        ("127.0.0.1:8000", "http://evil.example", 403),
        ("127.0.0.1:8000", "http://127.0.0.1:3000", 403),
        ("127.0.0.1:8000", "null", 403),
    ],
)
def test_a_page_of_another_origin_may_not_ask_by_whatever_name(host, origin, status):
    client = Client(Limits(hosts=("127.0.0.1", "localhost", "[::1]")))
    more = {"host": host} | ({} if origin is None else {"origin": origin})
    assert client.ask(**more)[0] == status
    assert client.reached == (status == 200)
    assert Client(Limits()).ask(host="any.example", origin="https://any.example")[0] == 200
