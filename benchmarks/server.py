"""How much more the server does for many clients than for one after the other, in one run.

    python benchmarks/server.py

The shipped model, each request over HTTP. One client asks and waits; then eight ask at once, each for its share of as
many. The pictures are the same ones, which is checked. About two minutes; nothing else should run meanwhile.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from blip3o.api import BLIP3o
from blip3o.serve.openai import create_app

PROMPTS = ("a red dog", "two blue cats", "a house left of a tree", "a yellow car on a beach at night")
ROUNDS = 3


@contextmanager
def running(model: BLIP3o) -> Iterator[str]:
    """The address of a server of this model."""
    server = uvicorn.Server(uvicorn.Config(create_app({"model": model}), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def taken(
    ask: Callable[[httpx.Client, int], Any], address: str, requests: int, clients: int
) -> tuple[float, list[Any]]:
    """Seconds until so many clients have all their answers, and the answers."""
    with httpx.Client(base_url=address, timeout=600) as client, ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        answers = list(pool.map(lambda number: ask(client, number), range(requests)))
        return time.perf_counter() - began, answers


def draw(client: httpx.Client, number: int) -> str:
    """A picture."""
    asked = {"prompt": PROMPTS[number % len(PROMPTS)], "seed": number}
    return client.post("/v1/images/generations", json=asked).raise_for_status().json()["data"][0]["b64_json"]


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--clients", type=int, default=8)
    how = parser.parse_args()
    with running(BLIP3o.load()) as address:
        with httpx.Client(base_url=address, timeout=600) as client:
            pictures = [draw(client, number) for number in range(len(PROMPTS))]

        def read(client: httpx.Client, number: int) -> str:
            url = {"url": f"data:image/png;base64,{pictures[number % len(pictures)]}"}
            content = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "describe this picture."}]
            asked = {"messages": [{"role": "user", "content": content}]}
            answer = client.post("/v1/chat/completions", json=asked).raise_for_status().json()
            return answer["choices"][0]["message"]["content"]

        for name, ask in (("pictures", draw), ("answers", read)):
            taken(ask, address, how.clients, how.clients)  # warm
            alone, together, same = [], [], 0.0
            for _ in range(ROUNDS):
                seconds, expected = taken(ask, address, how.requests, 1)
                alone.append(how.requests / seconds)
                seconds, found = taken(ask, address, how.requests, how.clients)
                together.append(how.requests / seconds)
                same = sum(one == other for one, other in zip(expected, found, strict=True)) / how.requests
            facts = {
                "what": f"{name} a second",
                "one client": round(statistics.median(alone), 2),
                f"{how.clients} clients": round(statistics.median(together), 2),
                "ratio": round(statistics.median(b / a for a, b in zip(alone, together, strict=True)), 2),
                "the same": same,
            }
            print(json.dumps(facts))


if __name__ == "__main__":
    main()
