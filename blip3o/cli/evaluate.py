"""blip3o evaluate: a model's scores on held-out questions of the picture book and on the field's benchmarks."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from blip3o.cli.benchmarks import Asked, chosen, effects, identity_of, keeping, run_benchmarks
from blip3o.cli.distance import EXAMPLES as DISTANCE_EXAMPLES
from blip3o.cli.distance import distance
from blip3o.cli.files import as_json, check_folder
from blip3o.cli.options import Debug, Json, Loading, examples, grouped, refuse_idle
from blip3o.cli.progress import open_model, working_on_many

EXAMPLES = examples(
    "blip3o evaluate --suite picturebook --json",
    "blip3o evaluate --benchmark pope --benchmark gqa:lmms --data data --model BLIP3o/BLIP3o-Model-8B",
    "blip3o evaluate --suite understanding --data data --judge https://api.openai.com/v1 --judge-model gpt-4.1",
    "blip3o evaluate compare results/mine results/theirs",
    "blip3o evaluate distance drawn real",
)
BOOK = "picturebook"

Suite = Annotated[
    str | None,
    typer.Option(help="picturebook (the default), understanding, generation, editing or all: many benchmarks."),
]
Named = Annotated[
    list[str] | None, typer.Option("--benchmark", "-b", help="NAME or NAME:PROTOCOL; may be given again.")
]
Data = Annotated[
    str | None,
    typer.Option(help="Benchmarks: their folder, or one with a folder for each; owner/name on the Hub; hub."),
]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="Picture book: only these groups, such as generation; repeatable.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Questions in each group or benchmark; default: all.")]
ItemSeed = Annotated[int, typer.Option(min=0, help="Picture book: asks other questions. Benchmarks: draws others.")]
Results = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The folder of results. Default: results for benchmarks, none for the book."),
]
JudgeUrl = Annotated[
    str | None,
    typer.Option("--judge", help="Benchmarks: base URL of an OpenAI-compatible server, local:MODEL, or none."),
]
JudgeModel = Annotated[str, typer.Option(help="The judge's model; the key is read from OPENAI_API_KEY.")]
Ready = Annotated[Path | None, typer.Option(help="Benchmarks: ready detections or a judge's answers, as JSON.")]
DetectorName = Annotated[
    str | None, typer.Option("--detector", help="GenEval: Mask2Former, its folder or id on the Hub; or picturebook.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Questions asked at a time.")]
Bare = Annotated[
    bool, typer.Option("--bare", help="Benchmarks: leave out instructions that a small model does not know.")
]
Restart = Annotated[bool, typer.Option("--restart", help="Forget what an earlier run answered.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Benchmarks: only count, and estimate time and cost.")]


class _Verb(TyperGroup):
    """A verb that also has verbs of its own."""

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
    suite: Suite = None,
    benchmark: Named = None,
    data: Data = None,
    group: Groups = None,
    limit: Limit = None,
    seed: ItemSeed = 0,
    output: Results = None,
    judge: JudgeUrl = None,
    judge_model: JudgeModel = "gpt-4.1",
    ready: Ready = None,
    detector: DetectorName = None,
    batch_size: BatchSize = 16,
    bare: Bare = False,
    restart: Restart = False,
    dry_run: DryRun = False,
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
    settings = {key: getattr(loading, key) for key in ("dtype", "decoder", "memory", "quantize", "verify")}
    book = not benchmark and suite in (None, BOOK)
    asked = Asked(
        names=[] if book else chosen(suite, benchmark or []),
        groups=group or None,
        data=data,
        judge=judge,
        judge_model=judge_model,
        ready=ready,
        detector=detector,
        output=output if book else output or Path("results"),
        limit=limit,
        seed=seed,
        batch=batch_size,
        bare=bare,
        restart=restart,
        dry_run=dry_run,
    )
    refuse_idle(context, effects(asked, book=book))
    run = _book if book else run_benchmarks
    run(asked, loading.model, loading.device, settings, json=json)


@app.command(epilog=examples("blip3o evaluate compare results/mine results/theirs -o page.html"))
def compare(
    first: Annotated[Path, typer.Argument(help="A folder of results.")],
    second: Annotated[Path, typer.Argument(help="Another one, of the same benchmarks.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write, .html.")] = Path("compare.html"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two models item by item: differences with their intervals, and a page of failures with pictures."""
    from rich.console import Console
    from rich.table import Table

    from blip3o.evals.compare import compare as compared
    from blip3o.evals.compare import facts
    from blip3o.evals.report import check_page, rows, write_page

    check_page(output)
    comparison = compared(first, second)
    write_page(comparison, output)
    if json:
        print(as_json(facts(comparison) | {"page": str(output)}))
        return
    head, *body = rows(comparison)
    table = Table(*head[:-1])
    for row in body:
        table.add_row(*row[:-1])
    Console(highlight=False).print(table)
    for row in body:
        if row[-1]:
            print(f"{row[0]}: {row[-1]}")
    print(output)


app.command(cls=_Inner, epilog=DISTANCE_EXAMPLES)(distance)


def _refuse_before(context: typer.Context) -> None:
    """Raise ConfigError for an option that stands before the verb that it may be meant for."""
    after = f"after `blip3o evaluate {context.invoked_subcommand}`, if at all"
    refuse_idle(context, {str(one.name): (after, one.name == "debug") for one in context.command.params})


def _book(asked: Asked, model: str, device: str, loading: dict[str, Any], *, json: bool) -> None:
    if asked.output is not None:
        check_folder(asked.output)
    about = identity_of(model, device, loading)
    candidate = open_model(model, device, **loading)
    from blip3o.picturebook.benchmarks import suite as suites

    with keeping(asked), working_on_many("asking") as told:
        scores = suites.run(
            candidate,
            BOOK,
            seed=asked.seed,
            limit=asked.limit,
            groups=asked.groups,
            output=asked.output,
            restart=asked.restart,
            about={"fingerprint": about["weights"], "loaded": about["loaded"]},
            batch=asked.batch,
            progress=told,
        )
    if json:
        print(as_json(scores))
    else:
        _show(scores)


def _show(scores: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{scores['suite']}, seed {scores['seed']}, {scores['seconds']} s", title_justify="left")
    for name in ("score", "value", "95 % interval", "exact", "95 % interval", "questions"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name, share in (*shares(scores["metrics"]), *shares(scores["judge"], "judge ")):
        table.add_row(name, *_cells(share), *_cells(share.get("exact")), str(share["n"]))
    table.caption = "exact: drawings that are right and show nothing but what was asked for"
    Console(highlight=False).print(table)


def _cells(share: dict[str, Any] | None) -> tuple[str, str]:
    return ("", "") if share is None else (f"{share['value']:.3f}", f"{share['low']:.3f} to {share['high']:.3f}")


def shares(metrics: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every score of nested metrics by its full name."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name, value in metrics.items():
        found += [(prefix + name, value)] if "value" in value else shares(value, f"{prefix}{name} ")
    return found
