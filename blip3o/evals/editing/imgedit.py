"""ImgEdit-Bench, the basic suite: nine kinds of edits, judged from 1 to 5 (Ye and others, arXiv 2505.20275).

A judge sees the picture before and after, with a prompt for the kind of edit, and gives three scores. The prompts have
no licence, so they are read from the user's checkout (prompts.json).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Item, Judge, JudgeCall, Metrics, Record, Verdict, means, scored
from blip3o.evals.editing.judging import TEMPERATURE, EditBenchmark, keyed_rows

TYPES = ("extract", "style", "add", "adjust", "background", "replace", "remove", "action", "compose")
PLACE = "<edit_prompt>"
"""Where the instruction goes in a prompt for the judge."""
SETTINGS = JudgeCall(temperature=TEMPERATURE, max_tokens=1024)


def reply_score(reply: str) -> float | None:
    """The mean of the scores in a judge's reply, rounded to two digits; None where there is none.

    A score is a line that ": " splits in two, with nothing but digits behind it: "Score: 5." is lost, as officially.
    """
    parts = [line.strip().split(": ") for line in reply.splitlines()]
    scores = [int(pair[1]) for pair in parts if len(pair) == 2 and pair[1].isdecimal()]
    return round(sum(scores) / len(scores), 2) if scores else None


def type_scores(scores: Iterable[tuple[str | None, float]]) -> dict[str, float]:
    """The mean of each type of edit, rounded to two digits; a score without a type counts nowhere."""
    found = means((kind, score) for kind, score in scores if kind is not None)
    return {kind: round(mean, 2) for kind, mean in found.items()}


class ImgEdit(EditBenchmark):
    """Reads `basic_edit.json` (`singleturn.json` in the Hub's archive) with its pictures, or a mirror's Parquet."""

    name = "imgedit"
    protocols = ("official",)
    mirror = "kcz358/imgedit"

    def items(self, folder: Path) -> list[Item]:
        path = tables.find(folder, "basic_edit.json", "singleturn.json")
        items = self._mirrored(folder) if path is None else self._official(folder, path)
        if self.judge is not None:
            self.prompts = _prompts(folder, {item.category for item in items})
        return items

    def _official(self, folder: Path, path: Path) -> list[Item]:
        return [
            self._item(key, row, path, _image(folder, path, tables.column(row, path, "id")))
            for key, row in keyed_rows(path).items()
        ]

    def _mirrored(self, folder: Path) -> list[Item]:
        rows = tables.read_rows(folder, "ImgEdit-Bench", "*.parquet")
        cells = [tables.column(row, folder, "input_image", "image") for row in rows]
        return [
            self._item(str(tables.column(row, folder, "key")), row, folder, tables.picture(cell, folder))
            for row, cell in zip(rows, cells, strict=True)
        ]

    def _item(self, key: str, row: Mapping[str, Any], source: Path, picture: tables.PictureSource) -> Item:
        kind, prompt = (str(tables.column(dict(row), source, name)) for name in ("edit_type", "prompt"))
        if kind not in TYPES:
            raise DataError(f"{source} has an edit of type {kind!r}, not {', '.join(TYPES)}: is it another suite?")
        return Item(id=key, prompt=prompt, pictures=(picture,), category=kind)

    def judged(self, judge: Judge, item: Item, edit: Path) -> Verdict:
        """The mean of the three scores, 1 to 5; where a reply has no score, the item is left out, as officially."""
        prompt = self.prompts[item.category].replace(PLACE, item.prompt)
        images = [tables.opened(item.pictures[0]), tables.opened(edit)]
        reply = judge.ask(prompt, images, settings=SETTINGS)
        score = reply_score(reply)
        return Verdict(score=score or 0.0, parsed=score, details={"reply": reply})

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The mean over the types, 1 to 5, as published; then each type's, and the share of items left out."""
        found = [(item.category, verdict.parsed) for item, verdict in scored(records) if verdict.parsed is not None]
        parts = type_scores(found)
        overall = sum(parts.values()) / len(parts) if parts else float("nan")
        return (
            {"overall": overall}
            | {f"overall/{kind}": parts[kind] for kind in TYPES if kind in parts}
            | {"left_out": 1 - len(found) / len(records)}
        )


def _image(folder: Path, table: Path, name: str) -> Path:
    beside = table.parent / name
    return beside if beside.is_file() else tables.picture_file(folder, name)


def _prompts(folder: Path, kinds: set[str]) -> Mapping[str, str]:
    path = tables.need(folder, "ImgEdit-Bench's judge prompts (Benchmark/Basic of its repository)", "prompts.json")
    prompts = tables.read_json(path)
    missing = sorted(kinds - set(prompts if isinstance(prompts, dict) else ()))
    if missing:
        raise DataError(f"{path} has no prompt for {', '.join(missing)}: is it the file of ImgEdit-Bench?")
    return prompts
