"""Two small packages of emoji, made like those of npm."""

import json

import pytest

from examples.emoji.collection import LENDERS, PACKAGES, TONES

SHAPES = {
    "noto": '<circle cx="{center}" cy="{center}" r="{radius}" fill="{color}"/>',
    "fluent": '<rect x="{corner}" y="{corner}" width="{radius}" height="{radius}" fill="{color}"/>',
}
COLORS = ("#d02020", "#20a040", "#2040d0", "#e0b020", "#8030a0", "#20b0b0", "#f07030", "#404040", "#e060a0", "#705030")
CONCEPTS = 20


def icons_of(style, size):
    """Code points -> name and body of the icons of a style; the last concept has a picture for each skin tone."""
    icons = {}
    for number in range(CONCEPTS):
        radius = size * (0.3 if number < len(COLORS) else 0.45)
        values = {"center": size / 2, "corner": size / 4, "radius": radius, "color": COLORS[number % len(COLORS)]}
        icons[f"1f{600 + number}"] = (f"thing-{number}", SHAPES[style].format(**values))
    for tone, name in TONES.items():
        suffix = "-skin-tone" if style == "noto" else ""
        body = SHAPES[style].format(center=size / 2, corner=size / 4, radius=size * 0.4, color="#a07050")
        icons[f"1f{600 + CONCEPTS - 1}-{tone}"] = (
            f"thing-{CONCEPTS - 1}-{name.removesuffix(' skin').replace(' ', '-')}{suffix}",
            body,
        )
    return icons


RINGS = {"twemoji": 6, "emojione": 9, "blob": 12}
"""Lender -> width of the rings that it draws; the other lenders have no picture."""


def lent_icons(width):
    """Rings, whose names are written in one; the first under another name, too."""
    bodies = {
        f"thing{number}": {
            "body": f'<circle cx="50" cy="50" r="{20 + number}" fill="none" stroke-width="{width}" '
            f'stroke="{COLORS[number % len(COLORS)]}"/>'
        }
        for number in range(CONCEPTS)
    }
    bodies["one"] = bodies.pop("thing0")
    return {"icons": bodies, "aliases": {"thing-0": {"parent": "one"}}, "width": 100, "height": 100}


@pytest.fixture
def packages(tmp_path):
    """A folder with `packages/` of twenty concepts in two styles, one in five skin tones, and in three lent ones."""
    for style, size in (("noto", 128), ("fluent", 32)):
        folder = tmp_path / "packages" / PACKAGES[style]
        folder.mkdir(parents=True)
        icons = icons_of(style, size) | {"1f999": (f"only-in-{style}", "")}
        if style == "fluent":
            icons["1f998"] = icons.pop("1f999")
        bodies = {name: {"body": body} for name, body in icons.values()}
        names = [name for name, _ in icons.values()]
        files = {
            "icons.json": {"icons": bodies, "width": size, "height": size},
            "chars.json": {f"{points}-fe0f": name for points, (name, _) in icons.items()},
            "metadata.json": {"categories": {"Food & Drink": names[:10], "Objects": names[10:]}},
        }
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
    for style, name in LENDERS.items():
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        (folder / "icons.json").write_text(json.dumps(lent_icons(RINGS[style]) if style in RINGS else {"icons": {}}))
    return tmp_path
