"""The report of a check as a page with pictures: one file, a template (report.html) filled in."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blip3o.data.check import DataReport, Spread
from blip3o.data.rows import RowError, images_of
from blip3o.data.sample import Sample, SampleError
from blip3o.data.sources.source import RowSource, Source
from blip3o.data.transcript import transcript
from blip3o.errors import OutputError, PictureError
from blip3o.files import writing
from blip3o.processing.images import read_picture
from blip3o.processing.picture_files import data_address

SHOWN = 24
"""Samples shown of the whole, and groups of duplicates."""
LONGEST = 600
"""Characters shown of a caption or a conversation."""
MOST_ALIKE = 6
"""Pictures shown of a group that looks alike."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A sample on the page."""

    address: str
    text: str
    pictures: list[str]
    """Addresses that hold the pictures' bytes."""
    link: str = ""
    """The way from the page to its file; empty where it lies in a larger one."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar of a histogram, in the units of its drawing."""

    x: float
    width: float
    height: float
    label: str


def check_page(path: Path) -> None:
    """Raise OutputError for a name that is none of a page."""
    if path.suffix.lower() != ".html":
        raise OutputError(f"cannot write {path}: the report is a page, name a file that ends in .html")


def write_page(source: Source, name: str, report: DataReport, path: Path) -> None:
    """Write the page of a report of `source`, which the user calls `name`; some of its samples are read once more, to
    be shown. Raises OutputError."""
    check_page(path)
    text = _page(source, name, report, path.parent)
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")


def _page(source: Source, name: str, report: DataReport, here: Path) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    def cards(numbers: Sequence[int]) -> list[Card]:
        return [_card(source, number, here) for number in numbers]

    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"bars": bars, "number": number}
    return environment.get_template("report.html").render(
        name=name,
        report=report,
        spreads=_spreads(report),
        faults={reason: cards(numbers) for reason, numbers in report.example_samples.items()},
        duplicates=[cards(pair[::-1]) for pair in report.duplicate_samples[:SHOWN]],
        alike=[(len(group), cards(group[:MOST_ALIKE])) for group in report.near_duplicate_samples[:SHOWN]],
        samples=_some(source, here),
    )


def _spreads(report: DataReport) -> Mapping[str, Spread]:
    named = {
        "width, px": report.width,
        "height, px": report.height,
        "width : height": report.aspect_ratio,
        "caption, characters": report.caption,
    }
    return {name: spread for name, spread in named.items() if spread is not None}


def _some(source: Source, here: Path) -> list[Card]:
    """Samples in random order, always the same one, those that cannot be trained on left out."""
    cards: list[Card] = []
    for index in random.Random("report").sample(range(len(source)), min(len(source), 4 * SHOWN)):
        with suppress(SampleError):
            cards.append(_shown(source[index], here))
        if len(cards) == SHOWN:
            break
    return cards


def _card(source: Source, index: int, here: Path) -> Card:
    """A sample; of a faulty one what is wrong with it, and its pictures as far as they can be opened."""
    try:
        return _shown(source[index], here)
    except SampleError as error:
        pictures = list(_openable(source, index, error.address))
        return Card(address=error.address, text=str(error), pictures=pictures, link=_link(error.address, here))


def _shown(sample: Sample, here: Path) -> Card:
    text = transcript(sample.conversation) if sample.conversation else " · ".join(sample.captions)
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    pictures = [data_address(picture) for picture in sample.pictures]
    return Card(address=sample.address, text=short, pictures=pictures, link=_link(sample.address, here))


def _openable(source: Source, index: int, address: str) -> Iterator[str]:
    """The pictures of a faulty sample that are none of its faults."""
    values: list[Any] = [address]  # in a folder of images the picture itself
    if isinstance(source, RowSource):
        with suppress(RowError, OSError):
            values += [source.open_image(index, value) for value in images_of(source.named_row(index))]
    for value in values:
        with suppress(PictureError):
            yield data_address(read_picture(value))


def _link(address: str, here: Path) -> str:
    with suppress(OSError, ValueError):
        if Path(address).is_file():
            return quote(os.path.relpath(address, here))
    return ""


# --- histograms -------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 480, 120
"""Of a histogram, in the units of its drawing."""


def bars(spread: Spread) -> list[Bar]:
    """The bars of a histogram: as wide as each other, as high as their share of the largest."""
    wide, largest = WIDTH / len(spread.counts), max(spread.counts)
    return [
        Bar(
            x=round(place * wide, 2),
            width=round(0.92 * wide, 2),
            height=round(HEIGHT * count / largest, 2),
            label=f"{number(low)} to {number(high)}: {count}",
        )
        for place, (count, low, high) in enumerate(zip(spread.counts, spread.edges[:-1], spread.edges[1:], strict=True))
    ]


def number(value: Any) -> str:
    """A number with as many digits as one reads."""
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"
