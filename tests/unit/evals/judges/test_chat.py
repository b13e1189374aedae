"""A judge behind a server: its replies are kept, its troubles are one line, and a local one is labelled so."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import MagicMock

import pytest
from PIL import Image

from blip3o.errors import JudgeError
from blip3o.evals.judges.chat import Cached, ChatJudge, LocalJudge


class Server(ThreadingHTTPServer):
    """Answers chat completions by a script of (status, words); keeps what it was asked."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked = list(script), []


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status, words = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        message = {"role": "assistant", "content": words}
        usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        body = json.dumps(reply if status == 200 else {"error": {"message": words}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After-Ms", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Nothing."""


@pytest.fixture
def serving():
    """Starts servers with a script."""
    running = []

    def start(*script):
        server = Server(script)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server, ChatJudge("m", f"http://127.0.0.1:{server.server_port}/v1", "key", timeout_s=5.0)

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def test_words_and_pictures_are_sent_and_tokens_counted(serving):
    server, judge = serving((200, "0.5"))
    picture = Image.new("RGB", (4, 4), "red")
    assert judge.ask("how good?", [picture], system="be strict", temperature=0.5, max_tokens=9) == "0.5"
    sent = server.asked[0]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0.5, 9)
    assert sent["messages"][0] == {"role": "system", "content": "be strict"}
    text, image = sent["messages"][1]["content"]
    assert text["text"] == "how good?"
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert judge.tokens == {"prompt": 7, "completion": 2}


def test_it_is_asked_again_when_it_is_overrun_and_given_up_in_the_end(serving):
    server, judge = serving((429, "slow down"), (500, "oops"), (200, "1"))
    assert judge.ask("x") == "1"
    assert len(server.asked) == 3
    _, judge = serving((429, "slow down"))
    with pytest.raises(JudgeError, match=r"m takes no more requests \(.*slow down.*\): wait, then run again"):
        judge.ask("x")
    _, judge = serving((401, "no such key"))
    with pytest.raises(JudgeError, match=r"m cannot be asked .*no such key"):
        judge.ask("x")


def test_a_server_that_is_not_there_and_a_reply_without_words_are_one_line(serving):
    judge = ChatJudge("m", "http://127.0.0.1:9/v1", "key", timeout_s=1.0)
    judge.client = judge.client.with_options(max_retries=0)
    with pytest.raises(JudgeError, match="m cannot be asked"):
        judge.ask("x")
    _, judge = serving((200, None))
    with pytest.raises(JudgeError, match="a reply without words"):
        judge.ask("x")


def test_a_reply_is_paid_for_once(serving, tmp_path):
    server, judge = serving((200, "a"), (200, "b"), (200, "c"), (200, "d"))
    cached = Cached(judge, tmp_path)
    assert [cached.ask("x"), cached.ask("x"), cached.ask("x", attempt=1), cached.ask("y")] == ["a", "a", "b", "c"]
    assert cached.ask("x", [Image.new("RGB", (2, 2))]) == "d"
    assert Cached(judge, tmp_path).ask("y") == "c"
    assert (len(server.asked), cached.asked, cached.kept) == (4, 4, 1)


def test_a_judge_of_ours_says_so():
    class Model:
        def understand(self, images, questions, *, max_tokens=64, batch_size=16):
            return [f"{len(images[0])} {questions[0]} {max_tokens}"]

        generate = edit = caption = reply = features = info = MagicMock()

    judge = LocalJudge(Model(), "picturebook")
    assert judge.name == "local:picturebook"
    assert judge.ask("how good?", [Image.new("RGB", (2, 2))], system="be strict") == "1 be strict\nhow good? 512"
