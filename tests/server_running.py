"""A server in a thread, and what is sent to it."""

import base64
import io
import threading
import time

import httpx
import numpy as np
import openai
import uvicorn
from PIL import Image

SIZE = 72
WAIT_S = 60


class Running:
    """A server in a thread."""

    def __init__(self, app):
        self.app = app
        self.server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=5)
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + WAIT_S
        while not self.server.started:
            assert time.monotonic() < until
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.clients = []
        self.http = httpx.Client(base_url=self.address, timeout=WAIT_S)

    def sdk(self, key="none"):
        address = f"{self.address}/v1"
        self.clients.append(openai.OpenAI(base_url=address, api_key=key, max_retries=0, timeout=WAIT_S))
        return self.clients[-1]

    def stop(self):
        for client in (self.http, *self.clients):
            client.close()
        self.server.should_exit = True
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


def png(color="red", size=SIZE):
    """The bytes of a picture's file."""
    held = io.BytesIO()
    Image.new("RGB", (size, size), color).save(held, "PNG")
    return held.getvalue()


def address_of(content):
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def image_of(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def same(one, other):
    return (np.asarray(one) == np.asarray(other)).all()


def chat_of(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def shown(color, text):
    return [{"type": "image_url", "image_url": {"url": address_of(png(color))}}, {"type": "text", "text": text}]
