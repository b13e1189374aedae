"""blip3o evaluate: a model's scores on held-out questions of the picture book and on the field's benchmarks."""

import errno
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from blip3o.cli.distance import EXAMPLES as DISTANCE_EXAMPLES
from blip3o.cli.distance import distance
from blip3o.cli.files import as_json, check_folder
from blip3o.cli.options import Debug, Json, Loading, Stopped, examples, grouped, refuse_idle
from blip3o.cli.progress import open_model, working_on_many
from blip3o.errors import JudgeError, OutputError

EXAMPLES = examples(
    "blip3o evaluate --suite picturebook --json",
    "blip3o evaluate --benchmark pope --benchmark gqa:lmms --data data --model BLIP3o/BLIP3o-Model-8B",
    "blip3o evaluate --suite understanding --data data --judge https://api.openai.com/v1 --judge-model gpt-4.1",
    "blip3o evaluate compare results/mine results/theirs",
    "blip3o evaluate distance drawn real",
)
BOOK = "picturebook"
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked, of which data, and who scores it: the arguments of `blip3o.evaluate`."""

    data: Annotated[
        str | None,
        typer.Option(help="Benchmarks: their folder, or one with a folder for each; owner/name on the Hub; hub."),
    ] = None
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", help="Picture book: only these groups, such as generation; repeatable."),
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Questions in each group or benchmark; default: all.")] = None
    seed: Annotated[int, typer.Option(min=0, help="Picture book: asks other questions. Benchmarks: draws others.")] = 0
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The folder of results. Default: results for benchmarks, none for the book."
        ),
    ] = None
    judge: Annotated[
        str | None,
        typer.Option(help="Benchmarks: base URL of an OpenAI-compatible server, local:MODEL, or none."),
    ] = None
    judge_model: Annotated[str, typer.Option(help="The judge's model; the key is read from OPENAI_API_KEY.")] = (
        "gpt-4.1"
    )
    ready: Annotated[Path | None, typer.Option(help="Benchmarks: ready detections or a judge's answers, as JSON.")] = (
        None
    )
    detector: Annotated[
        str | None, typer.Option(help="GenEval: Mask2Former, its folder or id on the Hub; or picturebook.")
    ] = None
    batch_size: Annotated[int, typer.Option(min=1, help="Questions asked at a time.")] = 16
    bare: Annotated[
        bool, typer.Option("--bare", help="Benchmarks: leave out instructions that a small model does not know.")
    ] = False
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an earlier run answered.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Benchmarks: only count, and estimate time and cost.")] = (
        False
    )


class _Verb(TyperGroup):
    """A verb with verbs of its own; they are handed typer's own context, which commands inside of others lack."""

    context_class = typer.Context


class _Inner(TyperCommand):
    """A verb of such a verb."""

    context_class = typer.Context


app = typer.Typer(cls=_Verb, invoke_without_command=True, epilog=EXAMPLES)


@app.callback()
@grouped("compile", "compatible")
def evaluate(
    context: typer.Context,
    *,
    suite: Annotated[
        str | None,
        typer.Option(help="picturebook (the default), understanding, generation, editing or all: many benchmarks."),
    ] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option("--benchmark", "-b", help="NAME or NAME:PROTOCOL; may be given again.")
    ] = None,
    questions: Questions,
    loading: Loading,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a model on held-out questions.

    The picture book's suite draws by GenEval's rules, combines, reads, captions,
    edits, talks and solves riddles. Benchmarks read their official files or the
    mirrors on the Hub. Every answer is kept where there is an output, and after a
    stop the same command asks only what is missing.
    """
    if context.invoked_subcommand is not None:
        _refuse_before(context)
        return
    from blip3o.evals import registry
    from blip3o.evals.evaluate import evaluate as evaluated

    names = registry.chosen(BOOK if suite is None and not benchmark else suite, benchmark or [])
    if names != [BOOK] and questions.output is None:
        questions = replace(questions, output=Path("results"))
    refuse_idle(context, _effects(names, questions))
    if questions.output is not None:
        check_folder(questions.output)
    options: dict[str, Any] = vars(questions) | {"groups": questions.groups or None}
    with _keeping(questions.output, restart=questions.restart), working_on_many("asking") as update:

        def progress(name: str, done: int, total: int, mean: float | None) -> None:
            update(name if mean is None else f"{name}, mean score {mean:.3f}", done, total)

        results = evaluated(
            loading.model,
            names,
            **options,
            device=loading.device,
            loading={
                key: getattr(loading, key)
                for key in ("dtype", "decoder", "memory", "quantize", "verify", "adapters", "merge")
            },
            load=open_model,
            progress=progress,
            notice=lambda words: print(words, file=sys.stderr),
        )
    if json and results:
        print(as_json(results[0] if names == [BOOK] else results))
    elif questions.dry_run:
        _show_estimates(results)
    elif results:
        _show_scores(results)
    _refuse_unscored(results)


@app.command(epilog=examples("blip3o evaluate compare results/mine results/theirs -o page.html"))
def compare(
    first: Annotated[Path, typer.Argument(help="A folder of results.")],
    second: Annotated[Path, typer.Argument(help="Another one, of the same benchmarks.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write, .html.")] = Path("compare.html"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two models item by item: differences with their intervals, and a page of failures with pictures."""
    from blip3o.evals.compare import compare as compared
    from blip3o.evals.compare import facts
    from blip3o.evals.report import check_page, rows, write_page

    check_page(output)
    comparison = compared(first, second)
    write_page(comparison, output)
    if json:
        print(as_json(facts(comparison) | {"page": str(output)}))
        return
    heading, *body = rows(comparison)
    _print_table(heading[:-1], [row[:-1] for row in body])
    for row in body:
        if row[-1]:
            print(f"{row[0]}: {row[-1]}")
    print(output)


app.command(cls=_Inner, epilog=DISTANCE_EXAMPLES)(distance)


def _refuse_before(context: typer.Context) -> None:
    """Raise ConfigError for an option that stands before the verb that it may be meant for."""
    after = f"after `blip3o evaluate {context.invoked_subcommand}`, if at all"
    refuse_idle(context, {str(one.name): (after, one.name == "debug") for one in context.command.params})


@contextmanager
def _keeping(output: Path | None, *, restart: bool) -> Iterator[None]:
    """Says how things stand where an evaluation is stopped, or finds no room: what is answered is kept."""
    again = f"the same command{' without --restart' if restart else ''} goes on"
    try:
        yield
    except KeyboardInterrupt:
        kept = f"{again} from what lies in {output}"
        raise Stopped(f"stopped; {'nothing is kept without --output' if output is None else kept}") from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OutputError(f"cannot write to {output} ({error.strerror}): make room, then {again}") from error


def _effects(names: list[str], questions: Questions) -> dict[str, tuple[str, bool]]:
    """Option -> where it has an effect, in words, and whether that is so here. One that is not named always has."""
    from blip3o.evals import registry

    tests = [test for test, _ in map(registry.find, names)]
    heeds, kinds = {what for test in tests for what in test.heeds}, {test.kind for test in tests}
    judged = any(test.needs_judge and not (questions.ready and "ready" in test.heeds) for test in tests)
    url = questions.judge or "none"
    return {
        "groups": ("for the picture book", "groups" in heeds),
        "data": ("for benchmarks that read data", any(test.has_data for test in tests)),
        "bare": ("for benchmarks of understanding", "understanding" in kinds),
        "seed": ("for the picture book and for benchmarks that draw", kinds != {"understanding"}),
        "restart": ("where answers are kept, with --output", questions.output is not None),
        "judge": ("for benchmarks that a judge scores", judged),
        "judge_model": ("with a server as the --judge", url != "none" and not url.startswith("local:")),
        "ready": ("for geneval and dpg", "ready" in heeds),
        "detector": ("for geneval", "detector" in heeds),
    }


def _print_table(heading: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print rows of cells below their heading; what is too wide goes on in the next line of its cell."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in heading:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def _show_estimates(estimates: Sequence[Mapping[str, Any]]) -> None:
    keys = ("items", "seconds", "judge_requests_at_least", "judge_tokens")
    heading = ("benchmark", "items", "seconds", "judge's requests, at least", "judge's tokens")
    _print_table(heading, [(one["benchmark"], *(f"{one[k]:,}" if k in one else "" for k in keys)) for one in estimates])


def _show_scores(results: Sequence[dict[str, Any]]) -> None:
    heading = ("benchmark", "protocol", "metric", "value", "95 % interval", "items")
    title = "value: on the scale that each benchmark publishes"
    _print_table(heading, [row for result in results for row in _rows(result)], title)
    for result in results:
        if result["not_trusted"] or not result["scored"]:
            print(f"{result['benchmark']}: {result['not_trusted'] if result['scored'] else _why(result)}")


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The numbers of a benchmark, without those of one level that are parts of others."""
    from blip3o.evals.report import interval, shown
    from blip3o.evals.saved_results import numbers

    refused = "".join(f", {result[how]:,} {how}" for how in ("refused", "unscored") if result[how])
    counted = f"{result['n']:,} of {result['of']:,}{refused}"
    head = (result["benchmark"], result["protocol"])
    if not result["scored"]:
        yield (*head, "not scored", "", "", f"{result['answered']:,} answered of {result['of']:,}{refused}")
    judge = {"judge": result["judge"]} if isinstance(result["judge"], dict) else {}
    for name, metric in numbers({**result["metrics"], **judge}).items():
        if "/" not in name or name not in result["metrics"]:
            yield (*head, name, shown(metric.value), interval(metric), counted)


def _refuse_unscored(results: list[dict[str, Any]]) -> None:
    """Raise JudgeError where a judge has failed."""
    unscored = [one for one in results if one.get("not_scored")]
    if unscored:
        first = f"{unscored[0]['benchmark']}: {unscored[0]['not_scored']}"
        raise JudgeError(f"{len(unscored)} of {len(results)} results have answers without a score ({first})")


def _why(result: dict[str, Any]) -> str:
    """Why there is no number."""
    if result["not_scored"]:
        return f"not scored: {result['not_scored']}"
    if result["why_refused"] and result["refused"] == result["answered"]:
        return f"the model cannot be asked: {result['why_refused']}"
    if result["why_unscored"]:
        return f"the judge has no opinion: {result['why_unscored']}"
    options = {"geneval": "--detector or --ready", "dpg": "--judge or --ready"}
    return f"not scored without {options.get(result['benchmark'], '--judge')}"
