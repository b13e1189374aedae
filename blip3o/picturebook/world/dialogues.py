"""Conversations of three user turns and more that mix reading, drawing and editing."""

import random
from collections.abc import Callable

from blip3o.picturebook.world.captions import DESCRIBE, caption, short_caption
from blip3o.picturebook.world.prompts import long_prompt, prefix
from blip3o.picturebook.world.questions import determined_question, sample_question
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import SceneConversation, SceneTurn, Story

_PLACED = ("insert", "move")
"""Edits that depend on where things stand."""
_Step = Callable[[random.Random, Story, int], tuple[str, str | Scene]]
"""Makes the words of a user turn and their answer, at the scene of this index in the part of a story that is told."""


def _draw(rng: random.Random, story: Story, index: int) -> tuple[str, str | Scene]:
    scene = story.scenes[index]
    long = any(edit.kind in _PLACED for edit in story.edits) or rng.random() < 0.2
    return long_prompt(scene, rng) if long else prefix(rng) + short_caption(scene, rng), scene


def _edit(rng: random.Random, story: Story, index: int) -> tuple[str, str | Scene]:
    edit = story.edits[index - 1]
    return edit.instruction, edit.after


def _ask(rng: random.Random, story: Story, index: int) -> tuple[str, str | Scene]:
    question = sample_question(rng, story.scenes[index])
    return question.text, question.answer


def _ask_settled(rng: random.Random, story: Story, index: int) -> tuple[str, str | Scene]:
    """What the words before have settled, where the model drew the picture."""
    question = determined_question(rng, story.scenes[index])
    return question.text, question.answer


def _describe(rng: random.Random, story: Story, index: int) -> tuple[str, str | Scene]:
    return rng.choice(DESCRIBE), caption(story.scenes[index])


PLANS: tuple[tuple[_Step, ...], ...] = (
    (_draw, _edit, _ask_settled),
    (_draw, _ask_settled, _edit),
    (_draw, _edit, _edit),
    (_draw, _edit, _describe),
    (_ask, _edit, _edit),
    (_ask, _edit, _ask),
    (_edit, _ask, _edit),
    (_describe, _edit, _ask),
    (_draw, _edit, _ask_settled, _edit),
    (_ask, _edit, _ask, _edit),
)
"""The user turns of a dialogue. One that does not begin by drawing begins with a picture that the user gives."""


def sample_dialogue(rng: random.Random, story: Story) -> SceneConversation:
    """A dialogue that follows the story, which must have at least two edits (else ValueError). An assistant turn holds
    a text alone or a scene to draw alone.

    Where the model draws the first picture, the questions ask only what the words before have settled (`DETERMINED`
    kinds), and the prompt says where things stand if a later insertion or move depends on it.
    """
    if len(story.edits) < 2:
        raise ValueError(
            f"a dialogue needs a story of 3 scenes, got {len(story.scenes)}: use sample_story(rng, length=3)"
        )
    plan = rng.choice(PLANS)
    num_edits = plan.count(_edit)
    told = Story(story.scenes[: num_edits + 1], story.edits[:num_edits])
    shown, index = () if plan[0] is _draw else (story.scenes[0],), 0
    turns: list[SceneTurn] = []
    for step in plan:
        index += step is _edit
        words, answer = step(rng, told, index)
        turns += [SceneTurn("user", (*shown, words)), SceneTurn("assistant", (answer,))]
        shown = ()
    return tuple(turns)


def answers(dialogue: SceneConversation) -> tuple[str | Scene, ...]:
    """What each assistant turn, in order, must be: a text, or a scene to draw."""
    return tuple(turn.content[-1] for turn in dialogue if turn.role == "assistant")
