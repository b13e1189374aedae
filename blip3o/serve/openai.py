"""The HTTP API, in the forms of OpenAI's: chat with pictures both ways, images from words, images changed.

    app = create_app({"picturebook": BLIP3o.load()})

A picture that the assistant draws in a chat is a part of its message's content, an `image_url` with a data URI, as
vLLM-Omni answers; the reasoning before it is `reasoning_content`.
"""

import asyncio
import json
import logging
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteError
from starlette.types import Receive, Scope, Send

from blip3o import __version__
from blip3o.api import BLIP3o
from blip3o.errors import PictureError, UserError
from blip3o.pipeline.generation import Reply
from blip3o.serve import pictures
from blip3o.serve.engine_thread import BusyError, ClosedError, Job
from blip3o.serve.limits import Guard, Limits, error_body
from blip3o.serve.metrics import Counting, ServerMetrics
from blip3o.serve.schemas import ChatRequest, ImageRequest
from blip3o.serve.served import ChatWork, DrawWork, Models, NoModelError, RequestedWork

LOOK_S = 0.1
"""Between two looks whether the client is still there."""
LEFT_S = 5
"""To tell clients that their requests were refused, when the server goes down."""
GONE = 499
"""The status of a request whose client did not wait for the answer."""
FILES = ("image", "image[]")
"""The names of the files of an edit."""
log = logging.getLogger("blip3o.serve")


def create_app(
    models: Mapping[str, BLIP3o],
    limits: Limits | None = None,
    *,
    capacity: int = 16,
    queue: int = 64,
    deadline_s: float = 30.0,
) -> FastAPI:
    """A server of these models by their names. Each works on `capacity` requests at a time, `queue` wait at most; when
    it goes down, what is there has `deadline_s` seconds to be finished."""
    limits, metrics = limits or Limits(), ServerMetrics()
    served = Models(models, metrics, limits, capacity=capacity, queue=queue)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(served.close, deadline_s)

    app = FastAPI(title="blip3o", version=__version__, lifespan=living)
    app.state.models = served
    _answer_errors(app)
    app.add_middleware(Guard, limits=limits)  # pyright: ignore[reportArgumentType]
    app.add_middleware(Counting, metrics=metrics)  # pyright: ignore[reportArgumentType]

    _add_facts(app, served, metrics)
    _add_chat(app, served, metrics)
    _add_images(app, served, metrics)
    return app


def run(app: FastAPI, *, host: str, port: int, deadline_s: float) -> None:
    """Serve the app until Ctrl-C or SIGTERM; requests that are there have `deadline_s` seconds to be finished."""
    how = {"host": host, "port": port, "log_level": "info", "server_header": False}
    config = uvicorn.Config(app, **how, timeout_graceful_shutdown=round(deadline_s) + LEFT_S)
    with suppress(KeyboardInterrupt):  # which uvicorn hands on when it has gone down
        _Server(config, app.state.models, deadline_s).run()


class _Server(uvicorn.Server):
    """Goes down with its models: what they refuse at the deadline is still answered."""

    def __init__(self, config: uvicorn.Config, models: Models, deadline_s: float) -> None:
        super().__init__(config)
        self.models, self.deadline_s = models, deadline_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.ensure_future(run_in_threadpool(self.models.close, self.deadline_s))
        await super().shutdown(sockets)
        await closing


# --- paths ----------------------------------------------------------------------------------------------------------


def _add_facts(app: FastAPI, served: Models, metrics: ServerMetrics) -> None:
    begun = int(time.time())

    def about(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": begun, "owned_by": "blip3o"}

    @app.get("/health")
    async def health() -> Response:
        works = all(one.thread.works for one in served.served.values())
        return JSONResponse({"status": "ok" if works else "failed"}, 200 if works else 503)

    @app.get("/metrics")
    async def counts() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models")
    async def all_models() -> dict[str, Any]:
        return {"object": "list", "data": [about(name) for name in served.served]}

    @app.get("/v1/models/{name}")
    async def one_model(name: str) -> dict[str, Any]:
        return about(served.find(name).name)


def _add_chat(app: FastAPI, served: Models, metrics: ServerMetrics) -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def chat(asked: ChatRequest, request: Request) -> Response | dict[str, Any]:
        work = await run_in_threadpool(lambda: RequestedWork(served, asked, _user(request)).chat(asked))
        if asked.stream:
            told = _Told()
            job = work.begin(told)
            return _Streamed([job], _chat_pieces(work, job, told, metrics, usage=asked.stream_options.include_usage))
        [reply] = await _finished(request, [work.begin()])
        return await run_in_threadpool(_completion, work, reply, metrics)


def _add_images(app: FastAPI, served: Models, metrics: ServerMetrics) -> None:
    limits = served.limits

    @app.post("/v1/images/generations", response_model=None)
    async def generate(asked: ImageRequest, request: Request) -> Response | dict[str, Any]:
        work = await run_in_threadpool(lambda: RequestedWork(served, asked, _user(request)).draw(asked))
        return await _drawn(request, work, metrics, "image_generation")

    @app.post("/v1/images/edits", response_model=None)
    async def edit(request: Request) -> Response | dict[str, Any]:
        asked, files = await _edit_form(request, limits)

        def begin() -> DrawWork:
            return RequestedWork(served, asked, _user(request)).draw(asked, files)

        return await _drawn(request, await run_in_threadpool(begin), metrics, "image_edit")


def _user(request: Request) -> str:
    return str(getattr(request.state, "user", ""))


# --- answers in one piece -------------------------------------------------------------------------------------------


async def _finished(request: Request, jobs: Sequence[Job]) -> list[Any]:
    """The results of jobs, which end where the client goes away, or where one of them fails."""
    whole = _all(jobs)
    try:
        while not (await asyncio.wait({whole}, timeout=LOOK_S))[0]:
            if await request.is_disconnected():
                raise HTTPException(GONE, "the client is gone")
        return whole.result()
    finally:
        for job in jobs:
            job.cancel()


def _all(jobs: Sequence[Job]) -> "asyncio.Future[list[Any]]":
    """The results of jobs; what goes wrong when nobody waits any more is told to nobody."""
    whole = asyncio.gather(*(asyncio.wrap_future(job.future) for job in jobs))
    whole.add_done_callback(lambda one: one.cancelled() or one.exception())
    return whole


def _completion(work: ChatWork, reply: Reply, metrics: ServerMetrics) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": _content(reply)}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    finish = "stop" if reply.complete else "length"
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    return _head(work, "chat.completion") | {"choices": [choice], "usage": _usage(work, reply, metrics)}


def _content(reply: Reply) -> str | list[dict[str, Any]]:
    """Words alone, or the parts of an answer with a picture."""
    if reply.image is None:
        return reply.text
    words = [{"type": "text", "text": reply.text}] if reply.text else []
    return [*words, _picture_part(reply.image)]


def _picture_part(image: Image.Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pictures.encoded(image)}"}}


def _head(work: ChatWork, kind: str) -> dict[str, Any]:
    name = f"chatcmpl-{uuid.uuid4().hex}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": work.work.one.name}


def _usage(work: ChatWork, reply: Reply, metrics: ServerMetrics) -> dict[str, int]:
    """Tokens of the prompt and of the answer, which are counted here."""
    metrics.tokens.labels("prompt").inc(work.prompt_tokens)
    metrics.tokens.labels("written").inc(reply.written)
    metrics.pictures.inc(reply.image is not None)
    total = work.prompt_tokens + reply.written
    return {"prompt_tokens": work.prompt_tokens, "completion_tokens": reply.written, "total_tokens": total}


async def _drawn(request: Request, work: DrawWork, metrics: ServerMetrics, event: str) -> Response | dict[str, Any]:
    """Pictures, in one piece or as they form."""
    if work.request.stream:
        told = _Told()
        jobs = work.begin(told)
        return _Streamed(jobs, _picture_events(work, jobs, told, metrics, event))
    images = await _finished(request, work.begin())
    metrics.pictures.inc(len(images))
    data = [await run_in_threadpool(_facts, image, work.request) for image in images]
    return {"created": int(time.time()), "data": data, "output_format": work.request.output_format}


def _facts(image: Image.Image, asked: ImageRequest) -> dict[str, Any]:
    """A picture, and what it tells of itself."""
    told = {key: image.info[key] for key in ("seed", "reasoning", "candidates") if key in image.info}
    return {"b64_json": pictures.encoded(image, asked.output_format, asked.output_compression), **told}


async def _edit_form(request: Request, limits: Limits) -> tuple[ImageRequest, list[bytes]]:
    """The fields and the files of an edit."""
    async with request.form(max_files=limits.pictures + 2, max_part_size=limits.body_bytes) as form:
        files = [value for key, value in form.multi_items() if key in FILES]
        if "mask" in form:
            raise PictureError("mask has no effect here: say in words what to change, and leave it out")
        if not files or not all(isinstance(one, UploadFile) for one in files):
            raise PictureError("there is no picture to change: send its file as image")
        if len(files) > limits.pictures:
            raise PictureError(f"{len(files)} pictures in one request, more than {limits.pictures}: send fewer")
        fields = {key: value for key, value in form.items() if key not in FILES}
        return ImageRequest.model_validate(fields), [await one.read() for one in files if isinstance(one, UploadFile)]


# --- answers as they come -------------------------------------------------------------------------------------------


class _Streamed(StreamingResponse):
    """Events of jobs, which end with it, also where its client is gone before it begins."""

    def __init__(self, jobs: Sequence[Job], events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        self.jobs = jobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            for job in self.jobs:
                job.cancel()


class _Told:
    """What a job tells while it runs, from its thread into the loop of the server."""

    def __init__(self) -> None:
        self.loop, self.queue = asyncio.get_running_loop(), asyncio.Queue[Any]()

    def __call__(self, what: Any) -> None:
        self.loop.call_soon_threadsafe(self.queue.put_nowait, what)

    async def until(self, done: "asyncio.Future[Any]") -> AsyncIterator[Any]:
        """All that is told before the end."""
        coming = asyncio.ensure_future(self.queue.get())
        try:
            while (await asyncio.wait({coming, done}, return_when=asyncio.FIRST_COMPLETED))[0] != {done}:
                yield coming.result()
                coming = asyncio.ensure_future(self.queue.get())
        finally:
            coming.cancel()
        while not self.queue.empty():
            yield self.queue.get_nowait()


async def _chat_pieces(
    work: ChatWork, job: Job, told: _Told, metrics: ServerMetrics, *, usage: bool
) -> AsyncIterator[bytes]:
    """The chunks of a chat, then its end."""
    head = _head(work, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]})

    try:
        done = _all([job])
        yield chunk({"role": "assistant", "content": ""})
        async for piece in told.until(done):
            yield chunk({"content": piece})
        [reply] = await done
        if work.stream is not None and len(reply.text) > len(work.stream.said):
            yield chunk({"content": reply.text[len(work.stream.said) :]})
        if reply.reasoning:
            yield chunk({"reasoning_content": reply.reasoning})
        if reply.image is not None:
            yield chunk({"content": [await run_in_threadpool(_picture_part, reply.image)]})
        counted = _usage(work, reply, metrics)
        yield chunk({}, "stop" if reply.complete else "length")
        if usage:
            yield _event(head | {"choices": [], "usage": counted})
        yield b"data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001 - the status is sent: what is left is to say so
        yield _event(_told_error(error)[1])


async def _picture_events(
    work: DrawWork, jobs: Sequence[Job], told: _Told, metrics: ServerMetrics, event: str
) -> AsyncIterator[bytes]:
    """The first picture as it forms, then all of them."""
    asked, shown = work.request, 0

    def facts(image: Image.Image, kind: str) -> dict[str, Any]:
        what = _facts(image, asked) | {"size": f"{image.width}x{image.height}", "output_format": asked.output_format}
        fixed = {"quality": "auto", "background": "opaque", "created_at": int(time.time())}
        return {"type": f"{event}.{kind}", **what, **fixed}

    try:
        done = _all(jobs)
        async for image in told.until(done):
            part = await run_in_threadpool(facts, image, "partial_image")
            yield _event(part | {"partial_image_index": shown}, part["type"])
            shown += 1
        for image in await done:
            metrics.pictures.inc()
            whole = await run_in_threadpool(facts, image, "completed")
            usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            usage["input_tokens_details"] = {"image_tokens": 0, "text_tokens": 0}  # pyright: ignore
            yield _event(whole | {"usage": usage}, whole["type"])
    except Exception as error:  # noqa: BLE001 - the status is sent: what is left is to say so
        yield _event(_told_error(error)[1], "error")


def _event(content: Mapping[str, Any], name: str = "") -> bytes:
    first = f"event: {name}\n" if name else ""
    return f"{first}data: {json.dumps(content)}\n\n".encode()


# --- errors ---------------------------------------------------------------------------------------------------------


def _told_error(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of an error; nothing of what is inside."""
    if isinstance(error, BusyError):
        return 429, error_body(str(error), "busy", "server_error"), {"retry-after": str(error.retry_after)}
    if isinstance(error, ClosedError):
        return 503, error_body("the server is going down: ask another", "closing", "server_error"), {}
    if isinstance(error, NoModelError):
        return 404, error_body(str(error), "model_not_found"), {}
    if isinstance(error, RequestValidationError | ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        told = str(first["msg"]).removeprefix("Value error, ")
        return 400, error_body(f"{where}: {told}" if where else told), {}
    if isinstance(error, UserError):
        return 400, error_body(str(error)), {}
    if isinstance(error, StarletteError):
        return error.status_code, error_body(str(error.detail)), dict(error.headers or {})
    log.error("a request failed", exc_info=error)
    return 500, error_body("the server failed: its log says why", "internal", "server_error"), {}


def _answer_errors(app: FastAPI) -> None:
    async def answered(_: Request, error: Exception) -> JSONResponse:
        status, body, headers = _told_error(error)
        return JSONResponse(body, status, headers)

    kinds = (BusyError, ClosedError, UserError, ValidationError, RequestValidationError, StarletteError, Exception)
    for kind in kinds:
        app.add_exception_handler(kind, answered)
