"""Riddles hide the kind, and their reasoning finds it."""

import random

from blip3o.picturebook.world.captions import groups, plural
from blip3o.picturebook.world.riddles import COLOR_RIDDLES, RIDDLES, pose, sample_riddle
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS
from blip3o.picturebook.world.split import is_held_out
from blip3o.picturebook.world.stories import sample_scene


def test_every_kind_and_color_has_riddles_that_name_no_kind_and_no_color_and_stand_for_it_alone():
    assert set(RIDDLES) == set(ALL_KINDS)
    assert set(COLOR_RIDDLES) == set(COLORS)
    clues = [clue for told in (*RIDDLES.values(), *COLOR_RIDDLES.values()) for clue in told]
    assert len(set(clues)) == len(clues)
    assert all(kind not in clue.split() for kind, told in RIDDLES.items() for clue in told)
    assert all(color not in clue.split() for color, told in COLOR_RIDDLES.items() for clue in told)


def test_a_riddle_names_no_kind_but_its_reasoning_does():
    rng = random.Random(0)
    for _ in range(200):
        riddle = sample_riddle(rng)
        assert not is_held_out(riddle.scene)
        solution = riddle.reasoning.rstrip(".").split(". so ")[-1]
        for thing in riddle.scene.objects:
            assert f" {thing.kind}," not in riddle.prompt
            assert not riddle.prompt.endswith(f" {thing.kind}")
            assert thing.kind in solution.split()


def test_the_scene_meets_the_requirement_and_the_requirement_holds_no_more_than_the_reasoning():
    rng = random.Random(1)
    for _ in range(500):
        scene = sample_scene(rng)
        riddle = pose(rng, scene)
        solution = riddle.reasoning.rstrip(".").split("so ")[-1]
        for clause in riddle.requirement["include"]:
            colored = "color" in clause
            assert len(groups(scene, colored=colored)[clause.get("color"), clause["class"]]) == clause["count"]
            noun = clause["class"] if clause["count"] == 1 else plural(clause["class"])
            assert (f"{clause['color']} {noun}" if colored else noun) in solution
        assert riddle.requirement.get("place", scene.place) == scene.place
        assert riddle.requirement.get("night", scene.night) == scene.night
        assert ("night" in riddle.requirement) == ("at night" in solution or "by day" in solution)
