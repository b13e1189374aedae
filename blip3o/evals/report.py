"""A comparison for readers: rows for a terminal, and a page with bars by category and the items that the models fail.

The page is one file, without anything from elsewhere but larger pictures, which it finds by their way from where it is.
"""

import base64
import json
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blip3o.errors import OutputError
from blip3o.evals.compare import Answer, Comparison, Match, Metric, Outcome, Pair, Scores, Side
from blip3o.evals.record import Number
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

STYLE = """
:root { color-scheme: light dark; --page: #f7f7f5; --card: #fff; --ink: #1c1d1f; --dim: #63666b; --line: #dfdfda;
  --a: #2467b3; --b: #c25e00; --warn: #fdf0d2; --warn-ink: #6b4a00; }
@media (prefers-color-scheme: dark) { :root { --page: #141517; --card: #1e2023; --ink: #e9e9e6; --dim: #a0a4aa;
  --line: #35383d; --a: #6aa8ee; --b: #f09a4a; --warn: #3d3114; --warn-ink: #f4dda0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; margin: 8px 0; } h2 { font-size: 1.25rem; margin: 40px 0 8px; }
h3 { font-size: 1rem; margin: 24px 0 8px; } h4 { font-size: .9rem; margin: 0 0 4px; }
a { color: inherit; } .dim { color: var(--dim); } .a { color: var(--a); } .b { color: var(--b); }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
tr:last-child td { border-bottom: 0; } th { color: var(--dim); font-weight: 600; }
.note { background: var(--warn); color: var(--warn-ink); padding: 8px 12px; border-radius: 8px; margin: 8px 0; }
td .note { padding: 2px 8px; font-size: .8rem; } td { vertical-align: top; }
.bars { display: grid; gap: 12px; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px; font-size: .9rem; }
.bars b { font-weight: 600; overflow-wrap: anywhere; }
.bar { display: grid; grid-template-columns: 1.2em 1fr 4.5em; gap: 6px; align-items: center; }
.bar i { display: block; height: 10px; border-radius: 0 4px 4px 0; min-width: 2px; }
.bar i.a { background: var(--a); } .bar i.b { background: var(--b); }
form { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; }
input, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 6px 10px; max-width: 100%; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; margin: 12px 0; }
article[hidden] { display: none; }
article header { display: flex; flex-wrap: wrap; gap: 4px 12px; font-size: .85rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0; font: inherit; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
.two > div { border-top: 3px solid var(--line); padding-top: 6px; min-width: 0; }
.two > .a { border-color: var(--a); color: inherit; } .two > .b { border-color: var(--b); color: inherit; }
.small { font-size: .85rem; color: var(--dim); overflow-wrap: anywhere; }
figure { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0; }
img { max-width: 100%; max-height: 320px; border-radius: 4px; }
details { margin: 8px 0; } summary { cursor: pointer; }
@media (max-width: 640px) { .two { grid-template-columns: 1fr; } main { padding: 10px; } }
"""

SCRIPT = """
for (const form of document.querySelectorAll("form")) {
  const cards = [...form.parentElement.querySelectorAll("article")];
  const show = () => {
    const words = form.words.value.toLowerCase();
    let number = 0;
    for (const card of cards) {
      const fits = (!form.outcome.value || card.dataset.outcome === form.outcome.value)
        && (!form.category || !form.category.value || card.dataset.category === form.category.value)
        && (!words || card.textContent.toLowerCase().includes(words));
      card.hidden = !fits;
      number += fits;
    }
    form.querySelector("output").textContent = number + " of " + cards.length;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  show();
}
"""


def check_page(path: Path) -> None:
    """Raise OutputError for a name that is none of a page."""
    if path.suffix.lower() != ".html":
        raise OutputError(f"cannot write {path}: a comparison is a page, name a file that ends in .html")


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page; pictures are found from where it stands. Raises OutputError."""
    check_page(path)
    text = "".join(_page(comparison, path.parent))
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")


def _page(comparison: Comparison, here: Path) -> Iterator[str]:
    a, b = comparison.a, comparison.b
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(a.name)} and {escape(b.name)}</title><style>{STYLE}</style></head><body><main>"
    yield "<h1>Two models, answer by answer</h1>"
    for letter, side in (("A", a), ("B", b)):
        yield f'<div><b class="{letter.lower()}">{letter}</b> {escape(side.name)} '
        yield f'<span class="small">{escape(str(side.folder))}</span></div>'
    yield '<p class="dim">Differences are B - A, taken item by item, with 95 % intervals.</p>'
    yield from _summary(comparison.matches)
    for letter, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            yield f'<p class="note">Only {letter} was asked {escape(", ".join(names))}.</p>'
    for match in comparison.matches:
        yield from _section(match, comparison, here)
    yield f"</main><script>{SCRIPT}</script></body></html>\n"


# --- as rows ----------------------------------------------------------------------------------------------------------


def rows(comparison: Comparison) -> list[list[str]]:
    """The cells of a table, the heading first: of each benchmark its metrics, without their parts, and its scores.

    95 % intervals stand below their numbers, in the same cell.
    """
    return [list(HEADING), *(row for match in comparison.matches for row in _rows(match))]


def _rows(match: Match) -> Iterator[list[str]]:
    shown = [metric for place, metric in enumerate(match.metrics) if place == 0 or "/" not in metric.name]
    remarks, items = "; ".join((*match.refusals, *match.notes)), _counted(match)
    for metric in shown:
        numbers = [_within(metric.a), _within(metric.b), _signed(metric.difference)]
        yield [match.name, metric.name, *numbers, items, remarks]
        remarks = ""
    if match.scores is not None:
        found = match.scores
        difference = "\n".join(filter(None, (_signed(found.difference.value), _limits(found.difference))))
        yield [match.name, "mean score", _shown(found.a), _shown(found.b), difference, str(found.n), remarks]
    elif not shown:
        yield [match.name, "", "", "", "", items, remarks]


def _counted(match: Match) -> str:
    return str(match.a.n) if match.a.n == match.b.n else f"{match.a.n}, {match.b.n}"


def _shown(value: float | None) -> str:
    """A number with as many digits as one reads: three decimals, fewer of large ones; empty for None."""
    if value is None:
        return ""
    text = f"{value:.{1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _signed(value: float | None) -> str:
    """The same with its sign, + included."""
    text = _shown(value)
    return f"+{text}" if value is not None and float(text) > 0 else text


def _limits(number: Number) -> str:
    """The limits of a difference; empty where it has none."""
    if number.low is None or number.high is None:
        return ""
    return f"{_signed(number.low)} to {_signed(number.high)}"


def _within(number: Number | None) -> str:
    """A number and, in a second line, its interval, as far as they are known."""
    if number is None or number.value is None:
        return ""
    if number.low is None or number.high is None:
        return _shown(number.value)
    return f"{_shown(number.value)}\n{_shown(number.low)} to {_shown(number.high)}"


# --- numbers ----------------------------------------------------------------------------------------------------------


def _table(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in heading)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _summary(matches: Sequence[Match]) -> Iterator[str]:
    heading = ("benchmark", "number", "A", "B", "B - A", "mean score, B - A", "right: only A, only B")
    yield _table(heading, [list(_summed(match)) for match in matches])


def _summed(match: Match) -> Iterator[str]:
    told = "not compared" if match.refusals else "see its notes" if match.notes else ""
    name = f'<a href="#{quote(match.name)}">{escape(match.name)}</a>'
    yield name + (f'<div><span class="note">{told}</span></div>' if told else "")
    yield from _cells(match.metrics[0]) if match.metrics else [""] * 4
    yield _difference(match.scores.difference) if match.scores else ""
    counts = match.scores.counts if match.scores else None
    yield "" if counts is None else f"{counts.a_only}, {counts.b_only}"


def _cells(metric: Metric) -> list[str]:
    numbers = (_number(metric.a), _number(metric.b), _signed(metric.difference))
    return [escape(metric.name), *numbers]


def _number(number: Number | None) -> str:
    if number is None:
        return ""
    limits = "" if None in (number.low, number.high) else f"{_shown(number.low)} to {_shown(number.high)}"
    return f'{_shown(number.value)}<div class="small">{limits}</div>'


def _difference(number: Number) -> str:
    return f'{_signed(number.value)}<div class="small">{_limits(number)}</div>'


def _section(match: Match, comparison: Comparison, here: Path) -> Iterator[str]:
    protocols = " and ".join(dict.fromkeys((match.a.protocol, match.b.protocol)))
    judges = " and ".join(dict.fromkeys(run.judge for run in (match.a, match.b) if run.judge))
    yield f'<section id="{escape(match.name)}"><h2>{escape(match.name)}</h2>'
    yield f'<p class="dim">protocol {escape(protocols)}{escape(f", judged by {judges}" if judges else "")}</p>'
    yield from (f'<p class="note">{escape(told)}</p>' for told in (*match.refusals, *match.notes))
    table = _table(("number", "A", "B", "B - A"), map(_cells, match.metrics))
    yield f"<details{'' if len(match.metrics) > MOST_METRICS else ' open'}><summary>metrics</summary>{table}</details>"
    if match.scores is not None:
        yield from _scores(match.scores, match.categories)
    yield from _items(match, comparison, here)
    yield "</section>"


def _scores(scores: Scores, categories: Mapping[str, Scores]) -> Iterator[str]:
    units = f" in {scores.units} units" if scores.units != scores.n else ""
    yield f"<h3>Scores of the {scores.n} items that both have scored{units}</h3>"
    if scores.counts is not None:
        found = scores.counts
        heading = ("only A right", "only B right", "both", "neither")
        yield _table(heading, [[str(n) for n in (found.a_only, found.b_only, found.both, found.neither)]])
    everything = {"all": scores} | {name or "no category": part for name, part in categories.items()}
    scale = max(1.0, *(value for part in everything.values() for value in (part.a, part.b)))
    yield '<h3>Mean score by category</h3><div class="bars">'
    for name, part in everything.items():
        limits = _limits(part.difference)
        told = f"{part.n} items, B - A {_signed(part.difference.value)}{f' ({limits})' if limits else ''}"
        yield f'<div><b>{escape(name)}</b> <span class="small">{escape(told)}</span>'
        yield from _bar("A", part.a, scale)
        yield from _bar("B", part.b, scale)
        yield "</div>"
    yield "</div>"


def _bar(letter: str, value: float, scale: float) -> Iterator[str]:
    width, kind = 100 * max(0.0, value) / scale, letter.lower()
    yield f'<div class="bar"><span class="{kind}">{letter}</span>'
    yield f'<i class="{kind}" style="width:{width:.2f}%"></i><span>{_shown(value)}</span></div>'


# --- items ------------------------------------------------------------------------------------------------------------


def failures(match: Match) -> list[Pair]:
    """The items that are not right in both: those that differ first, the furthest apart before; then those that neither
    has right; then those not scored. Equals stand in the order of the data set."""

    def place(pair: Pair) -> tuple[int, float]:
        a, b = pair.a.score, pair.b.score
        return RANKS[pair.outcome], 0.0 if a is None or b is None else -abs(a - b)

    return sorted((pair for pair in match.pairs if pair.outcome in RANKS), key=place)


def _items(match: Match, comparison: Comparison, here: Path) -> Iterator[str]:
    found = failures(match)
    if not found:
        return
    shown, rest = found[:MOST_ITEMS], found[MOST_ITEMS:]
    yield f"<h3>Items on which they differ or fail: {len(found)}</h3>"
    if rest:
        numbers = {name: sum(pair.outcome == name for pair in rest) for name in RANKS}
        told = ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
        yield f'<p class="note">{len(rest)} of {len(found)} are left out here ({told}).</p>'
    yield _form(shown)
    for pair in shown:
        yield from _card(pair, comparison, here)


def _form(pairs: Sequence[Pair]) -> str:
    def select(name: str, values: Iterable[str]) -> str:
        options = "".join(f"<option>{escape(value)}</option>" for value in values)
        return f'<select name="{name}" aria-label="{name}"><option value="">every {name}</option>{options}</select>'

    categories = sorted({pair.category for pair in pairs if pair.category})
    chosen = select("outcome", (name for name in RANKS if any(pair.outcome == name for pair in pairs)))
    chosen += select("category", categories) if len(categories) > 1 else ""
    words = '<input name="words" type="search" placeholder="words" aria-label="words">'
    return f'<form hidden>{words}{chosen}<output class="dim"></output></form>'


def _card(pair: Pair, comparison: Comparison, here: Path) -> Iterator[str]:
    yield f'<article data-outcome="{escape(pair.outcome)}" data-category="{escape(pair.category)}">'
    yield f"<header><b>{escape(pair.outcome)}</b><span>{escape(pair.id)}</span>"
    yield f'<span class="dim">{escape(pair.category)}</span></header><pre>{escape(pair.prompt)}</pre>'
    yield _pictures(pair.pictures, comparison.a, here)
    if pair.facts:
        yield f'<div class="small"><h4>expected</h4>{_facts(pair.facts)}</div>'
    yield '<div class="two">'
    yield from _answer("A", pair.a, comparison.a, here)
    yield from _answer("B", pair.b, comparison.b, here)
    yield "</div></article>"


def _answer(letter: str, answer: Answer, side: Side, here: Path) -> Iterator[str]:
    score = "not scored" if answer.score is None else f"score {_shown(answer.score)}"
    yield f'<div class="{letter.lower()}"><h4><span class="{letter.lower()}">{letter}</span> {score}</h4>'
    if isinstance(answer.given, str):
        yield f"<pre>{_cut(answer.given) or '<span class=dim>(no words)</span>'}</pre>"
    else:
        yield _pictures(answer.given, side, here)
    if answer.parsed is not None:
        yield f'<div class="small">read as {_cut(_told(answer.parsed))}</div>'
    if answer.details:
        yield f'<details class="small"><summary>details</summary>{_facts(answer.details)}</details>'
    yield "</div>"


def _facts(facts: Mapping[str, Any]) -> str:
    return "".join(f"<div>{escape(str(name))}: {_cut(_told(value))}</div>" for name, value in facts.items())


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    left = len(text) - LONGEST
    return escape(text) if left <= 0 else f"{escape(text[:LONGEST])} … ({left} characters more)"


# --- pictures ---------------------------------------------------------------------------------------------------------


def _pictures(names: Sequence[str | None], side: Side, here: Path) -> str:
    if not names:
        return ""
    return f"<figure>{''.join(_picture(name, side.folder, here) for name in names)}</figure>"


def _picture(name: str | None, folder: Path, here: Path) -> str:
    if name is None:
        return '<span class="small">(a picture inside the data)</span>'
    path = next((place for place in (folder / name, Path(name)) if place.is_file()), None)
    if path is None:
        return f'<span class="small">(no picture at {escape(name)})</span>'
    return f'<img loading="lazy" alt="{escape(path.name)}" src="{escape(_source(path, here))}">'


def _source(path: Path, here: Path) -> str:
    """The picture itself where it is small, else its way from the page."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith("image/") and path.stat().st_size <= INSIDE_BYTES:
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    return quote(Path(os.path.relpath(path, here)).as_posix())
