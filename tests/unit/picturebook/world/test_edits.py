"""Edits change exactly what they say."""

import random
import re
from collections import Counter
from contextlib import suppress

import pytest

from blip3o.picturebook.world.captions import CELL_NAMES
from blip3o.picturebook.world.edits import DIRECTIONS, EDITS, FILL_ORDER, SETTINGS, Edit, sample_edit
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, Object, free_cells
from blip3o.picturebook.world.split import is_held_out
from blip3o.picturebook.world.stories import sample_scene

LOOK = re.compile(rf"(?:a|an) ({'|'.join(COLORS)}) ({'|'.join(ALL_KINDS)})\b")
NAME = re.compile(rf"the (?:({'|'.join(COLORS)}) )?({'|'.join(ALL_KINDS)})\b")


def edits_of(kind: str, count: int = 300) -> list[Edit]:
    rng, found = random.Random(kind), []
    while len(found) < count:
        with suppress(ValueError):  # this scene admits no such edit
            found.append(sample_edit(rng, sample_scene(rng), kind))
    return found


def meant(edit: Edit) -> Object:
    """The one object that the instruction's "the ..." can mean."""
    named = NAME.search(edit.instruction)
    assert named
    color, kind = named.groups()
    fits = [thing for thing in edit.before.objects if thing.kind == kind and color in (None, thing.color)]
    assert len(fits) == 1, edit.instruction
    return fits[0]


def new_look(edit: Edit) -> tuple[str, ...]:
    """The colour and kind that the instruction brings in."""
    named = LOOK.search(edit.instruction)
    assert named
    return named.groups()


def gone_and_come(edit: Edit) -> tuple[list[Object], list[Object]]:
    before, after = Counter(edit.before.objects), Counter(edit.after.objects)
    return list((before - after).elements()), list((after - before).elements())


@pytest.mark.parametrize("kind", [kind for kind in EDITS if kind != "place"])
def test_only_a_change_of_place_touches_place_time_and_detail(kind: str):
    for edit in edits_of(kind):
        assert edit.kind == kind
        assert (edit.before.place, edit.before.night, edit.before.detail) == (
            edit.after.place,
            edit.after.night,
            edit.after.detail,
        )


def test_a_change_of_place_touches_no_object():
    for edit in edits_of("place"):
        assert edit.after.objects == edit.before.objects
        assert (edit.after.place, edit.after.night) != (edit.before.place, edit.before.night)
        (setting,) = (key for key, texts in SETTINGS.items() if edit.instruction in texts)
        assert setting[0] in (None, edit.after.place)
        assert setting[1] in (None, edit.after.night)
        assert setting[0] is not None or edit.after.place == edit.before.place
        assert setting[1] is not None or edit.after.night == edit.before.night


def test_an_insertion_adds_what_it_names_where_it_says():
    for edit in edits_of("insert"):
        gone, (new,) = gone_and_come(edit)
        assert not gone
        assert new_look(edit) == (new.color, new.kind)
        side = next((side for side in DIRECTIONS if f" {side} " in edit.instruction), None)
        if side is None:
            assert new.cell == next(cell for cell in FILL_ORDER if cell in free_cells(edit.before))
            continue
        start, (down, right) = meant(edit).cell, DIRECTIONS[side]
        ahead = [(start[0] + n * down, start[1] + n * right) for n in (1, 2)]
        assert new.cell == next(cell for cell in ahead if cell in free_cells(edit.before))


def test_a_removal_takes_only_what_it_names_and_never_the_last():
    for edit in edits_of("remove"):
        gone, come = gone_and_come(edit)
        assert (gone, come) == ([meant(edit)], [])
        assert edit.after.objects


def test_a_replacement_keeps_place_and_size():
    for edit in edits_of("replace"):
        (old,), (new,) = gone_and_come(edit)
        assert old is meant(edit)
        assert new_look(edit) == (new.color, new.kind)
        assert (new.x, new.y, new.size, new.flip) == (old.x, old.y, old.size, old.flip)


def test_a_recoloring_changes_the_color_alone():
    for edit in edits_of("recolor"):
        (old,), (new,) = gone_and_come(edit)
        assert old is meant(edit)
        assert edit.instruction.split()[-1] == new.color != old.color
        assert (new.kind, new.x, new.y, new.size, new.flip) == (old.kind, old.x, old.y, old.size, old.flip)


def test_a_move_ends_in_the_cell_it_names_and_changes_nothing_else():
    for edit in edits_of("move"):
        (old,), (new,) = gone_and_come(edit)
        assert old is meant(edit)
        assert edit.instruction.endswith(f"the {CELL_NAMES[new.cell]}")
        assert new.cell in free_cells(edit.before)
        assert (new.kind, new.color, new.size, new.flip) == (old.kind, old.color, old.size, old.flip)


def test_what_an_edit_leads_to_obeys_the_split():
    rng = random.Random(8)
    for _ in range(300):
        edit = sample_edit(rng, sample_scene(rng))
        assert not is_held_out(edit.after)
        assert len(edit.after.objects) <= 4


def test_an_edit_that_fits_no_scene_is_refused():
    scene = next(s for s in (sample_scene(random.Random(seed)) for seed in range(99)) if len(s.objects) == 1)
    with pytest.raises(ValueError, match="no remove"):
        sample_edit(random.Random(0), scene, kind="remove")
