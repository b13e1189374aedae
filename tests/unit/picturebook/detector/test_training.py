"""The judge learns from scenes of every combination, and the same run gives the same judge."""

import random

import numpy as np
import pytest
import torch

from blip3o.picturebook.detector.matching import shows
from blip3o.picturebook.detector.network import CELL, HeatmapDetector, Maps
from blip3o.picturebook.detector.scene_detector import read_maps
from blip3o.picturebook.detector.training import TrainingConfig, grade, train
from blip3o.picturebook.detector.training_data import Targets, any_scene, training_batch
from blip3o.picturebook.world.draw import object_box
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, SIZE, Object, Scene
from blip3o.picturebook.world.split import is_held_out


def scenes(n, **options):
    rng = random.Random(0)
    return [any_scene(rng, **options) for _ in range(n)]


def perfect(targets):
    """Maps that say exactly what the targets say."""
    heat = torch.where(targets.heat == 1, 16.0, -16.0)
    color = torch.nn.functional.one_hot(targets.color, len(COLORS)).permute(0, 3, 1, 2).float() * 20
    box = targets.box
    place = torch.eye(4)[targets.place] * 20
    return Maps(heat, color, box, place, torch.eye(2)[targets.night] * 20)


def test_lessons_hold_what_the_model_never_sees():
    found = scenes(200)
    assert any(map(is_held_out, found))
    assert not all(map(is_held_out, found))
    assert {len(scene.objects) for scene in found} == set(range(7))


def test_maps_that_meet_their_targets_read_as_the_scenes():
    wanted = scenes(30)
    targets = Targets(wanted)
    assert all(shows(sight, scene) for sight, scene in zip(read_maps(perfect(targets)), wanted, strict=True))
    loss = grade(perfect(targets), targets).item()
    assert loss < 0.01


def test_an_object_of_which_the_judge_is_certain_is_seen_once():
    targets = Targets(
        [Scene(place="beach", night=False, objects=(Object(kind="cup", color="red", x=30.0, y=22.0, size=20.0),))]
    )
    maps = perfect(targets)
    sure = torch.nn.functional.max_pool2d(maps.heat, 3, stride=1, padding=1) * 4 + maps.heat
    assert len(read_maps(maps._replace(heat=sure))[0].objects) == 1


def test_an_object_lies_in_the_cell_of_its_boxs_centre():
    thing = Object(kind="fish", color="blue", x=30.0, y=22.0, size=20.0)
    targets = Targets([Scene(place="beach", night=False, objects=(thing,))])
    (index, kind, row, column) = (targets.heat == 1).nonzero()[0].tolist()
    x0, y0, x1, y1 = object_box(thing)
    assert (index, ALL_KINDS[kind]) == (0, "fish")
    assert (row, column) == ((y0 + y1) / 2 // CELL, (x0 + x1) / 2 // CELL)
    assert targets.near.sum() == 9


def test_a_batch_holds_pixels_within_range():
    pixels, targets = training_batch(random.Random(0), 10)
    assert pixels.shape == (10, 3, SIZE, SIZE)
    assert -1 <= pixels.min() <= pixels.max() <= 1
    assert len(targets.place) == 10


def test_the_detector_has_about_half_a_million_parameters():
    assert 500_000 < sum(parameter.numel() for parameter in HeatmapDetector().parameters()) < 700_000


@pytest.mark.slow
def test_the_same_run_gives_the_same_judge():
    losses = []
    for _ in range(2):
        told = []
        train(TrainingConfig(steps=2, batch=4), lambda step, loss, told=told: told.append(loss))
        losses.append(told)
    assert losses[0] == losses[1]
    assert all(map(np.isfinite, losses[0]))


def test_a_run_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="expected 1 or more"):
        TrainingConfig(steps=0)
