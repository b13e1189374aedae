"""A comparison for readers: rows for a terminal, and a page with bars by category and the items that the models fail.

The page (report.html, a template) is one file, without anything from elsewhere but larger pictures, which it finds by
their way from where it is.
"""

import base64
import json
import mimetypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blip3o.errors import OutputError
from blip3o.evals.benchmark import Answer
from blip3o.evals.compare import Comparison, Match, MeanScores, Outcome, Pair
from blip3o.evals.saved_results import Number
from blip3o.files import writing

HEADING = ["benchmark", "number", "A", "B", "B - A", "items", "remarks"]
MOST_ITEMS = 200
"""Shown of a benchmark; the page says how many are left out."""
MOST_METRICS = 8
"""More than these are folded away."""
INSIDE_BYTES = 16_384
"""The largest picture that is put into the page itself."""
LONGEST = 4000
"""Characters shown of an answer or of facts; prompts are never cut."""
RANKS: dict[Outcome, int] = {"A better": 0, "B better": 0, "neither right": 1, "not scored": 2}
"""What is shown of items, in this order; those that both have right are not."""


def check_page(path: Path) -> None:
    """Raise OutputError for a name that is none of a page."""
    if path.suffix.lower() != ".html":
        raise OutputError(f"cannot write {path}: a comparison is a page, name a file that ends in .html")


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page; pictures are found from where it stands. Raises OutputError."""
    check_page(path)
    text = _page(comparison, path.parent)
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")


def _page(comparison: Comparison, here: Path) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"shown": shown, "signed": signed, "interval": interval, "limits": limits, "cut": _cut}
    environment.filters |= {"words": _words, "pictures": _pictures}
    return environment.get_template("report.html").render(
        comparison=comparison,
        most_metrics=MOST_METRICS,
        bars=_bars,
        most_items=MOST_ITEMS,
        failures=failures,
        picture=lambda name, folder: _picture(name, folder, here),
    )


# --- as rows ----------------------------------------------------------------------------------------------------------


def rows(comparison: Comparison) -> list[list[str]]:
    """The cells of a table, the heading first: of each benchmark its metrics, without their parts, and its scores.

    95 % intervals stand below their numbers, in the same cell.
    """
    return [list(HEADING), *(row for match in comparison.matches for row in _rows(match))]


def _rows(match: Match) -> Iterator[list[str]]:
    listed = [metric for place, metric in enumerate(match.metrics) if place == 0 or "/" not in metric.name]
    remarks, items = "; ".join((*match.refusals, *match.notes)), _counted(match)
    for metric in listed:
        numbers = [_within(metric.a), _within(metric.b), signed(metric.difference)]
        yield [match.name, metric.name, *numbers, items, remarks]
        remarks = ""
    if match.scores is not None:
        scores = match.scores
        difference = "\n".join(filter(None, (signed(scores.difference.value), limits(scores.difference))))
        yield [match.name, "mean score", shown(scores.a), shown(scores.b), difference, str(scores.n), remarks]
    elif not listed:
        yield [match.name, "", "", "", "", items, remarks]


def _counted(match: Match) -> str:
    return str(match.a.n) if match.a.n == match.b.n else f"{match.a.n}, {match.b.n}"


def shown(value: float | None) -> str:
    """A number with as many digits as one reads: three decimals, fewer of large ones; empty for None."""
    if value is None:
        return ""
    text = f"{value:.{1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed(value: float | None) -> str:
    """The same with its sign, + included."""
    text = shown(value)
    return f"+{text}" if value is not None and float(text) > 0 else text


def limits(number: Number) -> str:
    """The limits of a difference; empty where it has none."""
    if number.low is None or number.high is None:
        return ""
    return f"{signed(number.low)} to {signed(number.high)}"


def interval(number: Number) -> str:
    """The interval of a number; empty where it has none."""
    return "" if None in (number.low, number.high) else f"{shown(number.low)} to {shown(number.high)}"


def _within(number: Number | None) -> str:
    """A number and, in a second line, its interval, as far as they are known."""
    return "" if number is None else "\n".join(filter(None, (shown(number.value), interval(number))))


# --- the parts of the page --------------------------------------------------------------------------------------------


def failures(match: Match) -> list[Pair]:
    """The items that are not right in both: those that differ first, the furthest apart before; then those that neither
    has right; then those not scored. Equals stand in the order of the data set."""

    def place(pair: Pair) -> tuple[int, float]:
        a, b = pair.a.score, pair.b.score
        return RANKS[pair.outcome], 0.0 if a is None or b is None else -abs(a - b)

    return sorted((pair for pair in match.pairs if pair.outcome in RANKS), key=place)


def _bars(match: Match) -> Iterator[tuple[str, MeanScores, float]]:
    """Categories, their scores, and the score at the end of the scale."""
    parts = {} if match.scores is None else {"all": match.scores}
    parts |= {name or "no category": part for name, part in match.categories.items()}
    scale = max(1.0, *(value for part in parts.values() for value in (part.a, part.b)))
    yield from ((name, part, scale) for name, part in parts.items())


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]} … ({left} characters more)"


def _words(answer: Answer) -> str | None:
    """All words of an answer; None where it is pictures alone."""
    if isinstance(answer, str):
        return answer
    return " | ".join(part for part in answer if isinstance(part, str) and part) or None


def _pictures(answer: Answer) -> list[Path]:
    return [part for part in answer if isinstance(part, Path)]


def _picture(name: Path, folder: Path, here: Path) -> Mapping[str, str] | None:
    """The name of a picture, and the picture itself where it is small, else its way from the page; None for none."""
    path = next((place for place in (folder / name, name) if place.is_file()), None)
    if path is None:
        return None
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith("image/") and path.stat().st_size <= INSIDE_BYTES:
        source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    else:
        source = quote(Path(os.path.relpath(path, here)).as_posix())
    return {"name": path.name, "source": source}
