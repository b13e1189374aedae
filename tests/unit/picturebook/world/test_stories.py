"""Scenes and stories keep their promises."""

import random

import pytest

from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, PLACES
from blip3o.picturebook.world.split import is_held_out
from blip3o.picturebook.world.stories import sample_scene, sample_story


@pytest.mark.slow
def test_training_stories_never_show_a_held_out_combination():
    rng = random.Random(0)
    assert not any(is_held_out(scene) for _ in range(5000) for scene in sample_story(rng).scenes)


def test_scenes_hold_one_to_four_objects_in_cells_of_their_own_in_reading_order():
    rng = random.Random(2)
    for _ in range(500):
        for scene in sample_story(rng).scenes:
            cells = [thing.cell for thing in scene.objects]
            assert 1 <= len(cells) <= 4
            assert len(set(cells)) == len(cells)
            assert cells == sorted(cells)


def test_scenes_cover_the_whole_world():
    rng = random.Random(3)
    scenes = [sample_scene(rng) for _ in range(1500)]
    assert {thing.kind for scene in scenes for thing in scene.objects} == set(ALL_KINDS)
    assert {thing.color for scene in scenes for thing in scene.objects} == set(COLORS)
    assert {scene.place for scene in scenes} == set(PLACES)
    assert {scene.night for scene in scenes} == {True, False}


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_each_edit_of_a_story_leads_from_its_scene_to_the_next(length: int):
    story = sample_story(random.Random(4), length)
    assert len(story.scenes) == length
    assert [edit.before for edit in story.edits] == list(story.scenes[:-1])
    assert [edit.after for edit in story.edits] == list(story.scenes[1:])


def test_one_seed_makes_one_story():
    assert sample_story(random.Random(5)) == sample_story(random.Random(5))
    assert sample_story(random.Random(5)) != sample_story(random.Random(6))
