"""Every task makes well-formed conversations from the story's own scenes, in the closed vocabulary."""

import random

import pytest

from blip3o.picturebook.tasks import TASKS, THINK, vocabulary, words_of
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import SceneTurn, Story, sample_story

RNG = random.Random(0)
STORIES = [sample_story(RNG) for _ in range(400)]
DRAWING = ("draw", "draw_long", "think_draw", "edit", "riddle", "riddle_direct")
THINKING = ("think_draw", "riddle")


def conversations(task: str) -> list[tuple[Story, tuple[SceneTurn, ...]]]:
    rng = random.Random(task)
    return [(story, TASKS[task](rng, story)) for story in STORIES]


@pytest.mark.parametrize("task", TASKS)
def test_a_conversation_ends_with_the_assistant_and_shows_only_the_storys_scenes(task: str):
    for story, turns in conversations(task):
        roles = [turn.role for turn in turns if turn.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(part in story.scenes for turn in turns for part in turn.content if isinstance(part, Scene))


@pytest.mark.parametrize("task", TASKS)
def test_drawing_tasks_end_in_a_scene_and_the_others_in_a_text(task: str):
    for _, turns in conversations(task):
        if task != "dialogue":
            assert isinstance(turns[-1].content[-1], Scene) == (task in DRAWING)


@pytest.mark.parametrize("task", TASKS)
def test_exactly_the_thinking_tasks_ask_for_thought_and_think(task: str):
    for _, turns in conversations(task):
        asked = turns[0] == SceneTurn("system", (THINK,))
        text = turns[-1].content[0]
        thought = isinstance(text, str) and text.startswith("<think>") and text.endswith("</think>")
        assert asked == thought == (task in THINKING)


@pytest.mark.parametrize("task", TASKS)
def test_one_seed_makes_one_conversation(task: str):
    assert TASKS[task](random.Random(3), STORIES[0]) == TASKS[task](random.Random(3), STORIES[0])


@pytest.mark.slow
def test_twenty_thousand_conversations_use_the_vocabulary_and_no_other_word():
    rng = random.Random(4)
    used: set[str] = set()
    for index in range(20_000):
        turns = TASKS[rng.choice(tuple(TASKS))](rng, STORIES[index % len(STORIES)])
        used.update(word for turn in turns for part in turn.content if isinstance(part, str) for word in words_of(part))
    assert used <= set(vocabulary())
    assert len(vocabulary()) <= 350
    assert len(set(vocabulary()) - used) <= 5
