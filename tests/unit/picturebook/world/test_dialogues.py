"""Dialogues follow their story and mix what the model can do."""

import random

import pytest

from blip3o.picturebook.world.dialogues import answers, sample_dialogue
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_story


def test_a_dialogue_has_three_user_turns_or_more_and_takes_turns():
    rng = random.Random(0)
    for _ in range(300):
        turns = sample_dialogue(rng, sample_story(rng))
        assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert len(turns) >= 6


def test_what_the_assistant_draws_are_the_storys_scenes_in_order_and_alone():
    rng = random.Random(1)
    for _ in range(300):
        story = sample_story(rng)
        dialogue = sample_dialogue(rng, story)
        assert all(len(turn.content) == 1 for turn in dialogue if turn.role == "assistant")
        given = [part for turn in dialogue for part in turn.content if isinstance(part, Scene)]
        assert given == list(story.scenes[: len(given)])
        drawn = [part for part in answers(dialogue) if isinstance(part, Scene)]
        assert drawn == given[-len(drawn) :]


def test_a_dialogue_of_a_story_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="story of 3 scenes"):
        sample_dialogue(random.Random(0), sample_story(random.Random(0), 2))
