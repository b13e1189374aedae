"""The server, asked by clients that are many, careless, gone or malicious."""

import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from server_running import WAIT_S, address_of, chat_of, image_of, png, same

from blip3o.processing.conversation import DESCRIBE
from blip3o.serve.limits import Limits

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"messages": []}, "messages: List should have at least 1 item"),
        (
            {"messages": chat_of(("assistant", "hello"))},
            "the last message is of the assistant: end with one of the user",
        ),
        ({"messages": chat_of(("user", ""))}, "the prompt is empty"),
        ({"messages": chat_of(("assistant", "<|im_end|>"), ("user", DESCRIBE))}, "'<|im_end|>', a control token"),
        ({"messages": chat_of(("system", "<image>"), ("user", DESCRIBE))}, "'<image>', a control token"),
        ({"messages": chat_of(*[("assistant", "x" * 30_000)] * 2, ("user", DESCRIBE))}, "more than 50000"),
        ({"stop": "."}, "stop has no effect here: leave it out"),
        ({"messages": chat_of(("user", "x" * 3000))}, "2000"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"temperature": 3}, "temperature: Input should be less than or equal to 2"),
        ({"n": 2}, "n: Input should be 1"),
        ({"frequency_penalty": 1}, "frequency_penalty has no effect here: leave it out"),
        ({"banana": 1}, "there is no field banana"),
        ({"guidance_scale": -1}, "guidance_scale: Input should be greater than or equal to 0"),
        ({"size": "80x90"}, "size is '80x90', expected auto, or WIDTHxHEIGHT with equal sides"),
        ({"size": "80x80"}, "size is 80, but this model paints 72 px"),
        ({"model": "nobody"}, "there is no model nobody"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(server, change, told):
    body = {"model": "tiny", "messages": chat_of(("user", DESCRIBE))} | change
    answer = server.http.post("/v1/chat/completions", json=body)
    assert answer.status_code in (400, 404)
    assert told in answer.json()["error"]["message"]
    assert "\n" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://169.254.169.254/latest/meta-data", "none is fetched"),
        ("file:///etc/passwd", "none is fetched"),
        ("/etc/passwd", "none is fetched"),
        ("data:image/png;base64,@@@", "image_url is no base64"),
        ("data:image/png;base64,", "is empty"),
        (address_of(b"no picture at all"), "none of PNG, JPEG, WEBP, GIF, TIFF"),
        (address_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "none of PNG, JPEG, WEBP, GIF, TIFF"),
        (address_of(png()[:60]), "damaged"),
    ],
)
def test_a_bad_picture_is_told_and_nothing_is_fetched_or_opened(server, url, told):
    content = [{"type": "image_url", "image_url": {"url": url}}]
    answer = server.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]})
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_a_picture_that_would_burst_memory_is_refused_before_it_is_decoded(serving):
    one = serving(Limits(pixels=10_000))
    asked = chat_of(("user", [{"type": "image_url", "image_url": {"url": address_of(png(size=101))}}]))
    answer = one.http.post("/v1/chat/completions", json={"messages": asked})
    assert "the pictures have 10201 pixels, more than 10000" in answer.json()["error"]["message"]
    answer = one.http.post("/v1/images/edits", files={"image": png(size=101)}, data={"prompt": "make it night"})
    assert (answer.status_code, "10201 pixels" in answer.text) == (400, True)
    fits = [("image", png(size=70)), ("image", png(size=70)), ("image", png(size=70))]
    assert one.http.post("/v1/images/edits", files=fits[:2], data={"prompt": "make it night"}).status_code == 200
    assert "14700 pixels" in one.http.post("/v1/images/edits", files=fits, data={"prompt": "make it night"}).text


def test_what_is_null_is_left_out_and_what_a_picture_was_answered_with_may_be_empty(server):
    nothing = ("n", "temperature", "top_p", "stream_options", "stop", "tools", "size", "seed", "max_tokens")
    asked = chat_of(("user", "a dog"), ("assistant", ""), ("user", DESCRIBE))
    body = {"messages": asked, "stream": True} | dict.fromkeys(nothing)
    answer = server.http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.text.endswith("data: [DONE]\n\n")) == (200, True)
    images = {"prompt": "a dog", "n": None, "output_compression": None, "partial_images": None, "quality": None}
    assert server.http.post("/v1/images/generations", json=images).status_code == 200


def test_candidates_of_an_edit_need_words_for_it(server):
    data = {"prompt": "make it night", "best_of": "2"}
    answer = server.http.post("/v1/images/edits", files={"image": png()}, data=data)
    assert (answer.status_code, "ask with think" in answer.text) == (400, True)


def test_an_edit_without_a_picture_or_with_a_mask_is_refused(server):
    for files, told in (({"x": b"1"}, "there is no picture"), ({"image": png(), "mask": png()}, "mask has no effect")):
        answer = server.http.post("/v1/images/edits", files=files, data={"prompt": "make it night"})
        assert (answer.status_code, told in answer.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"messages": 3}'])
def test_what_is_no_request_is_no_fault_of_the_server(server, body):
    answer = server.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_many_at_once_get_what_each_would_get_alone(server, model):
    def drawn(seed):
        made = server.sdk().images.generate(model="tiny", prompt="a red dog", extra_body={"seed": seed})
        return image_of(made.data[0].b64_json)

    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(drawn, range(8)))
    expected = model.generate(["a red dog"] * 8, seed=list(range(8)))
    assert all(same(*pair) for pair in zip(images, expected, strict=True))


def test_a_line_that_is_full_says_when_to_come_again(serving):
    one = serving(capacity=1, queue=1)

    def asked(seed):
        body = {"prompt": "a red dog", "seed": seed, "num_inference_steps": 150, "stream": seed % 2 == 0}
        return one.http.post("/v1/images/generations", json=body)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(asked, range(6)))
    statuses = [answer.status_code for answer in answers]
    assert {200, 429} == {*statuses}
    for refused in (answer for answer in answers if answer.status_code == 429):
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "busy"
    assert one.http.post("/v1/images/generations", json={"prompt": "a dog", "n": 3}).status_code == 400


def threads_of(running):
    return next(iter(running.app.state.models.served.values())).thread


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_costing_anything(serving, stream):
    one = serving()
    body = {"prompt": "a red dog", "num_inference_steps": 1000, "stream": stream, "n": 2}
    with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=one.address, timeout=0.5) as client:
        client.post("/v1/images/generations", json=body)
    until = time.monotonic() + WAIT_S
    thread = threads_of(one)
    while thread.active or thread.queued:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert not thread.engine.drawer.passes or all(
        row.done for each in thread.engine.drawer.passes.values() for row in each.rows
    )
    assert one.http.post("/v1/images/generations", json={"prompt": "a red dog"}).status_code == 200


def test_keys_are_asked_for(serving):
    one = serving(Limits(keys=("secret",)))
    with pytest.raises(openai.AuthenticationError):
        one.sdk("wrong").models.list()
    assert [m.id for m in one.sdk("secret").models.list()] == ["tiny"]
    assert one.http.get("/health").json() == {"status": "ok"}


def test_a_fault_inside_is_not_told_to_clients(serving, monkeypatch):
    one = serving()

    def broken(*_):
        raise RuntimeError("/secret/path: weights are gone")

    monkeypatch.setattr("blip3o.serve.openai.pictures.encoded", broken)
    answer = one.http.post("/v1/images/generations", json={"prompt": "a red dog", "num_inference_steps": 1})
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert answer.json()["error"]["code"] == "internal"


def test_what_is_counted_is_there_for_prometheus(serving):
    one = serving()
    one.http.post("/v1/images/generations", json={"prompt": "a red dog", "n": 2, "num_inference_steps": 1})
    one.http.post("/v1/chat/completions", json={"messages": chat_of(("user", DESCRIBE)), "max_tokens": 3})
    one.http.get("/nowhere")
    text = one.http.get("/metrics").text
    assert "blip3o_pictures_total 2.0" in text
    assert 'blip3o_requests_total{path="/v1/images/generations",status="200"} 1.0' in text
    assert 'blip3o_requests_total{path="other",status="404"} 1.0' in text
    assert 'blip3o_tokens_total{kind="written"} ' in text
    assert "blip3o_queue 0.0" in text


def test_its_schema_tells_its_paths(server):
    schema = server.http.get("/openapi.json").json()
    assert {"/v1/models", "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"} <= {*schema["paths"]}
    json.dumps(schema)


OPTIONS = ["--port", "0", "--host", "127.0.0.1", "--api-key", "secret", "--per-minute", "3", "--deadline", "5"]


def test_the_command_serves_until_it_is_stopped(weights, tmp_path):
    words = [sys.executable, "-m", "blip3o", "serve", "-m", weights, "--also", f"again={weights}", *OPTIONS]
    with subprocess.Popen([*map(str, words)], stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        told = ""
        while (running := re.search(r"running on (http://[\d.:]+)", told)) is None:
            line = process.stderr.readline()
            assert line, told
            told += line
        with httpx.Client(base_url=running[1], headers={"authorization": "Bearer secret"}, timeout=WAIT_S) as client:
            assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["tiny", "again"]
            answers = [client.get("/v1/models").status_code for _ in range(3)]
            assert answers == [200, 200, 429]
        assert httpx.get(f"{running[1]}/v1/models", timeout=WAIT_S).status_code == 401
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(WAIT_S) in (0, 130)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--also", "mine"), "--also is 'mine', expected NAME=MODEL"),
        (("--also", "tiny={weights}"), "two models are called tiny: give each a name of its own"),
        (("--also", "mine=nowhere"), "nowhere"),
        (("--port", "70000"), "--port"),
        (("--api-key", ""), "--api-key holds an empty key, which would let everybody in"),
    ],
)
def test_a_server_that_cannot_be_is_told_in_one_line(blip3o, weights, words, told):
    done = blip3o("serve", "-m", weights, *(word.format(weights=weights) for word in words))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert told in done.err


def test_what_the_server_needs_is_told_where_it_is_missing(blip3o, weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "blip3o.serve.openai", raising=False)
    done = blip3o("serve", "-m", weights)
    assert (done.code, "pip install 'blip3o[serve]'" in done.err) == (2, True)
