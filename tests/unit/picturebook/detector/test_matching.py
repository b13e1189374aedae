"""What was wanted and what is seen are matched one to one."""

from dataclasses import replace

from blip3o.picturebook.detector.matching import Want, match, shows
from blip3o.picturebook.detector.scene_detector import SceneObject, Sight
from blip3o.picturebook.world.scene import COLUMNS, ROWS, Object, Scene, nearest_cell

DOG = Object(kind="dog", color="red", x=COLUMNS[0], y=ROWS[1], size=20.0)
CAT = Object(kind="cat", color="blue", x=COLUMNS[2], y=ROWS[1], size=20.0)
SCENE = Scene(place="snow", night=True, objects=(DOG, CAT))


def seen(thing, dx=0.0, dy=0.0, score=0.99):
    x, y = thing.x + dx, thing.y + dy
    return SceneObject(kind=thing.kind, color=thing.color, box=(x - 9, y - 8, x + 9, y + 8), score=score)


def sight(*things, place="snow", night=True):
    return Sight(objects=things, place=place, night=night)


def test_a_scene_is_shown_by_its_own_objects_in_any_order():
    assert shows(sight(seen(CAT), seen(DOG)), SCENE)


def test_four_px_are_forgiven_and_no_more():
    assert shows(sight(seen(DOG, dx=4.0, dy=-4.0), seen(CAT)), SCENE)
    assert not shows(sight(seen(DOG, dx=4.1), seen(CAT)), SCENE)


def test_nothing_may_be_missing_or_too_many():
    assert not shows(sight(seen(DOG)), SCENE)
    assert not shows(sight(seen(DOG), seen(CAT), seen(DOG, dy=16.0)), SCENE)


def test_a_faint_object_is_none():
    assert shows(sight(seen(DOG), seen(CAT), seen(DOG, dy=16.0, score=0.3)), SCENE)


def test_colour_place_and_time_count():
    assert not shows(sight(seen(replace(DOG, color="pink")), seen(CAT)), SCENE)
    assert not shows(sight(seen(DOG), seen(CAT), place="beach"), SCENE)
    assert not shows(sight(seen(DOG), seen(CAT), night=False), SCENE)


def test_the_assignment_is_looked_for_among_all():
    left, anywhere = Want(kind="dog", color="red", at=(DOG.x, DOG.y)), Want(kind="dog", color="red")
    near, far = seen(DOG), seen(DOG, dx=30.0)
    assert match([anywhere, left], [near, far]) == (far, near)


def test_a_relation_is_to_the_object_that_was_matched():
    dog, cat = Want(kind="dog", color="red", relation=("left of", 1)), Want(kind="cat", color="blue")
    assert match([dog, cat], [seen(CAT), seen(DOG)]) is not None
    assert match([dog, cat], [seen(CAT, dx=2 * (DOG.x - CAT.x)), seen(DOG)]) is None


def test_a_cell_is_the_nearest_one():
    assert nearest_cell(COLUMNS[0], ROWS[0]) == (0, 0)
    assert nearest_cell((COLUMNS[1] + COLUMNS[2]) / 2 + 1, ROWS[2] + 8) == (2, 2)
    assert nearest_cell((COLUMNS[1] + COLUMNS[2]) / 2 - 1, ROWS[2] + 8) == (2, 1)
