"""A picture book is made from its seed; every task makes conversations of it that become a batch."""

import random

import numpy as np
import pytest

from blip3o.batch import Batch
from blip3o.picturebook.source import PHRASES, Scenes, ScenesConfig
from blip3o.picturebook.tasks import TASKS
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.split import is_held_out
from blip3o.processing.conversation import Picture


def scenes(seed, stories, progress=None):
    return Scenes(ScenesConfig(seed=seed, stories=stories), progress)


def test_one_seed_makes_one_book_and_another_seed_another():
    one, again, other = scenes("a", 3), scenes("a", 3), scenes("b", 3)
    assert one.stories == again.stories
    assert np.array_equal(one.pixels, again.pixels)
    assert one.stories != other.stories


def test_a_longer_book_begins_like_a_shorter_one():
    assert scenes("a", 3).stories[:2] == scenes("a", 2).stories


def test_every_picture_is_that_of_its_scene(book):
    assert len(book) == 3 * len(book.stories)
    for index in range(len(book)):
        assert np.array_equal(book.picture(index).pixels, draw(book.scene(index)))
        assert np.array_equal(book.picture(index).features, book.features[index])


def test_nothing_held_out_is_in_a_book():
    book = scenes("held out", 30)
    assert not any(is_held_out(book.scene(index)) for index in range(len(book)))


def test_what_is_told_of_a_picture_names_every_object_once(book):
    for index in range(len(book)):
        phrases, scene = book.phrases(index), book.scene(index)
        assert len(phrases) == PHRASES
        assert sorted(text for text in phrases[:-1] if text != "nothing") == sorted(
            f"{thing.color} {thing.kind}" for thing in scene.objects
        )
        assert phrases[-1].split() == ["night" if scene.night else "day", scene.place]


def test_progress_is_told_for_every_story():
    seen = []
    scenes("a", 2, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_makes_conversations_that_become_a_batch(book, template, task):
    rng = random.Random(task)
    talks = [book.conversation(task, index % len(book), rng) for index in range(12)]
    for drawing in (True, False):
        encoded = [template.encode(talk) for talk in talks if isinstance(talk[-1].content[-1], Picture) == drawing]
        if encoded:
            batch = template.collate(encoded)
            assert isinstance(batch, Batch)
            assert batch.tokens.max() < len(template.words)
            assert (batch.target is not None) == batch.slot.any() == drawing
            shown = [picture for item in encoded for picture in item.pictures]
            assert batch.image_mask.sum() == sum(template.config.tokens_of(picture) for picture in shown)
            assert (batch.labels >= 0).any(1).all()
