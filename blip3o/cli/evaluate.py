"""blip3o evaluate: a model's scores on held-out questions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from blip3o.cli.files import as_json, check_folder, write_text
from blip3o.cli.options import Debug, Decoder, Device, Dtype, Json, Model, examples
from blip3o.cli.progress import open_model, working_on_many

EXAMPLES = examples(
    "blip3o evaluate --suite picturebook --json",
    "blip3o evaluate --model runs/picturebook/checkpoint --limit 20 --group generation --output scores",
)


def evaluate(
    suite: Annotated[str, typer.Option(help="The suite of questions.")] = "picturebook",
    group: Annotated[list[str] | None, typer.Option(help="Only these groups, such as generation; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions in each group; default: the suite's own.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another number asks other questions of the same kind.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for scores.json, all answers and pictures.")
    ] = None,
    model: Model = "picturebook",
    device: Device = "auto",
    decoder: Decoder = None,
    dtype: Dtype = "auto",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a model on held-out questions.

    Drawing by GenEval's rules, unseen combinations, reading, captions, edits,
    dialogues, riddles; each score with its 95 % interval.
    """
    if output is not None:
        check_folder(output)
    candidate = open_model(model, device, dtype=dtype, decoder=decoder)
    from blip3o.evals import suite as suites

    with working_on_many("asking") as told:
        scores = suites.run(
            candidate, suite, seed=seed, limit=limit, groups=group or None, output=output, progress=told
        )
    if output is not None:
        write_text(as_json(scores), output / "scores.json")
    if json:
        print(as_json(scores))
    else:
        _show(scores)


def _show(scores: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{scores['suite']}, seed {scores['seed']}, {scores['seconds']} s", title_justify="left")
    for name in ("score", "value", "95 % interval", "questions"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name, share in (*shares(scores["metrics"]), *shares(scores["judge"], "judge ")):
        table.add_row(name, f"{share['value']:.3f}", f"{share['low']:.3f} to {share['high']:.3f}", str(share["n"]))
    Console(highlight=False).print(table)


def shares(metrics: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, float]]]:
    """Every score of nested metrics by its full name."""
    found: list[tuple[str, dict[str, float]]] = []
    for name, value in metrics.items():
        found += [(prefix + name, value)] if "value" in value else shares(value, f"{prefix}{name} ")
    return found
