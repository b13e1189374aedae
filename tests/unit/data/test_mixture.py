"""A mixture is a function of seed and number: the same ones give the same conversations, others give others."""

import pytest

from blip3o.data.mixture import Mixture
from blip3o.errors import ConfigError
from blip3o.processing.conversation import Picture

DRAW, TEXT = {"draw": 3.0, "edit": 1.0}, {"question": 1.0, "retell": 1.0}


def several(book, weights, count, place, *, drawing):
    mixture = Mixture(book, weights, place, drawing=drawing)
    return [mixture[number] for number in range(count)]


def told(conversations):
    """The conversations as values; pictures by their content."""
    return [
        [(turn.role, [p.pixels.tobytes() if isinstance(p, Picture) else p for p in turn.content]) for turn in talk]
        for talk in conversations
    ]


def ends_in_a_picture(talk):
    return isinstance(talk[-1].content[-1], Picture)


def test_one_seed_gives_the_same_conversations_and_another_others(book):
    first, again, other = (told(several(book, TEXT, 8, place, drawing=False)) for place in ("a/0", "a/0", "a/1"))
    assert first == again
    assert first != other


def test_tasks_come_by_their_weights(book):
    talks = several(book, DRAW, 400, "weights", drawing=True)
    edits = sum(isinstance(talk[-2].content[0], Picture) for talk in talks)
    assert 60 < edits < 140


@pytest.mark.parametrize("drawing", [True, False])
def test_a_dialogue_ends_as_it_is_asked_to(book, drawing):
    talks = several(book, {"dialogue": 1.0}, 20, "ends", drawing=drawing)
    assert len(talks) == 20
    assert all(ends_in_a_picture(talk) == drawing for talk in talks)


@pytest.mark.parametrize(("task", "drawing"), [("draw", False), ("question", True)])
def test_a_task_that_never_ends_so_is_refused_by_name(book, task, drawing):
    with pytest.raises(ConfigError, match=f"'{task}' never ends in {'a picture' if drawing else 'words'}"):
        Mixture(book, {task: 1.0}, "never", drawing=drawing)[0]


def test_a_conversation_is_the_same_in_whatever_order_it_is_asked_for(book):
    mixture = Mixture(book, DRAW, "order", drawing=True)
    forward = told([mixture[number] for number in range(6)])
    assert told([mixture[number] for number in reversed(range(6))]) == forward[::-1]
