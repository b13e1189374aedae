"""GEdit-Bench: real users' edits in eleven groups, judged from 0 to 10 by VIEScore (Liu and others, arXiv 2504.17761).

Of every edit a judge gives two scores for semantics (was it done, was anything else changed) and two for quality. The
smaller of each two counts: G_SC, G_PQ, and their geometric mean G_O. The judge's prompts are read from the user's
checkout of the repository (GEdit-Bench/viescore/vie_prompts.py).
"""

import json
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from blip3o.errors import DataError, JudgeError, JudgeRefusalError
from blip3o.evals import tables
from blip3o.evals.benchmark import Item, Judge, JudgeCall, Metrics, Record, Verdict, means, scored
from blip3o.evals.editing.judging import TEMPERATURE, EditBenchmark, checkout_prompts

GROUPS = (
    "background_change",
    "color_alter",
    "material_alter",
    "motion_change",
    "ps_human",
    "style_change",
    "subject-add",
    "subject-remove",
    "subject-replace",
    "text_change",
    "tone_transfer",
)
LANGUAGES = {"official": "en", "cn": "cn"}
"""Protocol -> the language of the instructions that are asked; published apart."""
DELIMITER = "||V^=^V||"
SEMANTICS = ("_context_no_delimit", "_prompts_0shot_two_image_edit_rule", "_prompts_0shot_tie_rule_SC")
QUALITY = ("_context_no_delimit", "_prompts_0shot_rule_PQ")
PLACE = "<instruction>"
"""Where the instruction goes in the judge's prompt."""
MAX_TOKENS = 1400
TRIES = 10
"""How often a judge is asked about one edit; the official script asks until a reply can be used."""


class Mark(NamedTuple):
    """What one edit got."""

    group: str
    semantics: float
    quality: float
    shared: bool
    """Its instruction exists in both languages: it is in the intersection."""


# --- what a judge's reply says ----------------------------------------------------------------------------------------


def parse(reply: str, guess: int | None = None) -> Any:
    """What a reply holds by the official reader: an object with a list under "score", or None where it holds none.

    It looks between two delimiters, else from the first { to the last }, else for a list of two numbers or one number
    from 0 to 10. `guess` is what the official reader draws from its second try on, in place of these last two. Raises
    JudgeError for the words that stand for a refusal by the server.
    """
    if reply == "rate_limit_exceeded":
        raise JudgeError("the judge takes no more requests: wait, then run again")
    if reply.count(DELIMITER) == 2:
        return _loaded(reply.split(DELIMITER)[1])
    start, end = reply.find("{"), reply.rfind("}") + 1
    if start >= 0 and end > 0:
        return _loaded(reply[start:end])
    if guess is not None:
        return {"score": [guess], "reasoning": f"guess_if_cannot_parse | {reply}"}
    return _bare(reply)


def drawn(item: str, reply: str) -> int:
    """The guess for an item and a reply: a number from 0 to 10 that is the same in every run."""
    return random.Random(f"gedit/{item}/{reply}").randint(0, 10)


def _bare(reply: str) -> Any:
    listed = reply[reply.find("[") : reply.rfind("]") + 1]
    try:
        if re.match(r"^\[\d+, ?\d+\]$", listed):
            return {"score": json.loads(listed), "reasoning": "System: output is simply a list of scores"}
        number = int(reply)
    except ValueError:
        return None
    return {"score": [number], "reasoning": "System: output is simply a number"} if 0 <= number <= 10 else None


def _loaded(text: str) -> Any:
    """JSON, with a lone score made a list; where that fails, what mending makes of it, as it then stands."""
    text = text.strip().replace("\n", "")
    try:
        data = json.loads(text)
        if not isinstance(data["score"], list):
            data["score"] = [data["score"]]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        try:
            return json.loads(_mended(text))
        except (ValueError, RecursionError):
            return None
    return data


def _mended(text: str) -> str:
    """Words before a colon put in quotes, then each value up to the next comma or brace: numbers into lists."""
    named = re.sub(r"(\w+):", r'"\1":', text)
    return re.sub(r'(".*?"):(.*?)(,|})', _value, named)


def _value(match: re.Match[str]) -> str:
    name, value, after = match[1], match[2].strip(), match[3]
    if re.match(r"^-?\d+(\.\d+)?$", value):
        value = f"[{value}]"
    elif not re.match(r"^(true|false|null)$", value, re.IGNORECASE):
        value = f'"{value}"'
    return f"{name}: {value}{after}"


def reduced(semantics: Sequence[int | float], quality: Sequence[int | float]) -> tuple[int | float, int | float, float]:
    """The smallest score of each kind, and their geometric mean. Raises ValueError or TypeError for no such scores."""
    first, second = min(semantics), min(quality)
    return first, second, math.sqrt(first * second)


# --- numbers ----------------------------------------------------------------------------------------------------------


def statistics(marks: Sequence[Mark]) -> dict[str, dict[str, float]]:
    """Kind of score -> group -> mean, with the mean over the groups first, as "average"; {} without any marks.

    Groups without an edit are left out, where the official script has nan.
    """
    values = {
        "overall": [math.sqrt(mark.semantics * mark.quality) for mark in marks],
        "semantics": [float(mark.semantics) for mark in marks],
        "quality": [float(mark.quality) for mark in marks],
    }
    return {name: _means(marks, numbers) for name, numbers in values.items()}


def _means(marks: Sequence[Mark], numbers: Sequence[float]) -> dict[str, float]:
    found = means((mark.group, number) for mark, number in zip(marks, numbers, strict=True))
    found = {group: found[group] for group in GROUPS if group in found}
    return {"average": sum(found.values()) / len(found)} | found if found else {}


class Gedit(EditBenchmark):
    """Reads the files of the data set on the Hub, Arrow or Parquet, which are the official ones."""

    name = "gedit"
    protocols = tuple(LANGUAGES)
    mirror = "stepfun-ai/GEdit-Bench"

    def items(self, folder: Path) -> list[Item]:
        language = LANGUAGES[self.protocol]
        rows = tables.read_rows(folder, "GEdit-Bench", "*.parquet")
        items = [
            self._item(row, folder) for row in rows if tables.column(row, folder, "instruction_language") == language
        ]
        if not items:
            raise DataError(f"{folder} has no instructions in {language!r}: is a part of GEdit-Bench missing?")
        if self.judge is not None:
            names = (*SEMANTICS, *QUALITY)
            self.prompts = checkout_prompts(folder, "GEdit-Bench", names, "viescore/vie_prompts.py", "vie_prompts.py")
        return items

    def _item(self, row: tables.Row, folder: Path) -> Item:
        group = tables.column(row, folder, "task_type")
        if group not in GROUPS:
            raise DataError(
                f"{folder} has an edit of group {group!r}, not {', '.join(GROUPS)}: is it another data set?"
            )
        return Item(
            id=f"{group}/{tables.column(row, folder, 'key')}",
            prompt=tables.column(row, folder, "instruction"),
            pictures=(tables.picture(tables.column(row, folder, "input_image"), folder),),
            category=group,
            facts={"shared": bool(tables.column(row, folder, "Intersection_exist"))},
        )

    def judged(self, judge: Judge, item: Item, edit: Path) -> Verdict:
        """G_O, 0 to 10, of the edit scaled to the size of its source. Raises JudgeRefusalError where the replies cannot
        be used again and again."""
        source = tables.opened(item.pictures[0])
        edited = tables.opened(edit).resize(source.size)
        for attempt in range(TRIES):
            replies = self._replies(judge, item.prompt, source, edited, attempt)
            found = [parse(reply, drawn(item.id, reply) if attempt else None) for reply in replies]
            try:
                semantics, quality, overall = reduced(*(scores["score"] for scores in found))
            except (TypeError, ValueError, KeyError):
                continue
            return Verdict(score=overall, parsed=[semantics, quality], details={"replies": replies})
        raise JudgeRefusalError(f"{judge.name} gave no usable scores in {TRIES} tries: name another judge")

    def _replies(self, judge: Judge, prompt: str, source: Image.Image, edit: Image.Image, attempt: int) -> list[str]:
        semantics, quality = ("\n".join(self.prompts[name] for name in names) for names in (SEMANTICS, QUALITY))
        requests = ((semantics.replace(PLACE, prompt), [source, edit]), (quality, [edit]))
        settings = JudgeCall(temperature=TEMPERATURE, max_tokens=MAX_TOKENS, attempt=attempt)
        return [judge.ask(request, images, settings=settings) for request, images in requests]

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """G_O, the mean over the groups, 0 to 10, then G_SC and G_PQ, the same of the instructions that both languages
        have, each group's numbers, and the share of items left out."""
        known = [(item, verdict.parsed) for item, verdict in scored(records) if verdict.parsed is not None]
        marks = [Mark(item.category, parsed[0], parsed[1], item.facts["shared"]) for item, parsed in known]
        whole, shared = statistics(marks), statistics([mark for mark in marks if mark.shared])
        metrics = {name: part.pop("average", float("nan")) for name, part in whole.items()}
        metrics |= {f"{name}_intersection": part["average"] for name, part in shared.items() if part}
        metrics |= {f"{name}/{group}": value for name, part in whole.items() for group, value in part.items()}
        return metrics | {"left_out": 1 - len(marks) / len(records)}
