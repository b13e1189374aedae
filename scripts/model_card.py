"""Writes the model card of a finished run: README.md, its learning curves, and the run's facts as JSON.

    python scripts/model_card.py --run runs/picturebook

Everything comes from the run's folder: recipe.yaml, log.jsonl and checkpoint/. The scores come later, by
scripts/fill_scores.py.
"""

import argparse
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from blip3o.api import BLIP3o
from blip3o.config import load
from blip3o.train.log import NO_LOSSES
from blip3o.train.recipe import Recipe

ROOT = Path(__file__).parents[1]
PAUSE_S = 900.0
"""A longer silence of the journal is a pause of the run, not work."""

OVERALL = ("generation/overall", "generation/overall/exact")
"""Scores of parts that are drawn among the curves."""

Curve = list[tuple[int, float]]
"""(step, value), steps ascending."""

CARD = """# {name}

One model of {parameters:,} parameters that reads, draws, edits and talks, in a world of drawn pictures of {size} x
{size} px. It has the architecture of the published BLIP3-o (arXiv 2505.09568) at about one thousandth of its size.

It knows the words of the picture book and nothing else: any other word is refused. It is meant for learning, testing
and experiments, not for pictures of the real world.

{parts}

## Training

| | |
|---|---|
| command | `blip3o train --config {recipe}` |
| commit | {commit} |
| seed | {seed} |
| data | the picture book, {pictures:,} pictures drawn from the seed `{book}`; no download, no pictures of people |
| hardware | {hardware} |
| time | {hours:.1f} h, scoring on the way included |
| arithmetic | {precision} products, float32 weights; stored in bfloat16 |

{stages}

![The learning curves of every stage](curves.png)

The configuration is `config.yaml`, beside this card; the recipe, with the weight of every task, is
`configs/{recipe}.yaml`. The facts of this page are in `run.json`, all scores in `scores.json`.

## Scores

`blip3o evaluate --suite picturebook --json`: held-out questions of seed 0, at the model's own settings. Drawings are
judged by GenEval's rules, with a detector trained on drawn scenes that never trained, filtered or steered the model.
Those rules count a drawing as right when it holds more than was asked for; "exact" beside them is the share that is
right and shows nothing else.

<!-- scores -->
<!-- end -->

<!-- speed -->
<!-- end -->

## Limits

It draws one to four objects of {kinds} kinds on a grid of nine places. Small things may blur, and a count or a colour
may be wrong as often as the table says. It reads pictures of its own world; of any other it tells nonsense.

Licence: Apache-2.0, the weights too.
"""


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """What the journal says of a stage."""

    name: str
    steps: int
    minutes: float
    commit: str
    losses: dict[str, float]
    """Each the mean of its last five entries."""


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The events of a run, the oldest first; a line that was cut off by a kill is left out."""
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events


def seconds_by_stage(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of work in each stage: the times between events, pauses left out."""
    taken: dict[str, float] = {}
    before = None
    for event in events:
        stage = str(event.get("stage") or event.get("name"))
        gap = 0.0 if before is None else event["time"] - before
        taken[stage] = taken.get(stage, 0.0) + (gap if 0 <= gap < PAUSE_S else 0.0)
        before = event["time"]
    return taken


def curves(events: Iterable[Mapping[str, Any]], kind: str, stage: str) -> dict[str, Curve]:
    """The numbers of a stage's events of this kind by name; of a step that was done twice, the later ones."""
    by_name: dict[str, dict[int, float]] = {}
    for event in events:
        if event["event"] == kind and event["stage"] == stage:
            for name in event.keys() - NO_LOSSES:
                by_name.setdefault(name, {})[event["step"]] = event[name]
    return {name: sorted(values.items()) for name, values in sorted(by_name.items())}


def stage_facts(events: Sequence[Mapping[str, Any]]) -> list[StageFacts]:
    """What is to be told of each stage, in their order."""
    taken = seconds_by_stage(events)
    begun = {event["name"]: event for event in events if event["event"] == "stage"}
    facts = []
    for name, event in begun.items():
        lines = curves(events, "step", name)
        last = {key: [value for _, value in line[-5:]] for key, line in lines.items()}
        losses = {key: sum(values) / len(values) for key, values in last.items() if key != "total"}
        facts.append(
            StageFacts(
                name=name,
                steps=event["steps"],
                minutes=taken[name] / 60,
                commit=event["commit"],
                losses={key: round(value, 4) for key, value in losses.items()},
            )
        )
    return facts


# --- the curves -----------------------------------------------------------------------------------------------------


def panels(events: Sequence[Mapping[str, Any]], stages: Iterable[str]) -> dict[str, dict[str, Curve]]:
    """Losses of each stage, and the scores of those that were scored more than once, by title."""
    found: dict[str, dict[str, Curve]] = {}
    for stage in stages:
        lines = curves(events, "step", stage)
        found[f"{stage}: losses"] = {name: line for name, line in lines.items() if name != "total" or len(lines) == 1}
        scores = curves(events, "scores", stage)
        wanted = [name for name in scores if "/" not in name or name in OVERALL]
        several = {name: scores[name] for name in wanted if len(scores[name]) > 1}
        if several:
            found[f"{stage}: scores on the way"] = several
    return found


def plot(found: Mapping[str, Mapping[str, Curve]], path: Path, columns: int = 3) -> None:
    """Write all panels on one page; losses that fall to less than a tenth are drawn on a logarithmic axis."""
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    for index, (title, lines) in enumerate(found.items()):
        axes = figure.add_subplot(rows, columns, index + 1, title=title, xlabel="step")
        values = [value for line in lines.values() for _, value in line]
        axes.set_yscale("log" if values and 0 < 10 * min(values) < max(values) else "linear")
        for name, line in lines.items():
            axes.plot(*zip(*line, strict=True), label=name)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=80)


# --- the card -------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, all columns but the first on the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def run_facts(recipe: Recipe, about: Mapping[str, Any], stages: Sequence[StageFacts], hardware: str) -> dict[str, Any]:
    """The run in numbers, ready for JSON."""
    return {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "commit": about.get("commit", "unknown"),
        "hardware": hardware,
        "hours": round(sum(stage.minutes for stage in stages) / 60, 2),
        "stages": [asdict(stage) for stage in stages],
    }


def card(recipe: Recipe, info: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The text of the card, its tables of scores still empty."""
    from blip3o.picturebook.world.scene import ALL_KINDS

    by_name = {stage.name: stage for stage in recipe.stages}
    rows = [
        (
            told["name"],
            ", ".join(by_name[told["name"]].trains),
            f"{told['steps']:,}",
            by_name[told["name"]].objective.samples(by_name[told["name"]].batch_size),
            f"{told['minutes']:.0f}",
            ", ".join(f"{name} {value:.3f}" for name, value in told["losses"].items()),
        )
        for told in facts["stages"]
    ]
    commits = dict.fromkeys(told["commit"] for told in facts["stages"])
    return CARD.format(
        name=info["name"],
        parameters=info["parameters"],
        size=info["picture_size"],
        parts=table(("part", "parameters"), [(part, f"{count:,}") for part, count in info["parts"].items()]),
        recipe=recipe.name,
        commit=", ".join(commits),
        seed=recipe.seed,
        pictures=3 * recipe.source.stories,
        book=f"train/{recipe.source.seed}",
        hardware=facts["hardware"],
        hours=facts["hours"],
        precision=recipe.precision,
        stages=table(("stage", "trains", "steps", "samples a step", "minutes", "last losses"), rows),
        kinds=len(ALL_KINDS),
    )


def main() -> None:
    """Read the run, write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "picturebook", help="the folder of a finished run")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "blip3o" / "checkpoints" / "picturebook", help="where the card goes"
    )
    parser.add_argument("--hardware", default=f"{os.cpu_count()} CPU cores", help="what the run ran on, in words")
    options = parser.parse_args()
    recipe = load(Recipe, options.run / "recipe.yaml")
    events = read_journal(options.run / "log.jsonl")
    info = BLIP3o.load(options.run / "checkpoint", device="cpu").info()
    facts = run_facts(recipe, info["weights"], stage_facts(events), options.hardware)
    options.output.mkdir(parents=True, exist_ok=True)
    plot(panels(events, [told["name"] for told in facts["stages"]]), options.output / "curves.png")
    (options.output / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (options.output / "README.md").write_text(card(recipe, info, facts), encoding="utf-8")
    print(options.output / "README.md")


if __name__ == "__main__":
    main()
