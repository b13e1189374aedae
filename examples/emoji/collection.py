"""The two collections of emoji: vector pictures of the same concepts in two styles, and which of them are held out.

They are the npm packages `@iconify-json/noto` (Google, Apache-2.0) and `@iconify-json/fluent-emoji-flat` (Microsoft,
MIT). Both name a picture's code points, by which the same concept is found in both.

A *cell* is a concept in a style. One cell in ten is held out: its picture, and those of its skin tones in that style,
are in no training data, neither as a picture nor as the target of an edit. The concept is seen in its other style and
the style in the other concepts, so that the held-out picture can be inferred and not remembered.
"""

import io
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from blip3o.errors import DataError

PACKAGES = {"noto": "iconify-json-noto", "fluent": "iconify-json-fluent-emoji-flat"}
"""Style -> the folder that its package is unpacked into."""
STYLES = tuple(PACKAGES)
TONES = {
    "1f3fb": "light skin",
    "1f3fc": "medium light skin",
    "1f3fd": "medium skin",
    "1f3fe": "medium dark skin",
    "1f3ff": "dark skin",
}
"""Code point of a skin tone -> what captions call it."""
HELD_OUT = 0.1
"""Share of the cells."""
_VARIATION = "fe0f"
"""A code point that changes nothing of a picture."""


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """One vector picture."""

    concept: str
    """Its code points without skin tone, joined by "-"."""
    name: str
    """In words, the same in both styles: "woman running"."""
    style: str
    tone: str
    """A value of TONES; "" is none."""
    category: str
    """Of nine, in lower case: "food and drink"."""
    svg: str

    @property
    def key(self) -> str:
        """What no other picture is called: "1f3c3-noto", "1f3c3-fluent-dark-skin"."""
        return "-".join(part for part in (self.concept, self.style, self.tone.replace(" ", "-")) if part)

    @property
    def cell(self) -> tuple[str, str]:
        """Its concept and style."""
        return self.concept, self.style


def read_emoji(packages: Path) -> list[Emoji]:
    """All pictures of concepts that are in both styles, sorted by key. Raises DataError where a package is missing."""
    named = {style: _read_package(packages / folder) for style, folder in PACKAGES.items()}
    found: list[Emoji] = []
    for points in set.intersection(*(set(icons) for icons in named.values())):
        tones = [TONES[point] for point in points.split("-") if point in TONES]
        # both styles bear the longer name, which tells more
        name = max((icons[points]["name"] for icons in named.values()), key=len)
        found += [
            Emoji(
                concept="-".join(point for point in points.split("-") if point not in TONES),
                name=name.replace("-", " "),
                style=style,
                tone=tones[0] if tones else "",
                category=icons[points]["category"],
                svg=icons[points]["svg"],
            )
            for style, icons in named.items()
        ]
    return sorted(_of_whole_concepts(found), key=lambda emoji: emoji.key)


def held_out(emoji: Iterable[Emoji]) -> set[tuple[str, str]]:
    """The cells that no training data show: a tenth of all, never both of a concept, as many of each style."""
    concepts = sorted({one.concept for one in emoji})
    random.Random("emoji/held out").shuffle(concepts)
    count = round(HELD_OUT * len(concepts) * len(STYLES))
    return {(concept, STYLES[number % len(STYLES)]) for number, concept in enumerate(concepts[:count])}


def render(svg: str, size: int) -> Image.Image:
    """The picture on white, `size` px high and wide. Raises DataError where resvg-py is missing."""
    try:
        from resvg_py import svg_to_bytes
    except ModuleNotFoundError:
        raise DataError("drawing emoji takes resvg-py: pip install resvg-py") from None
    drawn = Image.open(io.BytesIO(bytes(svg_to_bytes(svg_string=svg, width=size, height=size)))).convert("RGBA")
    page = Image.new("RGB", (size, size), "white")
    page.paste(drawn, ((size - drawn.width) // 2, (size - drawn.height) // 2), drawn)
    return page


def _read_package(folder: Path) -> dict[str, dict[str, str]]:
    """Code points -> name, category and svg."""
    try:
        icons, points, categories = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in ("icons.json", "chars.json", "metadata.json")
        )
    except OSError:
        raise DataError(f"{folder} is no package of emoji: run scripts/download_data.sh emoji") from None
    category_of = {name: category for category, names in categories["categories"].items() for name in names}
    return {
        "-".join(point for point in code.split("-") if point != _VARIATION): {
            "name": name,
            "category": category_of.get(name, "symbols").lower().replace("&", "and"),
            "svg": _svg(icons, name),
        }
        for code, name in points.items()
        if name in icons["icons"]
    }


def _svg(icons: dict[str, Any], name: str) -> str:
    icon = icons["icons"][name]
    left, top, width, height = (
        icon.get(key, icons.get(key, default))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {space} viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'


def _of_whole_concepts(emoji: list[Emoji]) -> list[Emoji]:
    """Those whose concept has a picture without a skin tone, whose name and category they take; of two concepts of one
    name, the first alone."""
    plain = {one.concept: one for one in emoji if not one.tone}
    first: dict[str, str] = {}
    for concept in sorted(plain):
        first.setdefault(plain[concept].name, concept)
    kept = set(first.values())
    return [
        Emoji(
            concept=one.concept,
            name=plain[one.concept].name,
            style=one.style,
            tone=one.tone,
            category=plain[one.concept].category,
            svg=one.svg,
        )
        for one in emoji
        if one.concept in kept
    ]
