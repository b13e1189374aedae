"""Writes the tables of scores and of speed, in README.md and in the model card, from the files that keep the numbers.

    python scripts/fill_scores.py

A table stands between `<!-- scores -->` (or `<!-- speed -->`) and `<!-- end -->` and is made anew each time. A number
that no file holds yet shows as its name, such as {{generation}}.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from blip3o.evals.saved_results import named

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "blip3o" / "checkpoints" / "picturebook"


class Row(NamedTuple):
    """One line of a table: what is measured, the number's name, how it is shown, and the goal."""

    what: str
    key: str
    shown: str
    goal: str


SCORES = (
    Row("**drawing: mean of the six tasks**", "generation", "{:.3f}", "0.90"),
    Row("one object", "generation/single_object", "{:.3f}", ""),
    Row("two objects", "generation/two_object", "{:.3f}", ""),
    Row("counting", "generation/counting", "{:.3f}", ""),
    Row("colours", "generation/colors", "{:.3f}", ""),
    Row("position", "generation/position", "{:.3f}", ""),
    Row("two objects, each in its colour", "generation/color_attr", "{:.3f}", ""),
    Row("**drawing what training never combined**", "composition", "{:.3f}", "0.75"),
    Row("**whole scenes: all of it right**", "scene", "{:.3f}", ""),
    Row("**answering questions**", "vqa", "{:.3f}", "0.97"),
    Row("**captions without a fault**", "caption", "{:.3f}", "0.90"),
    Row("**edits: done, and the rest kept**", "edit", "{:.3f}", "0.85"),
    Row("**dialogues of three turns: all of it right**", "dialogue", "{:.3f}", "0.75"),
    Row("**riddles, thought over and drawn**", "riddle", "{:.3f}", "0.85"),
    Row("the judge, on scenes it never saw", "judge/accuracy", "{:.4f}", "0.995"),
)
SPEED = (
    Row("`blip3o generate`, from the prompt to the file", "speed/generate_s", "{:.1f} s", "2.5 s"),
    Row("`blip3o understand`, a question", "speed/understand_s", "{:.1f} s", "2.5 s"),
    Row("`blip3o chat`, until it listens", "speed/chat_s", "{:.1f} s", "2.5 s"),
    Row("`blip3o info`", "speed/info_s", "{:.2f} s", "0.8 s"),
    Row("`make demo`, once installed", "speed/demo_s", "{:.1f} s", "30 s"),
    Row("its peak memory", "speed/demo_peak_mb", "{:.0f} MB", "1,000 MB"),
    Row("one picture, the model loaded", "speed/image_s", "{:.2f} s", "0.5 s"),
    Row("one picture of a batch of 16", "speed/image_of_16_s", "{:.3f} s", "0.15 s"),
    Row("loading weights, against reading their bytes", "speed/load_ratio", "{:.2f} times", "1.5 times"),
    Row("`import blip3o`", "speed/import_s", "{:.3f} s", "0.1 s"),
    Row("`blip3o --help`", "speed/help_s", "{:.2f} s", "0.4 s"),
    Row("scenes drawn for training, on one core", "speed/scenes_per_s", "{:,.0f} per s", "1,000 per s"),
    Row("the whole recipe, from nothing", "run/hours", "{:.1f} h", "3 h"),
)

Facts = Mapping[str, Any]


def gather(scores: Path, speed: Path, run: Path) -> Facts:
    """All numbers that are kept, by their full names; a file that is not there holds none."""

    def read(path: Path) -> dict[str, Any]:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    results = read(scores)
    parts = {"judge": results.get("judge", {}), "speed": read(speed), "run": read(run)}
    return dict(named({**results.get("metrics", {}), **parts}))


def shown(facts: Facts, row: Row) -> str:
    """The number as the table shows it."""
    number = facts.get(row.key)
    if isinstance(number, Mapping):
        number = number["value"]
    return "{{" + row.key + "}}" if number is None else row.shown.format(number)


def scores_table(facts: Facts) -> str:
    """Scores with their 95 % intervals, those of exact drawings beside them, and numbers of questions."""
    head = "| what | score | 95 % interval | exact | 95 % interval | questions | goal |"
    lines = [head, "|---|--:|--:|--:|--:|--:|--:|"]
    for row in SCORES:
        share = facts.get(row.key) or {}
        exact = share.get("exact")
        strict = "" if exact is None else row.shown.format(exact["value"])
        questions = f"{share['n']:,}" if share else ""
        cells = (row.what, shown(facts, row), within(share), strict, within(exact), questions, row.goal)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def within(share: Mapping[str, Any] | None) -> str:
    """The interval of a share; nothing where there is none."""
    return f"{share['low']:.3f} to {share['high']:.3f}" if share else ""


def speed_table(facts: Facts) -> str:
    """Times and memory, and the machine they were measured on."""
    lines = ["| what | median | least and most of some rounds | goal |", "|---|--:|--:|--:|"]
    for row in SPEED:
        number = facts.get(row.key)
        bounds = [row.shown.format(number[end]) for end in ("low", "high")] if isinstance(number, Mapping) else []
        lines.append(f"| {row.what} | {shown(facts, row)} | {' to '.join(bounds)} | {row.goal} |")
    machine = facts.get("speed/machine") or "{{speed/machine}}"
    return "\n".join([*lines, "", f"Measured on {machine}."])


TABLES = {"scores": scores_table, "speed": speed_table}


def fill(text: str, facts: Facts) -> str:
    """The text with its tables made anew."""
    for name, table in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        filled = table(facts)
        text = pattern.sub(lambda marks, filled=filled: f"{marks[1]}\n{filled}\n\n{marks[2]}", text)
    return text


def main() -> None:
    """Fill every file that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path, default=[ROOT / "README.md", CHECKPOINT / "README.md"])
    parser.add_argument("--scores", type=Path, default=CHECKPOINT / "scores.json", help="of `blip3o evaluate`")
    parser.add_argument("--speed", type=Path, default=ROOT / "benchmarks" / "speed.json", help="of benchmarks/speed.py")
    parser.add_argument("--run", type=Path, default=CHECKPOINT / "run.json", help="of scripts/model_card.py")
    options = parser.parse_args()
    facts = gather(options.scores, options.speed, options.run)
    for path in options.texts:
        if path.is_file():
            path.write_text(fill(path.read_text(encoding="utf-8"), facts), encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
