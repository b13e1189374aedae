"""WISE: does a picture show what a prompt means but does not say? (Niu and others, arXiv 2503.07265).

1000 prompts that take knowledge of culture, time, space and nature, a picture each; a judge that knows the explanation
looks at it. Two protocols, never to be compared: "legacy", the paper's (GPT-4o-2024-05-13; consistency, realism and
aesthetic quality, 0 to 2 each), and "verified" of 2026 (Qwen3.5-35B-A3B; right or wrong), which has other prompts too.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from blip3o.errors import DataError, JudgeRefusalError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Judge, JudgeCall, Metrics, Record, Verdict, means, scored
from blip3o.evals.generation.detections import opened
from blip3o.evals.generation.wise_judging import Judging, read_judging

CATEGORIES = ("CULTURE", "TIME", "SPACE", "BIOLOGY", "PHYSICS", "CHEMISTRY")
FILES = {
    "cultural_common_sense": ("CULTURE",),
    "spatio-temporal_reasoning": ("TIME", "SPACE"),
    "natural_science": ("BIOLOGY", "PHYSICS", "CHEMISTRY"),
}
"""File of prompts -> the categories of its items."""
ASPECTS = ("consistency", "realism", "aesthetic_quality")
TRIES = 3

_ASPECT = re.compile(r"\*{0,2}(Consistency|Realism|Aesthetic Quality)\*{0,2}\s*:?\s*(\d)", re.IGNORECASE)
_SCORE = re.compile(r"\*{0,2}Score\*{0,2}\s*:?\s*([01])\b", re.IGNORECASE)


def aspects(reply: str) -> dict[str, float]:
    """The judge's numbers by the legacy protocol: those named, the last of each name; else three that stand alone on
    their lines. May lack some."""
    named = {name.lower().replace(" ", "_"): float(number) for name, number in _ASPECT.findall(reply)}
    alone = re.findall(r"(?m)^\s*([0-2])\s*$", reply)
    if named or len(alone) < len(ASPECTS):
        return named
    return {name: float(number) for name, number in zip(ASPECTS, alone, strict=False)}


def right_or_wrong(reply: str) -> dict[str, float]:
    """The judge's score by the verified protocol: the first named; else the only one that stands alone on its line."""
    named = _SCORE.search(reply)
    alone = re.findall(r"(?m)^\s*([01])\s*$", reply)
    if named is None and len(alone) != 1:
        return {}
    return {"score": float(alone[0] if named is None else named.group(1))}


def wiscore(consistency: float | int, realism: float | int, aesthetic_quality: float | int) -> float:
    """The three aspects as one number, 0 to 1 for aspects of 0 to 2."""
    return (0.7 * consistency + 0.2 * realism + 0.1 * aesthetic_quality) / 2


@dataclass(frozen=True, kw_only=True)
class WiseProtocol:
    """What sets the protocols apart."""

    first: tuple[int, ...]
    """The first prompt_id of each category."""
    weights: tuple[float, ...]
    """Of the categories in the overall score."""
    prompts: tuple[str, ...]
    """Where a file of prompts is looked for, {} being its name."""
    scripts: tuple[str, ...]
    """Where the words for the judge are looked for."""
    max_tokens: int
    parse: Callable[[str], dict[str, float]]
    think: bool
    """Whether the judge may reason first."""
    names: tuple[str, ...]
    """Of the numbers that a reply must have."""
    worth: Callable[..., float]
    """The score of these numbers."""
    allowed: Callable[[float | int], bool]
    whole: bool
    """Whether there is no overall score while any prompt lacks its number."""

    def category(self, number: int) -> str | None:
        """The category of a prompt_id; None beyond the 1000."""
        ends = (*self.first[1:], 1001)
        pairs = zip(CATEGORIES, self.first, ends, strict=True)
        return next((name for name, start, end in pairs if start <= number < end), None)


PROTOCOLS = {
    "legacy": WiseProtocol(
        first=(1, 401, 568, 701, 801, 901),
        weights=(0.4, 0.167, 0.133, 0.1, 0.1, 0.1),
        prompts=("WISE_legacy/data/{}.json", "data/{}.json", "{}.json"),
        scripts=("WISE_legacy/gpt_eval.py", "gpt_eval.py"),
        max_tokens=2000,
        parse=aspects,
        think=True,
        names=ASPECTS,
        worth=wiscore,
        allowed=lambda number: True,
        whole=True,
    ),
    "verified": WiseProtocol(
        first=(1, 401, 521, 641, 761, 881),
        weights=(0.4, 0.12, 0.12, 0.12, 0.12, 0.12),
        prompts=("data_verified/{}_verified.json", "{}_verified.json"),
        scripts=("vllm_eval.py",),
        max_tokens=500,
        parse=right_or_wrong,
        think=False,
        names=("score",),
        worth=float,
        allowed=lambda number: number in (0, 1),
        whole=False,
    ),
}
PARTS = {"culture": CATEGORIES[:1], "space-time": CATEGORIES[1:3], "science": CATEGORIES[3:], "all": CATEGORIES}


class WiseSummary(NamedTuple):
    """What the official calculators say of records."""

    categories: dict[str, tuple[float, int]]
    """Category -> (mean, number of records); only those that have any."""
    missing: list[int]
    """The prompt_ids of the asked part that no record has."""
    overall: float | None
    """The weighted mean; None for a part, without all categories, and by the legacy protocol where ids are missing."""


def aggregated(records: Sequence[Any], rules: WiseProtocol, part: str = "all") -> WiseSummary:
    """From records (prompt_id and numbers) to means. What has no whole prompt_id or no numbers is passed over, and what
    comes twice counts twice."""
    scores: dict[str, list[float]] = {}
    present: set[int] = set()
    for record in records:
        number = record.get("prompt_id") if isinstance(record, Mapping) else None
        if not isinstance(number, int):
            continue
        present.add(number)
        values = [record.get(name) for name in rules.names]
        category = rules.category(number)
        if category and all(isinstance(value, int | float) and rules.allowed(value) for value in values):
            scores.setdefault(category, []).append(rules.worth(*values))
    found = {name: (sum(scores[name]) / len(scores[name]), len(scores[name])) for name in CATEGORIES if name in scores}
    missing = [number for number in range(1, 1001) if rules.category(number) in PARTS[part] and number not in present]
    complete = part == "all" and len(found) == len(CATEGORIES) and not (rules.whole and missing)
    overall = weighted({name: mean for name, (mean, _) in found.items()}, rules) if complete else None
    return WiseSummary(found, missing, overall)


def weighted(parts: Mapping[str, float], rules: WiseProtocol) -> float:
    """The overall score of the means of all categories."""
    return sum(weight * parts[name] for name, weight in zip(CATEGORIES, rules.weights, strict=True))


class Wise(Benchmark):
    """Reads a copy of WISE's repository, or the mirror's Parquet files.

    A judge is told what the repository's script tells it, which the mirror lacks: name the script as `script` there
    (gpt_eval.py for "legacy", vllm_eval.py for "verified").
    """

    name = "wise"
    kind = "generation"
    protocols = tuple(PROTOCOLS)
    mirror = "Yuwei-Niu/WISE"
    needs_judge = True

    def __init__(self, protocol: str, judge: Judge | None = None, *, script: Path | None = None) -> None:
        super().__init__(protocol, judge)
        self._rules = PROTOCOLS[protocol]
        self._judging: Judging | None = None if script is None else read_judging(script)

    def items(self, folder: Path) -> list[Item]:
        rows = self._rows(folder)
        if not rows:
            raise DataError(f"{folder} holds no prompt of WISE: copy the files again")
        items = [self._item(row, source, categories) for row, source, categories in rows]
        twice = len(items) - len({item.id for item in items})
        if twice:
            raise DataError(f"{folder} has {twice} prompts of WISE twice: expected the files of one version only")
        if self.judge is not None and self._judging is None:
            self._judging = read_judging(tables.need(folder, "WISE, with its script,", *self._rules.scripts))
        return items

    def _rows(self, folder: Path) -> list[tuple[tables.Row, Path, tuple[str, ...]]]:
        """Each row with its file and the categories that may be there."""
        patterns = {name: [pattern.format(name) for pattern in self._rules.prompts] for name in FILES}
        known = [pattern for several in patterns.values() for pattern in several]
        if tables.find(folder, *known) is None and tables.find(folder, "*.parquet"):
            return [(row, folder, CATEGORIES) for row in tables.read_rows(folder, "WISE", "*.parquet")]
        paths = {name: tables.need(folder, "WISE", *patterns[name]) for name in FILES}
        return [(row, path, FILES[name]) for name, path in paths.items() for row in tables.read_table(path)]

    def _item(self, row: tables.Row, source: Path, categories: Sequence[str]) -> Item:
        number, prompt, why = (tables.column(row, source, name) for name in ("prompt_id", "Prompt", "Explanation"))
        category = self._rules.category(int(number))
        if category is None or category not in categories:
            raise DataError(
                f"{source} has the prompt {number}, which is none of {', '.join(categories)} by the protocol "
                f"{self.protocol}: expected the files of that protocol"
            )
        facts = {"Prompt": prompt, "Explanation": why, "Subcategory": row.get("Subcategory") or ""}
        return Item(id=str(number), prompt=prompt, category=category, facts=facts)

    def score(self, item: Item, answer: Answer) -> Verdict | None:
        """The judge's opinion of the picture, 0 to 1. None without a judge.

        Raises JudgeRefusalError where three replies have no numbers, DataError for a picture that cannot be read, or
        where the words for the judge were not found.
        """
        if self.judge is None:
            return None
        if self._judging is None:
            raise DataError(f"WISE's {self._rules.scripts[-1]} was not read: read the items first, or name the script")
        if not answer:
            return Verdict(score=0.0, parsed={}, details={"reply": "nothing was drawn"})
        if len(answer) != 1:
            raise DataError(f"prompt {item.id} of WISE has {len(answer)} pictures: expected one")
        system, user = self._judging.messages(item.facts)
        picture, reply = opened(Path(answer[0])), ""
        for attempt in range(TRIES):
            settings = JudgeCall(
                system=system, max_tokens=self._rules.max_tokens, attempt=attempt, think=self._rules.think
            )
            reply = self.judge.ask(user, [picture], settings=settings)
            found = self._rules.parse(reply)
            if found.keys() >= set(self._rules.names):
                worth = self._rules.worth(*(found[name] for name in self._rules.names))
                return Verdict(score=worth, parsed=found, details={"reply": reply})
        raise JudgeRefusalError(
            f"{self.judge.name} gave no score of prompt {item.id} in {TRIES} replies: {reply[:80]!r}"
        )

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The weighted mean of the categories, 0 to 1, as published (nan while one has no sample); then each one's."""
        found = means((item.category, verdict.score) for item, verdict in scored(records))
        overall = weighted(found, self._rules) if len(found) == len(CATEGORIES) else float("nan")
        return {"wiscore": overall} | {f"category/{name}": found[name] for name in CATEGORIES if name in found}
