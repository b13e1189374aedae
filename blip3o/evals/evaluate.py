"""Scores a model on benchmarks: finds their data, the judge and the model, asks what is missing, and gives the results.

What `blip3o evaluate` does, for Python.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from blip3o.errors import ConfigError, DataError, PictureError, PromptError, UserError
from blip3o.evals import registry
from blip3o.evals.benchmark import Benchmark, BenchmarkOptions, Item, Judge
from blip3o.evals.candidate import Candidate
from blip3o.evals.runner import BenchmarkRun, Plan, RunProgress, read

LOCAL = "local:"
"""What a judge of ours is named by."""
TOKENS_OF_PICTURE = 1000
"""About what a picture counts for at a server."""
TRIED_ITEMS = 4
"""By which the time of all is estimated."""

Load = Callable[..., Candidate]
"""Opens a model by its name, given `device` and, of the model under evaluation, how to load it."""


def _load(name: str, **loading: Any) -> Candidate:
    from blip3o.api import BLIP3o

    return BLIP3o.load(name, **loading)


def evaluate(
    model: str | Path | Candidate,
    benchmarks: Sequence[str] = ("picturebook",),
    *,
    data: str | Path | None = None,
    groups: Sequence[str] | None = None,
    judge: str | None = None,
    judge_model: str = "gpt-4.1",
    ready: Path | None = None,
    detector: str | None = None,
    output: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 16,
    bare: bool = False,
    restart: bool = False,
    dry_run: bool = False,
    device: str = "auto",
    loading: Mapping[str, Any] | None = None,
    load: Load = _load,
    progress: RunProgress = lambda name, done, total, mean: None,
    notice: Callable[[str], None] = lambda words: None,
) -> list[dict[str, Any]]:
    """The result of each benchmark, ready for JSON (docs/benchmarks.md tells its fields).

    `model` is a name, folder or id as for `BLIP3o.load`, opened on `device` with the options `loading` when it is
    first asked, or a model at hand. `benchmarks` are names, "name:protocol", or "module:Class" of one's own. `data` is
    a folder with a folder for each, that of a single one, owner/name on the Hub, or "hub"; `output` a folder for
    answers and numbers, from which a stopped run goes on and which `restart` forgets (None keeps nothing). `limit` is
    the number of items of each benchmark, or of each of its groups; `groups` names some of them. `judge` is the URL of
    an OpenAI-compatible server, or local:MODEL. `ready` holds what a detector or judge found elsewhere; `detector`
    names one. `bare` leaves instructions out that a small model does not know. A `dry_run` counts and estimates.

    `notice` hears of one of several benchmarks that cannot be run, and of data that are fetched; where none can be run
    the error is raised: ConfigError, DataError, OutputError ... Of several processes only the first gets results.
    """
    _check(benchmarks, data, output)
    identity, candidate = _known(model, device, loading or {}, load)
    with TemporaryDirectory() as nowhere:
        folder = Path(output or nowhere)
        early = folder / "scores.json"
        if early.is_file():
            notice(f"{early} is of an earlier version: its questions are asked anew, beside it")
        place, alone = folder / identity["name"], len(benchmarks) == 1
        plan = Plan(folder=place, limit=limit, batch=batch_size, seed=seed, bare=bare, restart=restart)
        rater = None if dry_run else _judge(judge, judge_model, folder, partial(load, device=device))
        options = BenchmarkOptions(judge=rater, ready=ready, detector=detector, device=device, groups=groups, seed=seed)

        def result(name: str) -> dict[str, Any]:
            benchmark, items = _opened(name, options, data, notice, alone=alone)
            if dry_run:
                return _estimate(benchmark, items, plan, candidate)
            run = BenchmarkRun(benchmark, items, identity, candidate, plan)
            if bare and alone and not run.bare:
                raise ConfigError(
                    f"--bare has no effect on {name}, which has no instruction to leave out: leave it out"
                )
            return run.go(progress)

        return _each(benchmarks, result, notice)


def _each(
    benchmarks: Sequence[str], result: Callable[[str], dict[str, Any]], notice: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The results of those that can be run, the empty ones of further processes left out."""
    results: list[dict[str, Any]] = []
    faults: list[UserError] = []
    for name in benchmarks:
        try:
            results.append(result(name))
        except UserError as error:
            if len(benchmarks) == 1:
                raise
            faults.append(error)
            notice(f"left out: {name}: {error}")
    if not results:
        raise DataError(f"none of {len(benchmarks)} benchmarks could be run: {faults[0]}")
    return [one for one in results if one]


def _check(benchmarks: Sequence[str], data: str | Path | None, output: str | Path | None) -> None:
    """Raise ConfigError for what can be told before a model or data are looked for."""
    if data is None and any(benchmark.has_data for benchmark, _ in map(registry.find, benchmarks)):
        raise ConfigError("benchmarks need --data: a folder, owner/name on the Hub, or hub for their usual mirrors")
    if output is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("several processes share what they answer: name a folder with --output")


def _known(
    model: str | Path | Candidate, device: str, loading: Mapping[str, Any], load: Load
) -> tuple[dict[str, Any], Callable[[], Candidate]]:
    """What the results call a model, and what opens it, once."""
    if isinstance(model, str | Path):
        name = str(model)
        return identity_of(name, device, loading), cache(lambda: load(name, device=device, **loading))
    info = model.info()
    settings = hashlib.sha256(json.dumps(info, sort_keys=True, default=str).encode()).hexdigest()[:16]
    name = str(info["name"]).replace("/", "--")
    return {"name": name, "weights": info.get("weights"), "settings": settings}, lambda: model


def identity_of(model: str, device: str, loading: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is known by in results: the name of its folder or its id, its weights and settings, and how they are
    loaded, as far as that changes a number."""
    from blip3o.weights import hub
    from blip3o.weights.adapters import identified
    from blip3o.weights.placement.device import find_device, find_dtype

    deferred, place = hub.open_model(model, needs=(), verify=loading.get("verify", True)), find_device(device)
    sizes = deferred.pipeline.sizes
    numbers = str(find_dtype(loading.get("dtype", "auto"), place, sum(sizes.values()))).removeprefix("torch.")
    further = {key: str(loading[key]) for key in ("decoder", "quantize") if loading.get(key) is not None}
    if adapters := loading.get("adapters"):
        further["adapters"] = ", ".join(map(identified, adapters))
    return {
        "name": Path(model).resolve().name if Path(model).is_dir() else model.replace("/", "--"),
        "parameters": sizes,
        "weights": deferred.fingerprint(),
        "settings": hashlib.sha256(repr(deferred.pipeline.config).encode()).hexdigest()[:16],
        "loaded": {"device": place.type, "dtype": numbers} | further,
    }


def _judge(name: str | None, model: str, folder: Path, load: Load) -> Judge | None:
    """The judge of a URL, or local:MODEL; its replies are kept in the folder."""
    from blip3o.evals.judges.chat import Cached, ChatJudge, LocalJudge
    from blip3o.weights import hub

    if name in (None, "none"):
        return None
    if name.startswith(LOCAL):
        own = name.removeprefix(LOCAL)
        return Cached(LocalJudge(load(own), own), folder / "judge", hub.open_model(own).fingerprint())
    if "://" not in name:
        raise ConfigError(f"judge is {name!r}: give the base URL of a server, local:MODEL, or none")
    key = os.environ.get("OPENAI_API_KEY", "EMPTY")
    return Cached(ChatJudge(model, name, key), folder / "judge", name)


def _opened(
    name: str, options: BenchmarkOptions, data: str | Path | None, notice: Callable[[str], None], *, alone: bool
) -> tuple[Benchmark, list[Item]]:
    """A benchmark and its items, from a folder of its name or, of one that is asked `alone`, from the folder itself."""
    from blip3o.weights import hub

    benchmark = registry.build(name, options)
    if not benchmark.has_data:
        return benchmark, benchmark.items(Path())
    folder = Path(str(data))
    if folder.is_dir():
        inside = folder / benchmark.name
        if not inside.is_dir() and not alone:
            raise DataError(f"{folder} has no folder {benchmark.name}: put its data there")
        return benchmark, read(benchmark, inside if inside.is_dir() else folder)
    mirror = benchmark.mirror if str(data) == "hub" else str(data)
    if not mirror:
        raise DataError(f"{benchmark.name} has no mirror on the Hub: name the folder of its data")
    return benchmark, read(benchmark, hub.find_data(mirror, benchmark.wanted, notice))


def _estimate(
    benchmark: Benchmark, items: Sequence[Item], plan: Plan, candidate: Callable[[], Candidate]
) -> dict[str, Any]:
    """How many items, how long by a first few of them, and how many requests and tokens a judge would take."""
    items = benchmark.first(items, plan.limit)
    tried, model, begin = items[:TRIED_ITEMS], candidate(), time.monotonic()
    estimate: dict[str, Any] = {"benchmark": benchmark.name, "items": len(items)}
    with suppress(PromptError, PictureError):  # a model that cannot be asked these takes no time
        benchmark.ask(tried, model, plan.seed)
        estimate["seconds"] = round((time.monotonic() - begin) / len(tried) * len(items))
    if benchmark.needs_judge:
        pictures = sum(item.count if benchmark.kind != "understanding" else 0 for item in items)
        words = sum(len(item.prompt) + len(str(item.facts)) for item in items) // 4
        estimate |= {
            "judge_requests_at_least": max(len(items), pictures),
            "judge_tokens": words + TOKENS_OF_PICTURE * pictures,
        }
    return estimate
