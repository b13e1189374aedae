"""What is held out is held out for good: by the seed and the number of a sample alone."""

import random

import numpy as np
import pytest

from blip3o.data.mixture import Mixture
from blip3o.data.source_mixture import SourceMixture, SourceMixtureConfig
from blip3o.data.split import Split
from blip3o.errors import ConfigError
from blip3o.picturebook.source import Scenes, ScenesConfig


@pytest.fixture
def scenes():
    """Sixty pictures of twenty stories, about half of which are held out."""
    source = Scenes(ScenesConfig(seed="split", stories=20))
    source.split = Split(0.5, "0")
    return source


def test_about_the_share_is_held_out_and_another_seed_holds_out_others():
    numbers = np.arange(20_000)
    one, same, other = (Split(0.1, seed).held_out(numbers) for seed in ("0", "0", "1"))
    assert (one == same).all()
    assert 0.09 < one.mean() < 0.11
    assert 0.005 < (one & other).mean() < 0.015  # as of two independent draws


def test_data_added_at_the_end_changes_nothing_of_what_was_there():
    few, many = (Split(0.2, "0").held_out(np.arange(count)) for count in (500, 5000))
    assert (many[:500] == few).all()


def test_scenes_of_one_story_are_held_out_together(scenes):
    held = scenes.held_out(scenes.split).reshape(-1, 3)
    assert (held.all(1) | ~held.any(1)).all()
    assert 0 < held.any(1).sum() < 20


def test_the_parts_share_no_sample_and_leave_none_out(scenes):
    [trained], [held] = (scenes.indices(part).values() for part in ("training", "held out"))
    assert sorted([*trained, *held]) == list(range(60))


@pytest.mark.parametrize("part", ["training", "held out"])
def test_a_mixture_gives_samples_of_its_part_alone(scenes, part):
    seen = set()

    class Noted(Scenes):
        def conversation(self, task, index, rng):
            seen.add(index)
            return super().conversation(task, index, rng)

    source = Noted(scenes.config)
    source.split = scenes.split
    mixture = Mixture(source, {"draw": 1.0, "edit": 1.0, "riddle": 0.0}, "seed", drawing=True, part=part)
    for number in range(200):
        mixture[number]
    assert seen == set(scenes.indices(part)[""].tolist())


def test_of_several_sources_each_is_split_by_itself(scenes):
    def mixed(**stories):
        sources = {name: ScenesConfig(seed=name, stories=count) for name, count in stories.items()}
        source = SourceMixture(SourceMixtureConfig(sources=sources))
        source.split = scenes.split
        return source

    one, grown = mixed(a=20, b=20), mixed(a=30, b=20)
    before, after = (source.indices("held out", ["a.draw", "b.draw"]) for source in (one, grown))
    assert before["b.draw"].tolist() == after["b.draw"].tolist() != before["a.draw"].tolist()
    assert before["a.draw"].tolist() == [index for index in after["a.draw"] if index < 60]
    everything = one.indices("held out")[""].tolist()
    assert everything == [*before["a.draw"], *(60 + before["b.draw"])]
    task, index = "b.draw", int(before["b.draw"][0])
    assert one.conversation(task, index, random.Random(0))


def test_a_share_that_leaves_nothing_is_refused(scenes):
    for share, part, missing in ((0.0, "held out", "to validate on"), (1.0, "training", "to learn from")):
        scenes.split = Split(share, "0")
        with pytest.raises(ConfigError, match=rf"validation.share is {share}, which leaves no sample {missing}"):
            scenes.indices(part)
