"""What the server counts, for Prometheus."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """The numbers of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "blip3o_requests", "Requests by path and status", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "blip3o_seconds", "Seconds of a request by stage", ["stage"], buckets=SECONDS, registry=self.registry
        )
        self.batch = Histogram("blip3o_batch", "Requests in a step", buckets=BATCHES, registry=self.registry)
        self.pictures = Counter("blip3o_pictures", "Pictures drawn", registry=self.registry)
        self.tokens = Counter("blip3o_tokens", "Tokens by what they are", ["kind"], registry=self.registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is looked up when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def finished(self, *, waited: float, took: float) -> None:
        """Count the seconds of a request that is done."""
        self.seconds.labels("queue").observe(waited)
        self.seconds.labels("work").observe(took)

    def stepped(self, requests: int) -> None:
        """Count a step of the engine."""
        self.batch.observe(requests)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class Counting:
    """Counts the requests of an app by path and status; paths that are none of ours are not told apart."""

    def __init__(self, app: Callable[..., Awaitable[None]], metrics: ServerMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(path, str(status)).inc()
