"""blip3o serve: the model behind HTTP, for clients of the OpenAI API."""

import os
from typing import Annotated

import typer

from blip3o.cli.options import Debug, Loading, examples, grouped
from blip3o.errors import ConfigError

EXAMPLES = examples(
    "blip3o serve",
    "blip3o serve --port 9000 --api-key SECRET --per-minute 60",
    "blip3o serve --also mine=runs/mine/checkpoint",
)
KEYS = "BLIP3O_API_KEY"
"""The environment's name for keys, so that they need not stand on a command line."""
LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine for itself."""


@grouped("compatible")
def serve(
    *,
    loading: Loading,
    also: Annotated[
        list[str] | None, typer.Option(help="Another model, as NAME=MODEL; requests name it. Repeatable.")
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in: give an --api-key, then.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help=f"Only requests with such a key are answered; or {KEYS}, keys with commas between."),
    ] = None,
    per_minute: Annotated[int, typer.Option(min=0, help="Requests of one key, or address, a minute; 0 is any.")] = 0,
    capacity: Annotated[int, typer.Option(min=1, max=256, help="Requests that are worked on at a time.")] = 16,
    queue: Annotated[int, typer.Option(min=0, max=10_000, help="Requests that may wait; more are told when.")] = 64,
    deadline: Annotated[
        float, typer.Option(min=0, help="Seconds that requests have to be finished when the server is stopped.")
    ] = 30.0,
    debug: Debug = False,
) -> None:
    """Answer requests over HTTP as OpenAI's API does, until Ctrl-C.

    /v1/chat/completions, /v1/images/generations, /v1/images/edits, /v1/models,
    /health, /metrics; docs/server.md has examples.
    """
    try:
        from blip3o.serve.limits import Limits
        from blip3o.serve.openai import create_app, run
    except ModuleNotFoundError as error:
        raise ConfigError(f"the server needs {error.name}: pip install 'blip3o[serve]'") from None

    named = [one.partition("=") for one in also or ()]
    wrong = [f"{name}{mark}{model}" for name, mark, model in named if not (name and model)]
    if wrong:
        raise ConfigError(f"--also is {wrong[0]!r}, expected NAME=MODEL")
    keys = _keys(api_key)
    first = loading.open(needs=("decoder",))
    models = {first.name: first}
    for name, _, model in named:
        if name in models:
            raise ConfigError(f"two models are called {name}: give each a name of its own")
        alone = {"model": model, "adapter": None, "decoder": None}  # which are the first one's
        models[name] = Loading(**{**vars(loading), **alone}).open(needs=("decoder",))
    limits = Limits(keys=keys, per_minute=per_minute, hosts=LOCAL if host in LOCAL else ())
    app = create_app(models, limits, capacity=capacity, queue=queue, deadline_s=deadline)
    run(app, host=host, port=port, deadline_s=deadline)


def _keys(given: list[str] | None) -> tuple[str, ...]:
    """The keys of the command line, or else of the environment. Raises ConfigError for an empty one, which anybody
    has."""
    where, keys = "--api-key", given
    if keys is None and KEYS in os.environ:
        where, keys = KEYS, os.environ[KEYS].split(",")
    keys = [key.strip() for key in keys or ()]
    if not all(keys):
        raise ConfigError(f"{where} holds an empty key, which would let everybody in: give one, or leave it out")
    return tuple(keys)
