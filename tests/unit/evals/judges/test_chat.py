"""A judge behind a server: its replies are kept, its troubles are one line, and a local one is labelled so."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import MagicMock

import pytest
from PIL import Image

from blip3o.errors import JudgeError, JudgeRefusalError, PictureError, PromptError
from blip3o.evals.benchmark import JudgeCall
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
        told = words if isinstance(words, dict) else {"role": "assistant", "content": words, "message": words}
        usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        choice = {"index": 0, "message": told, "finish_reason": "stop"}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        sent = reply if status == 200 else {"error": told}
        body = words if isinstance(words, bytes) else json.dumps(sent).encode()
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
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return server, ChatJudge("m", f"http://127.0.0.1:{server.server_port}/v1", "key", timeout_s=5.0)

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def test_words_and_pictures_are_sent_and_tokens_counted(serving):
    server, judge = serving((200, "0.5"))
    picture = Image.new("RGB", (4, 4), "red")
    assert (
        judge.ask("how good?", [picture], settings=JudgeCall(system="be strict", temperature=0.5, max_tokens=9))
        == "0.5"
    )
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
    again = JudgeCall(attempt=1)
    assert [cached.ask("x"), cached.ask("x"), cached.ask("x", settings=again), cached.ask("y")] == ["a", "a", "b", "c"]
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
    assert (
        judge.ask("how good?", [Image.new("RGB", (2, 2))], settings=JudgeCall(system="be strict"))
        == "1 be strict\nhow good? 512"
    )


OPENAI = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
HEAT = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported."
VLLM = "[{'type': 'extra_forbidden', 'loc': ('body', 'chat_template_kwargs'), 'msg': 'Extra inputs are not permitted'}]"
FIELDS = ("temperature", "max_tokens", "max_completion_tokens", "chat_template_kwargs")


def fields(asked):
    return {name for name in FIELDS if name in asked}


def test_fields_that_a_server_refuses_by_name_are_renamed_or_left_out_from_then_on(serving):
    server, judge = serving(
        (400, {"message": OPENAI, "param": "max_tokens", "code": "unsupported_parameter"}),
        (400, {"message": HEAT, "param": "temperature", "code": "unsupported_value"}),
        (422, {"message": VLLM}),
        (200, "1"),
    )
    assert judge.ask("x", settings=JudgeCall(max_tokens=9, think=False)) == "1"
    assert [fields(asked) for asked in server.asked] == [
        {"temperature", "max_tokens", "chat_template_kwargs"},
        {"temperature", "max_completion_tokens", "chat_template_kwargs"},
        {"max_completion_tokens", "chat_template_kwargs"},
        {"max_completion_tokens"},
    ]
    assert server.asked[-1]["max_completion_tokens"] == 9
    judge.ask("y", settings=JudgeCall(think=False))
    assert (len(server.asked), fields(server.asked[-1])) == (5, {"max_completion_tokens"})


def test_a_server_that_refuses_every_name_is_asked_a_bounded_number_of_times(serving):
    both = {"message": "Unsupported parameter: max_completion_tokens. Use max_tokens. Unsupported: max_tokens"}
    server, judge = serving((400, both))
    with pytest.raises(JudgeRefusalError, match="m refuses this request"):
        judge.ask("x")
    assert [fields(asked) for asked in server.asked] == [
        {"temperature", "max_tokens"},
        {"temperature", "max_completion_tokens"},
        {"temperature"},
    ]


@pytest.mark.parametrize("message", ["the unexpected temperature of this prompt is filtered", "the prompt is filtered"])
def test_a_filter_that_refuses_one_request_changes_no_later_one(serving, message):
    server, judge = serving((400, {"message": message, "param": "prompt", "code": "content_filter"}), (200, "1"))
    with pytest.raises(JudgeRefusalError, match=r"m refuses this request \(.*is filtered"):
        judge.ask("x")
    assert judge.ask("y") == "1"
    assert fields(server.asked[-1]) == {"temperature", "max_tokens"}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_a_server_would_never_take_is_a_refusal(serving, status):
    _, judge = serving((status, "no"))
    with pytest.raises(JudgeRefusalError):
        judge.ask("x")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_what_a_server_may_take_later_is_none(serving, status):
    _, judge = serving((status, "no"))
    judge.client = judge.client.with_options(max_retries=0)
    with pytest.raises(JudgeError) as raised:
        judge.ask("x")
    assert not isinstance(raised.value, JudgeRefusalError)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": [{"type": "text", "text": "Score: "}, {"type": "text", "text": "1"}]}, "Score: 1"),
        ({"content": "<think>Score: 0?</think>\n\nScore: 1 "}, "Score: 1"),
        ({"content": "Score: 0? No.</think>Score: 1"}, "Score: 1"),
        ({"content": "<think>It is good. Score: 1</think>"}, "It is good. Score: 1"),
        ({"content": "<think>It is good. Score: 1"}, "It is good. Score: 1"),
        ({"content": None, "reasoning_content": "So, Score: 1"}, "So, Score: 1"),
        ({"content": "", "reasoning": "So, Score: 1"}, "So, Score: 1"),
        ({"content": "Score: 1", "reasoning_content": "Score: 0?"}, "Score: 1"),
        ({"content": "Score: 1 \ud83d"}, "Score: 1 ?"),
    ],
)
def test_words_are_found_wherever_a_judge_puts_them(serving, message, said):
    _, judge = serving((200, {"role": "assistant"} | message))
    assert judge.ask("half a pair: \ud83d") == said


@pytest.mark.parametrize(
    "words",
    [
        {"content": None},
        {"content": " "},
        {"content": []},
        {"content": [{"type": "image"}, "x"]},
        {"content": 3},
        {"content": None, "refusal": "I cannot"},
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": ["x"]}',
        b"{}",
    ],
)
def test_a_reply_in_which_nothing_is_said_is_a_refusal(serving, words):
    _, judge = serving((200, words))
    with pytest.raises(JudgeRefusalError, match="m sent a reply without words"):
        judge.ask("x")


@pytest.mark.parametrize("body", [b"{broken", b"[1]", b'"page"', b"\xff\xfe", b"null"])
def test_a_body_that_is_no_reply_is_one_line(serving, body):
    _, judge = serving((200, body))
    with pytest.raises(JudgeError) as raised:
        judge.ask("x")
    assert "\n" not in str(raised.value)


def test_a_judge_that_is_told_not_to_think_is_told_so_as_the_field_does(serving):
    server, judge = serving((200, "1"))
    judge.ask("x", settings=JudgeCall(think=False))
    judge.ask("x")
    assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in server.asked[1]


def test_replies_with_and_without_thoughts_are_kept_apart(serving, tmp_path):
    server, judge = serving((200, "a"), (200, "b"))
    cached = Cached(judge, tmp_path)
    assert [cached.ask("x"), cached.ask("x", settings=JudgeCall(think=False)), cached.ask("x")] == ["a", "b", "a"]
    assert len(server.asked) == 2


@pytest.mark.parametrize("error", [PromptError("an unknown word"), PictureError("too long")])
def test_what_a_judge_of_ours_cannot_be_asked_it_refuses(error):
    class Model:
        def understand(self, images, questions, *, max_tokens=64, batch_size=16):
            raise error

        generate = edit = caption = reply = features = info = MagicMock()

    with pytest.raises(JudgeRefusalError, match=f"local:picturebook cannot be asked: {error}"):
        LocalJudge(Model(), "picturebook").ask("x")
