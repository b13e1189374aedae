"""What `blip3o evaluate` does with the benchmarks of the field: finds data and judge, asks, and shows numbers."""

import errno
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blip3o.cli.files import as_json, check_folder
from blip3o.cli.options import Stopped
from blip3o.cli.progress import open_model, working_on_many
from blip3o.errors import ConfigError, DataError, JudgeError, OutputError, PictureError, PromptError, UserError

if TYPE_CHECKING:
    from blip3o.evals import registry as catalogue
    from blip3o.evals.benchmark import Benchmark, Item, Judge
    from blip3o.evals.candidate import Candidate

LOCAL = "local:"
"""What a judge of ours is named by."""
TOKENS_OF_PICTURE = 1000
"""About what a picture counts for at a server."""
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user asked for."""

    names: list[str]
    """Benchmarks, those of the suite among them; none for the picture book."""
    groups: list[str] | None
    data: str | None
    judge: str | None
    judge_model: str
    ready: Path | None
    detector: str | None
    output: Path | None
    """None only for the picture book: nothing is kept."""
    limit: int | None
    seed: int
    batch: int
    bare: bool
    restart: bool
    dry_run: bool


def chosen(suite: str | None, names: list[str]) -> list[str]:
    """The benchmarks that a command names, of a suite or one by one. Raises ConfigError for one that is not there."""
    from blip3o.evals import registry as catalogue

    if suite == catalogue.BOOK:
        raise ConfigError("the picture book goes alone: name --benchmark in a command of its own")
    return catalogue.chosen(suite, names)


def effects(asked: Asked, *, book: bool) -> dict[str, tuple[str, bool]]:
    """Option -> where it has an effect, in words, and whether that is so here. One that is not named always has."""
    from blip3o.evals import registry as catalogue

    tests = {test.name: test for test, _ in map(catalogue.find, asked.names)}
    kinds = {test.kind for test in tests.values()}
    judged = {name for name, test in tests.items() if test.needs_judge} - ({"dpg"} if asked.ready else set())
    server = asked.judge not in (None, "none") and not str(asked.judge).startswith(LOCAL)
    return {
        "group": ("for the picture book", book),
        "data": ("for benchmarks", not book),
        "dry_run": ("for benchmarks", not book),
        "bare": ("for benchmarks of understanding", "understanding" in kinds),
        "seed": ("for the picture book and for benchmarks that draw", book or kinds != {"understanding"}),
        "restart": ("where answers are kept: for benchmarks, and with --output", asked.output is not None),
        "judge": ("for benchmarks that a judge scores", bool(judged)),
        "judge_model": ("with a server as the --judge", server),
        "ready": ("for geneval and dpg", not tests.keys().isdisjoint(catalogue.WITH_AIDS)),
        "detector": ("for geneval", "geneval" in tests),
    }


@contextmanager
def keeping(asked: Asked) -> Iterator[None]:
    """Says how things stand where an evaluation is stopped, or finds no room: what is answered is kept."""
    again = f"the same command{' without --restart' if asked.restart else ''} goes on"
    try:
        yield
    except KeyboardInterrupt:
        kept = f"{again} from what lies in {asked.output}"
        raise Stopped(f"stopped; {'nothing is kept without --output' if asked.output is None else kept}") from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OutputError(f"cannot write to {asked.output} ({error.strerror}): make room, then {again}") from error


def run_benchmarks(asked: Asked, model: str, device: str, loading: dict[str, Any], *, json: bool) -> None:
    """Score a model on benchmarks. One that cannot be run is told and left out, the others go on; with a single one, or
    where none can be run, its error is raised."""
    from blip3o.evals import registry as catalogue
    from blip3o.weights.placement.device import find_device

    names = asked.names
    if asked.data is None:
        raise ConfigError("benchmarks need --data: a folder, owner/name on the Hub, or hub for their usual mirrors")
    check_folder(_output(asked))
    identity = identity_of(model, device, loading)
    opened = cache(lambda: open_model(model, device, **loading))
    judge = None if asked.dry_run else _judge(asked, lambda name: open_model(name, device))
    aids = catalogue.Aids(judge=judge, ready=asked.ready, detector=asked.detector, device=str(find_device(device)))
    results, faults = [], []
    for name in names:
        try:
            results.append(_scored(name, asked, aids, identity, opened, alone=len(names) == 1))
        except UserError as error:
            faults.append(error)
            if len(names) > 1:
                print(f"left out: {name}: {error}", file=sys.stderr)
    if int(os.environ.get("RANK", "0")) == 0 and results:
        print(as_json(results)) if json else _show(results, asked.dry_run)
    failed = [one for one in results if one.get("not_scored")]
    if failed:
        first = f"{failed[0]['benchmark']}: {failed[0]['not_scored']}"
        raise JudgeError(f"{len(failed)} of {len(results)} results have answers without a score ({first})")
    if not results:
        raise faults[0] if len(names) == 1 else DataError(f"none of {len(names)} benchmarks could be run: {faults[0]}")


def _scored(
    name: str,
    asked: Asked,
    aids: "catalogue.Aids",
    identity: dict[str, Any],
    opened: "Callable[[], Candidate]",
    *,
    alone: bool,
) -> dict[str, Any]:
    from blip3o.evals import registry as catalogue
    from blip3o.evals.runner import Plan, Run, read

    benchmark = catalogue.make(name, aids)
    items = read(benchmark, _folder(str(asked.data), benchmark, alone=alone))
    if asked.dry_run:
        return _estimate(name, benchmark, items[: asked.limit], opened)
    plan = Plan(
        folder=_output(asked) / identity["name"],
        limit=asked.limit,
        batch=asked.batch,
        seed=asked.seed,
        bare=asked.bare,
        restart=asked.restart,
    )
    run = Run(benchmark, items, identity, opened, plan)
    if asked.bare and alone and not run.bare:
        raise ConfigError(f"--bare has no effect on {name}, which has no instruction to leave out: leave it out")
    with keeping(asked), _told(name) as told:
        return run.go(told)


def _output(asked: Asked) -> Path:
    assert asked.output is not None
    return asked.output


def identity_of(model: str, device: str, loading: dict[str, Any]) -> dict[str, Any]:
    """What a model is known by in results: the name of its folder or its id, its weights and settings, and how they are
    loaded, as far as that changes a number."""
    from blip3o.weights import hub
    from blip3o.weights.placement.device import find_device, find_dtype

    deferred, place = hub.open_model(model, needs=(), verify=loading["verify"]), find_device(device)
    sizes = deferred.pipeline.sizes
    numbers = str(find_dtype(loading["dtype"], place, sum(sizes.values()))).removeprefix("torch.")
    further = {key: str(loading[key]) for key in ("decoder", "quantize") if loading[key] is not None}
    return {
        "name": Path(model).resolve().name if Path(model).is_dir() else model.replace("/", "--"),
        "parameters": sizes,
        "weights": deferred.fingerprint(),
        "settings": hashlib.sha256(repr(deferred.pipeline.config).encode()).hexdigest()[:16],
        "loaded": {"device": place.type, "dtype": numbers} | further,
    }


def _judge(asked: Asked, load: "Callable[[str], Candidate]") -> "Judge | None":
    from blip3o.evals.judges.chat import Cached, ChatJudge, LocalJudge

    if asked.judge in (None, "none"):
        return None
    if asked.judge.startswith(LOCAL):
        name = asked.judge.removeprefix(LOCAL)
        from blip3o.weights import hub

        weights = hub.open_model(name).fingerprint()
        return Cached(LocalJudge(load(name), name), _output(asked) / "judge", weights)
    if "://" not in asked.judge:
        raise ConfigError(f"judge is {asked.judge!r}: give the base URL of a server, local:MODEL, or none")
    key = os.environ.get("OPENAI_API_KEY", "EMPTY")
    return Cached(ChatJudge(asked.judge_model, asked.judge, key), _output(asked) / "judge", asked.judge)


def _folder(data: str, benchmark: "Benchmark", *, alone: bool) -> Path:
    """The data of a benchmark: in a folder of its name, or, of one that is asked `alone`, in the folder itself."""
    from blip3o.weights import hub

    own = Path(data)
    if own.is_dir():
        inside = own / benchmark.name
        if not inside.is_dir() and not alone:
            raise DataError(f"{own} has no folder {benchmark.name}: put its data there")
        return inside if inside.is_dir() else own
    if data == "hub" and not benchmark.mirror:
        raise DataError(f"{benchmark.name} has no mirror on the Hub: name the folder of its data")
    name = benchmark.mirror if data == "hub" else data
    return hub.find_data(name, benchmark.wanted, lambda words: print(words, file=sys.stderr))


@contextmanager
def _told(name: str) -> "Iterator[Callable[[str, int, int, float | None], None]]":
    """A bar with the mean score so far."""
    with working_on_many(name) as tell:

        def told(name: str, done: int, total: int, mean: float | None) -> None:
            tell(name if mean is None else f"{name}, mean score {mean:.3f}", done, total)

        yield told


def _estimate(
    name: str, benchmark: "Benchmark", items: "list[Item]", opened: "Callable[[], Candidate]"
) -> dict[str, Any]:
    """How many items, how long by a first few of them, and how many requests and tokens a judge would take."""
    from blip3o.evals.runner import ask

    tried = items[:4]
    candidate, begin = opened(), time.monotonic()
    found: dict[str, Any] = {"benchmark": name, "items": len(items)}
    with suppress(PromptError, PictureError):  # a model that cannot be asked these takes no time
        ask(benchmark, tried, candidate, 0)
        found["seconds"] = round((time.monotonic() - begin) / len(tried) * len(items))
    if benchmark.needs_judge:
        pictures = sum(item.count if benchmark.kind != "understanding" else 0 for item in items)
        words = sum(len(item.prompt) + len(str(item.facts)) for item in items) // 4
        found |= {
            "judge_requests_at_least": max(len(items), pictures),
            "judge_tokens": words + TOKENS_OF_PICTURE * pictures,
        }
    return found


def _show(results: list[dict[str, Any]], dry_run: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    if dry_run:
        table = Table("benchmark", "items", "seconds", "judge's requests, at least", "judge's tokens")
        for one in results:
            cells = ("items", "seconds", "judge_requests_at_least", "judge_tokens")
            table.add_row(one["benchmark"], *(f"{one[cell]:,}" if cell in one else "" for cell in cells))
    else:
        table = Table(title="value: on the scale that each benchmark publishes", title_justify="left")
        for name in ("benchmark", "protocol", "metric", "value", "95 % interval", "items"):
            table.add_column(name, overflow="fold")
        for one in results:
            for row in _rows(one):
                table.add_row(*row)
    Console(highlight=False).print(table)
    for one in results:
        if not dry_run and (one["not_trusted"] or not one["scored"]):
            print(f"{one['benchmark']}: {one['not_trusted'] if one['scored'] else _why(one)}")


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The numbers of a benchmark that are no parts of others."""
    refused = "".join(f", {result[how]:,} {how}" for how in ("refused", "unscored") if result[how])
    told = f"{result['n']:,} of {result['of']:,}{refused}"
    head = (result["benchmark"], result["protocol"])
    if not result["scored"]:
        yield (*head, "not scored", "", "", f"{result['answered']:,} answered of {result['of']:,}{refused}")
    for name, metric in result["metrics"].items():
        if "/" not in name:
            interval = "" if metric["low"] is None else f"{metric['low']:.2f} to {metric['high']:.2f}"
            yield (*head, name, "" if metric["value"] is None else f"{metric['value']:.2f}", interval, told)


def _why(result: dict[str, Any]) -> str:
    """Why there is no number."""
    if result["not_scored"]:
        return f"not scored: {result['not_scored']}"
    if result["why_refused"] and result["refused"] == result["answered"]:
        return f"the model cannot be asked: {result['why_refused']}"
    if result["why_unscored"]:
        return f"the judge has no opinion: {result['why_unscored']}"
    wanted = {"geneval": "--detector or --ready", "dpg": "--judge or --ready"}
    return f"not scored without {wanted.get(result['benchmark'], '--judge')}"
