"""How the scores of KRIS-Bench are read out of a judge's reply: by JSON, else by what looks like a score.

The official scripts read the same scores in three ways, by task; a reply without a score gives None.
"""

import json
import re
from typing import Any

REASONS = {"consistency": "reason", "instruction": "reasoning", "quality": "reasoning"}
"""Kind of score -> where the official reader looks for the reason beside it."""
PATTERNS = (r"([1-5])\s*/\s*5", r"([1-5])\s+out\s+of\s+5", r"\b([1-5])\b")


def extract(kind: str, reply: str, *, prefixed: bool = True) -> tuple[int | None, Any]:
    """The score of a kind ("consistency", "instruction", "quality") in a reply, and the reason that stands with it.

    Of the first braces around its name the JSON, cut to a whole number and taken whatever its size; else the first of:
    a digit after the name (where `prefixed`), "n/5", "n out of 5", a lone digit, each from 1 to 5.
    """
    data = _object(kind, reply)
    score = _whole(data.get(f"{kind}_score"))
    return (_looked(kind, reply, prefixed), None) if score is None else (score, data.get(REASONS[kind]))


def prefixed_score(kind: str, reply: str) -> int | None:
    """The way of most tasks."""
    return extract(kind, reply)[0]


def plain_score(kind: str, reply: str) -> int | None:
    """The way of compositions and of time: the name of the score counts in JSON only."""
    return extract(kind, reply, prefixed=False)[0]


def known_score(kind: str, reply: str) -> int | None:
    """The way of the tasks of knowledge: JSON that has no score is not looked through any further."""
    data, key = _object(kind, reply), f"{kind}_score"
    if data and data.get(key) is None:
        return None
    return _whole(data.get(key)) if _whole(data.get(key)) is not None else _looked(kind, reply, True)


def both_scores(reply: str) -> dict[str, int | None]:
    """The scores for instruction and knowledge of one reply: of its JSON, else of digits after their names.

    Where the official script stops at a value that is no number, that score is None.
    """
    data = _json(reply) or _json(_braced(reply))
    names = ("instruction_score", "knowledge_score")
    if data:
        return {name: _whole(data.get(name)) if isinstance(data, dict) else None for name in names}
    return {name: _named(name.removesuffix("_score"), reply) for name in names}


def _object(kind: str, reply: str) -> dict[str, Any]:
    """The first braces around the name of a score, where they are JSON; else {}."""
    found = re.search(rf"\{{[^{{}}]*{kind}_score[^{{}}]*\}}", reply)
    data = _json(found[0]) if found else None
    return data if isinstance(data, dict) else {}


def _looked(kind: str, reply: str, prefixed: bool) -> int | None:
    named = (rf"{kind}[_\s]*score\s*[:：]?\s*([1-5])",) if prefixed else ()
    for pattern in (*named, *PATTERNS):
        found = re.search(pattern, reply, re.IGNORECASE)
        if found:
            return int(found[1])
    return None


def _named(kind: str, reply: str) -> int | None:
    found = re.search(rf'"?{kind}[_\s]*score"?\s*:\s*([1-5])', reply, re.IGNORECASE)
    return int(found[1]) if found else None


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _braced(text: str) -> str:
    """From the first { to the } that closes it, or ""."""
    depth, start = 0, text.find("{")
    for index in range(max(start, 0), len(text) if start >= 0 else 0):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[start : index + 1]
    return ""
