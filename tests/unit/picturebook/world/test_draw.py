"""Pictures of the picture book: what is drawn can be seen, told apart, and lies where its box says."""

from dataclasses import replace

import numpy as np
import pytest

from blip3o.picturebook.world.background import PLACES as LOOKS
from blip3o.picturebook.world.background import VARIANTS, background
from blip3o.picturebook.world.draw import draw, object_box
from blip3o.picturebook.world.palette import COLOR_RGB, NIGHT_TINT, Material, palette
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, COLUMNS, PLACES, ROWS, SIZE, SIZES, Object, Scene
from blip3o.picturebook.world.shapes import SHAPES
from blip3o.picturebook.world.sprite import sprite

MIDDLE = sum(SIZES) / 2
"""Size of a middling object."""
BALL = Object(kind="ball", color="red", x=COLUMNS[1], y=ROWS[1], size=MIDDLE)
MEADOW = Scene(place="meadow", night=False, objects=(BALL,), detail=5)


def picture(thing: Object, place: str = "meadow", night: bool = False) -> np.ndarray:
    """The picture of one object, as numbers that can be subtracted."""
    return draw(Scene(place=place, night=night, objects=(thing,))).astype(np.int32)


def drawn_pixels(thing: Object) -> np.ndarray:
    """How much every pixel differs between a black and a white object: nothing but the object itself, no shadow."""
    black, white = (picture(replace(thing, color=color)) for color in ("black", "white"))
    return np.abs(black - white).max(axis=-1)


def inside(pixels: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The pixels of a box, its edges rounded."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    return pixels[y0:y1, x0:x1]


def test_the_tables_draw_every_kind_color_and_place():
    assert tuple(SHAPES) == ALL_KINDS
    assert tuple(COLOR_RGB) == COLORS
    assert tuple(LOOKS) == PLACES


def test_a_picture_is_uint8_of_the_stated_size():
    pixels = draw(MEADOW)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (SIZE, SIZE, 3)


def test_the_same_scene_gives_the_same_pixels_with_and_without_cache():
    before = draw(MEADOW)
    sprite.cache_clear()
    assert np.array_equal(before, draw(MEADOW))


def test_drawing_does_not_paint_on_the_cached_background():
    before = background("meadow", False, 5).copy()
    draw(MEADOW)
    assert np.array_equal(before, background("meadow", False, 5))


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_every_kind_in_every_color_stands_out_from_the_empty_place(place: str, night: bool):
    empty = background(place, night, 0).astype(np.int32)
    for kind in ALL_KINDS:
        for color in COLORS:
            thing = replace(BALL, kind=kind, color=color)
            changed = np.abs(inside(picture(thing, place, night) - empty, object_box(thing))).max(axis=-1)
            assert (changed > 25).mean() > 0.28, f"a {color} {kind} hardly shows"


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("flip", [False, True])
def test_the_box_is_tight_about_the_drawn_pixels(kind: str, flip: bool):
    for dx, dy, size in ((-1.87, -0.6, SIZES[0]), (-0.38, -1.1, MIDDLE + 0.3), (1.9, 0.55, SIZES[1])):
        x, y = BALL.x + dx, BALL.y + dy
        thing = Object(kind=kind, color="red", x=x, y=y, size=size, flip=flip)
        rows, columns = np.nonzero(drawn_pixels(thing) > 0)
        x0, y0, x1, y1 = object_box(thing)
        reached = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.subtract(reached, (x0, y0, x1, y1))).max() < 1, "a partly covered pixel at most"
        assert abs(max(x1 - x0, y1 - y0) - size) <= 0.6
        assert abs((x0 + x1) / 2 - x) < 0.2
        assert abs((y0 + y1) / 2 - y) < 0.2


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_at_least_three_fifths_of_an_object_inside_its_contour_have_its_own_color(kind: str):
    drawn = sprite(kind, False, round(MIDDLE), 0, 0)
    areas = dict(zip(drawn.materials, drawn.cover.sum(axis=(0, 1)), strict=True))
    own = sum(areas.get(material, 0) for material in (Material.MAIN, Material.LIGHT, Material.DARK))
    assert own / (sum(areas.values()) - areas[1]) >= 0.6


def test_any_two_kinds_of_one_color_differ_in_outline():
    covers = {kind: drawn_pixels(replace(BALL, kind=kind)) > 40 for kind in ALL_KINDS}
    for index, a in enumerate(ALL_KINDS):
        for b in ALL_KINDS[index + 1 :]:
            common = (covers[a] & covers[b]).sum() / (covers[a] | covers[b]).sum()
            assert common < 0.9, f"{a} and {b} look alike"


def test_any_two_colors_stay_apart_by_day_and_between_day_and_night():
    shades = {(color, night): palette(color, night)[2] for color in COLORS for night in (False, True)}
    for (a, _), first in shades.items():
        for (b, _), second in shades.items():
            assert a == b or np.linalg.norm(first - second) > 50, f"{a} looks like {b}"


def test_night_takes_at_most_fifteen_hundredths_from_an_object():
    assert min(NIGHT_TINT) >= 0.85


@pytest.mark.parametrize("place", PLACES)
def test_the_night_is_darker_than_the_day(place: str):
    assert background(place, True, 0).mean() < 0.6 * background(place, False, 0).mean()


def test_any_two_places_differ_at_the_same_time_of_day():
    for night in (False, True):
        grounds = [background(place, night, 0)[20:].mean(axis=(0, 1)) for place in PLACES]
        distances = [np.linalg.norm(a - b) for i, a in enumerate(grounds) for b in grounds[:i]]
        assert min(distances) > 15


def test_detail_changes_small_things_only():
    first, second = (background("meadow", False, detail).astype(np.int32) for detail in (1, 2))
    assert 0 < np.abs(first - second)[16:].mean() < 6
    assert np.array_equal(first, draw(Scene(place="meadow", night=False, objects=(), detail=1 + VARIANTS)))


def test_flipping_mirrors_the_object():
    thing = replace(BALL, kind="dog", x=SIZE / 2)
    straight, flipped = drawn_pixels(thing), drawn_pixels(replace(thing, flip=True))
    assert np.abs(straight - flipped[:, ::-1]).mean() < 0.1 * np.abs(straight - flipped).mean()


def test_an_object_beyond_the_edge_is_cut_off():
    empty = background("meadow", False, 0)
    beyond, edge = SIZE + MIDDLE, SIZE - 1.0
    for x, y, shows in ((1.0, edge, True), (edge, 1.0, True), (-beyond, beyond, False), (beyond, -beyond, False)):
        assert np.array_equal(picture(replace(BALL, x=x, y=y)), empty) != shows
