"""KRIS-Bench: edits that take knowledge of the world, in twenty tasks (Wu and others, arXiv 2505.16707).

A judge gives 1 to 5 for visual consistency (VC), visual quality (VQ), following of the instruction (IF) and, for three
of the seven categories, plausibility of the knowledge shown (KP). Every score becomes (score - 1) * 25; a category, a
level of knowledge and the whole are each the plain mean of all scores in them. The judge's prompts are read from the
user's checkout of the repository (utils/prompts.py); they go with the pictures' labels at their end, since a judge of
ours takes its words before its pictures.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Item, Judge, JudgeCall, Metrics, Record, Verdict, scored
from blip3o.evals.editing.judging import TEMPERATURE, EditBenchmark, checkout_prompts, keyed_rows
from blip3o.evals.editing.kris_replies import both_scores, known_score, plain_score, prefixed_score

LEVELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Factual Knowledge": {
        "Attribute Perception": (
            "count_change",
            "color_change",
            "size_adjustment",
            "part_completion",
            "anomaly_correction",
        ),
        "Spatial Perception": ("viewpoint_change", "position_movement"),
        "Temporal Prediction": ("temporal_prediction",),
    },
    "Conceptual Knowledge": {
        "Social Science": ("humanities", "practical_knowledge"),
        "Natural Science": ("biology", "chemistry", "geography", "medicine", "mathematics", "physics"),
    },
    "Procedural Knowledge": {
        "Logical Reasoning": ("abstract_reasoning", "rule-based_reasoning"),
        "Instruction Decomposition": ("multi-element_composition", "multi-instruction_execution"),
    },
}
"""Level of knowledge -> category -> its tasks."""
KNOWING = ("Social Science", "Natural Science", "Logical Reasoning")
"""The categories in which KP counts."""
CATEGORIES = {category: tasks for level in LEVELS.values() for category, tasks in level.items()}
PLACES = {
    task: (level, category)
    for level, categories in LEVELS.items()
    for category, tasks in categories.items()
    for task in tasks
}
SHORT = {"consistency_score": "VC", "quality_score": "VQ", "instruction_score": "IF", "knowledge_score": "KP"}
FRAMES = (1, 2, 3, 4)
SETTINGS = JudgeCall(temperature=TEMPERATURE, max_tokens=1000)

Scores = Mapping[str, int | None]
"""Name of a score, as in SHORT -> 1 to 5, or None where the judge gave none."""


def counted(task: str, scores: Scores) -> dict[str, float]:
    """The scores of one item that count for its task, by their short names, 0 to 100."""
    knowing = PLACES[task][1] in KNOWING
    return {
        short: (score - 1) * 25.0
        for name, short in SHORT.items()
        if (knowing or short != "KP") and (score := scores.get(name)) is not None
    }


def summary(items: Iterable[tuple[str, Scores]]) -> dict[str, dict[str, float]]:
    """Task, category, level or "overall" -> the means of its scores by short name, and of all of them as "AVG".

    Names without any score are left out.
    """
    values: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for task, scores in items:
        level, category = PLACES[task]
        for short, value in counted(task, scores).items():
            for part in (task, category, level, "overall"):
                values[part][short].append(value)
                values[part]["AVG"].append(value)
    return {
        part: {name: sum(numbers) / len(numbers) for name, numbers in found.items()} for part, found in values.items()
    }


# --- how each task is judged ------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """A picture that the judge sees, and what it is told of it."""

    label: str
    picture: tables.PictureSource


@dataclass(frozen=True, kw_only=True)
class KrisJudging:
    """How the edits of a task are judged: its prompts by name, what is shown and how replies are read."""

    consistency: str = "prompt_consist"
    instruction: str = "prompt_instruction_following"
    score: Callable[[str, str], int | None] = prefixed_score
    """Of the kind of score and a reply."""
    knowing: bool = False
    """The reply about the instruction also has the score for knowledge."""
    lone: str = "This is the edited image:"
    """The label of an edit that is shown alone."""


COMMON = KrisJudging()
"""Also for anomaly_correction: the official script has another prompt for it, but asks under a name no task has."""
KNOWLEDGE = KrisJudging(instruction="prompt_dual_evaluation", score=known_score, knowing=True)
VIEWPOINT = KrisJudging(instruction="prompt_view_instruction_following")
COMPOSITION = KrisJudging(
    consistency="prompt_consist_multi",
    instruction="prompt_instruction_multi",
    score=plain_score,
    lone="This is the image to evaluate:",
)
TEMPORAL = KrisJudging(
    consistency="prompt_consist_temporal",
    instruction="prompt_instruction_temporal",
    score=plain_score,
    lone="This is the image to evaluate:",
)
QUALITY = "prompt_quality"
WAYS: Mapping[str, KrisJudging] = (
    dict.fromkeys(PLACES, COMMON)
    | {task: KNOWLEDGE for category in KNOWING for task in CATEGORIES[category]}
    | {"viewpoint_change": VIEWPOINT, "multi-element_composition": COMPOSITION, "temporal_prediction": TEMPORAL}
)


def frames(names: Sequence[str]) -> tuple[list[int], int]:
    """The numbers of given frames by their files' names ("7-2.jpg" is the second), and of the one to be drawn.

    Where a name tells none, all are numbered as they come, and the one to be drawn is the next.
    """
    given = [int(found[2]) for name in names if (found := re.search(r"(\d+)-(\d+)", name))]
    if len(given) < len(names):
        return list(range(1, len(names) + 1)), len(names) + 1
    missing = set(FRAMES) - set(given)
    return given, missing.pop() if len(missing) == 1 else max(given, default=0) + 1


def _edited(item: Item, edit: Path) -> list[Shown]:
    return [Shown("This is the original image:", item.pictures[0]), Shown("This is the edited image:", edit)]


def _composed(item: Item, edit: Path) -> list[Shown]:
    given = [Shown(f"Reference Image {number}:", one) for number, one in enumerate(item.pictures, start=1)]
    return [*given, Shown("Predicted Image:", edit)]


def _in_time(item: Item, edit: Path) -> list[Shown]:
    given, drawn = frames(item.facts["files"])
    shown = [
        (number, Shown(f"Frame {number} (Reference):", one)) for number, one in zip(given, item.pictures, strict=True)
    ]
    shown.append((drawn, Shown(f"Frame {drawn} (Generated):", edit)))
    return [one for _, one in sorted(shown, key=lambda pair: pair[0])]


SHOWING: Mapping[str, Callable[[Item, Path], list[Shown]]] = dict.fromkeys(PLACES, _edited) | {
    "multi-element_composition": _composed,
    "temporal_prediction": _in_time,
}


class Kris(EditBenchmark):
    """Reads the official folders, one for each task with its annotation.json, or the mirror's Parquet files.

    An item of composition or of time has several pictures.
    """

    name = "kris"
    protocols = ("official",)
    mirror = "wukeming11/kris-bench"

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        super().__init__(protocol, judge)
        self.truths: dict[str, tables.PictureSource] = {}
        """Item -> the right picture, which the judge of another viewpoint sees."""

    def items(self, folder: Path) -> list[Item]:
        found = tables.find(folder, "*/annotation.json")
        items = self._mirrored(folder) if found is None else self._official(found.parent.parent)
        if self.judge is not None:
            names = sorted({name for way in WAYS.values() for name in (way.consistency, way.instruction)} | {QUALITY})
            self.prompts = checkout_prompts(folder, "KRIS-Bench", names, "utils/prompts.py", "prompts.py")
        return items

    def _official(self, root: Path) -> list[Item]:
        return [
            self._item(path.parent.name, key, row, path, partial(tables.picture_file, path.parent))
            for path in sorted(root.glob("*/annotation.json"))
            for key, row in keyed_rows(path).items()
        ]

    def _mirrored(self, folder: Path) -> list[Item]:
        items = []
        for row in tables.read_rows(folder, "KRIS-Bench", "*.parquet"):
            names, images = (tables.column(row, folder, name) for name in ("ori_img", "ori_images"))
            cells = dict(zip(_names(names), images, strict=True))
            if row.get("gt_image"):
                cells[row["gt_img"]] = row["gt_image"]
            task, key = (str(tables.column(row, folder, name)) for name in ("category", "image_id"))
            items.append(
                self._item(task, key, row, folder, lambda name, cells=cells: tables.picture(cells.get(name), folder))
            )
        return items

    def _item(
        self, task: str, key: str, row: tables.Row, source: Path, found: Callable[[str], tables.PictureSource]
    ) -> Item:
        if task not in PLACES:
            raise DataError(f"{source} has a task {task!r}, not {', '.join(PLACES)}: is it of another data set?")
        names, identity = _names(tables.column(row, source, "ori_img")), f"{task}/{key}"
        if not names:
            raise DataError(f"{source} names no picture for {key}: copy it again")
        if WAYS[task] is VIEWPOINT and self.judge is not None:
            self.truths[identity] = found(tables.column(row, source, "gt_img"))
        return Item(
            id=identity,
            prompt=tables.column(row, source, "ins_en"),
            pictures=tuple(found(name) for name in names),
            category=task,
            facts={"explanation": row.get("explain_en") or "", "files": names},
        )

    def judged(self, judge: Judge, item: Item, edit: Path) -> Verdict:
        """The mean of the item's scores, 0 to 100; `parsed` has each, None where a reply has none."""
        scores, replies = self._scores(judge, item, edit)
        values = counted(item.category, scores).values()
        mean = sum(values) / len(values) if values else 0.0
        return Verdict(score=mean, parsed=dict(scores), details={"replies": replies})

    def _scores(self, judge: Judge, item: Item, edit: Path) -> tuple[dict[str, int | None], list[str]]:
        way, shown = WAYS[item.category], SHOWING[item.category](item, edit)
        truth = [Shown("This is the ground truth image:", self.truths[item.id])] if item.id in self.truths else []
        requests = (
            (self._words(way.consistency, item), shown),
            (self._words(way.instruction, item), [*shown, *truth]),
            (self.prompts[QUALITY], [Shown(way.lone, edit)]),
        )
        consistency, instruction, quality = (_asked(judge, words, pictures) for words, pictures in requests)
        scores: dict[str, int | None] = {
            "consistency_score": way.score("consistency", consistency),
            "quality_score": way.score("quality", quality),
        }
        scores |= (
            both_scores(instruction) if way.knowing else {"instruction_score": way.score("instruction", instruction)}
        )
        return scores, [consistency, instruction, quality]

    def _words(self, name: str, item: Item) -> str:
        _, drawn = frames(item.facts["files"])
        try:
            return self.prompts[name].format(instruct=item.prompt, explanation=item.facts["explanation"], N=drawn)
        except (KeyError, IndexError, ValueError) as error:
            raise DataError(
                f"{name} of KRIS-Bench's prompts cannot be filled ({error!r}): copy the file again"
            ) from error

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The mean of all scores, 0 to 100, as published, then of each level, category and task; in a category and a
        task also of each kind of score; and the share of items left out."""
        known = [(item.category, verdict.parsed) for item, verdict in scored(records)]
        known = [(task, scores) for task, scores in known if counted(task, scores or {})]
        found = summary(known)
        metrics = {"overall": found.get("overall", {}).get("AVG", float("nan"))}
        parts = [part for part in (*LEVELS, *CATEGORIES, *PLACES) if part in found]
        metrics |= {f"overall/{part}": found[part]["AVG"] for part in parts}
        metrics |= {
            f"{short}/{part}": found[part][short]
            for part in parts
            if part not in LEVELS
            for short in SHORT.values()
            if short in found[part]
        }
        return metrics | {"left_out": 1 - len(known) / len(records)}


def _asked(judge: Judge, words: str, shown: Sequence[Shown]) -> str:
    pictures: list[Image.Image] = [tables.opened(one.picture) for one in shown]
    prompt = "\n".join([words, *(one.label for one in shown)])
    return judge.ask(prompt, pictures, settings=SETTINGS)


def _names(cell: Any) -> list[str]:
    return [cell] if isinstance(cell, str) else list(cell or ())
