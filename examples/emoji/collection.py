"""The collections of emoji: vector pictures of the same concepts in two styles, and which of them are held out.

They are the npm packages `@iconify-json/noto` (Google, Apache-2.0) and `@iconify-json/fluent-emoji-flat` (Microsoft,
MIT). Both name a picture's code points, by which the same concept is found in both. Five more packages lend pictures of
the same concepts in styles of their own (LENDERS), which are learned from, too, but never asked for in an exam.

A *cell* is a concept in a style. One cell in ten is held out: its picture, and those of its skin tones in that style,
are in no training data, neither as a picture nor as the target of an edit. The concept is seen in its other style and
the style in the other concepts, so that the held-out picture can be inferred and not remembered. Some concepts are
drawn alike (a man, a woman and a person as astronauts); none of these is held out, for training would show it.
"""

import io
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from blip3o.errors import DataError

PACKAGES = {"noto": "iconify-json-noto", "fluent": "iconify-json-fluent-emoji-flat"}
"""Style -> the folder that its package is unpacked into."""
STYLES = tuple(PACKAGES)
LENDERS = {
    "twemoji": "iconify-json-twemoji",
    "emojione": "iconify-json-emojione",
    "blob": "iconify-json-noto-v1",
    "fxemoji": "iconify-json-fxemoji",
    "streamline": "iconify-json-streamline-emojis",
}
"""Style -> the folder of its package: styles in which a concept is learned, too, and never asked for in an exam."""
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
COMPARED = 24
"""Height and width in px at which pictures are compared."""
TWIN = 12.0
"""Grey levels: two pictures that differ less are one to the eye."""
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


def read_lent(packages: Path, emoji: Sequence[Emoji], hidden: set[tuple[str, str]]) -> list[Emoji]:
    """Pictures of the lenders for the concepts of `emoji`, found by name; none that looks like a held-out one. Raises
    DataError where a package is missing."""
    plain = {_letters(one.name): one for one in emoji if not one.tone}
    secret = np.stack([small(render(one.svg, 3 * COMPARED)) for one in emoji if one.cell in hidden and not one.tone])
    found: list[Emoji] = []
    for style, folder in LENDERS.items():
        [icons] = _read_json(packages / folder, "icons.json")
        parents = {alias: value["parent"] for alias, value in icons.get("aliases", {}).items()}
        for letters, icon in {_letters(name): parents.get(name, name) for name in [*parents, *icons["icons"]]}.items():
            if letters in plain and icon in icons["icons"]:
                lent = replace(plain[letters], style=style, svg=_svg(icons, icon))
                if np.sqrt(((secret - small(render(lent.svg, 3 * COMPARED))) ** 2).mean(1)).min() >= TWIN:
                    found.append(lent)
    return sorted(found, key=lambda one: one.key)


def held_out(emoji: Iterable[Emoji]) -> set[tuple[str, str]]:
    """The cells that no training data show: a tenth of all, never both of a concept, as many of each style, none that
    looks like another concept in its style."""
    plain = [one for one in emoji if not one.tone]
    twins = _twins(plain)
    concepts = sorted({one.concept for one in plain})
    random.Random("emoji/held out").shuffle(concepts)
    count = round(HELD_OUT * len(concepts) * len(STYLES))
    chosen: list[tuple[str, str]] = []
    for concept in concepts:
        cell = concept, STYLES[len(chosen) % len(STYLES)]
        if len(chosen) < count and cell not in twins:
            chosen.append(cell)
    return set(chosen)


def small(image: Image.Image) -> np.ndarray:
    """The values of a picture for comparisons, [COMPARED * COMPARED * 3], 0 to 255."""
    resized = image.convert("RGB").resize((COMPARED, COMPARED), Image.Resampling.BOX)
    return np.asarray(resized, np.float32).reshape(-1)


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


def _twins(plain: list[Emoji]) -> set[tuple[str, str]]:
    """The cells whose picture looks like that of another concept in the same style."""
    found: set[tuple[str, str]] = set()
    for style in STYLES:
        of_style = [one for one in plain if one.style == style]
        values = np.stack([small(render(one.svg, 3 * COMPARED)) for one in of_style])
        squares = (values**2).sum(1)
        distances = np.maximum(squares[:, None] + squares - 2 * values @ values.T, 0) / values.shape[1]
        np.fill_diagonal(distances, np.inf)
        near = np.sqrt(distances.min(1)) < TWIN
        found |= {one.cell for one, is_twin in zip(of_style, near, strict=True) if is_twin}
    return found


def _read_package(folder: Path) -> dict[str, dict[str, str]]:
    """Code points -> name, category and svg."""
    icons, points, categories = _read_json(folder, "icons.json", "chars.json", "metadata.json")
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


def _read_json(folder: Path, *names: str) -> list[Any]:
    try:
        return [json.loads((folder / name).read_text(encoding="utf-8")) for name in names]
    except OSError:
        raise DataError(f"{folder} is no package of emoji: run scripts/download_data.sh emoji") from None


def _letters(name: str) -> str:
    """Without spaces and hyphens, which the packages set differently: "alarmclock"."""
    return re.sub("[^a-z0-9]", "", name)


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
