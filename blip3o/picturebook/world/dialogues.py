"""Conversations of three user turns and more that mix reading, drawing and editing."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from blip3o.picturebook.world.captions import DESCRIBE, caption, short_caption
from blip3o.picturebook.world.prompts import long_prompt, prefix
from blip3o.picturebook.world.questions import determined_question, sample_question
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import SceneTurn, Story


@dataclass(frozen=True)
class Dialogue:
    """User and assistant in turn. An assistant turn holds a text alone or a scene to draw alone."""

    turns: tuple[SceneTurn, ...]

    @property
    def expected(self) -> tuple[str | Scene, ...]:
        """What each assistant turn, in order, must be: a text, or a scene to draw."""
        return tuple(turn.content[-1] for turn in self.turns if turn.role == "assistant")


@dataclass
class _Place:
    """Where a dialogue stands: at which scene of its story, and whether its first picture was given by the user.

    `placed` says that the dialogue holds an edit that depends on where things stand.
    """

    scene: int
    given: bool
    placed: bool


_PLACED = ("insert", "move")

_Step = Callable[[random.Random, Story, _Place], tuple[str, str | Scene]]


def _draw(rng: random.Random, story: Story, at: _Place) -> tuple[str, str | Scene]:
    scene = story.scenes[at.scene]
    long = at.placed or rng.random() < 0.2
    return long_prompt(scene, rng) if long else prefix(rng) + short_caption(scene, rng), scene


def _edit(rng: random.Random, story: Story, at: _Place) -> tuple[str, str | Scene]:
    at.scene += 1
    edit = story.edits[at.scene - 1]
    return edit.instruction, edit.after


def _ask(rng: random.Random, story: Story, at: _Place) -> tuple[str, str | Scene]:
    question = (sample_question if at.given else determined_question)(rng, story.scenes[at.scene])
    return question.text, question.answer


def _describe(rng: random.Random, story: Story, at: _Place) -> tuple[str, str | Scene]:
    return rng.choice(DESCRIBE), caption(story.scenes[at.scene])


PLANS: tuple[tuple[_Step, ...], ...] = (
    (_draw, _edit, _ask),
    (_draw, _ask, _edit),
    (_draw, _edit, _edit),
    (_draw, _edit, _describe),
    (_ask, _edit, _edit),
    (_ask, _edit, _ask),
    (_edit, _ask, _edit),
    (_describe, _edit, _ask),
    (_draw, _edit, _ask, _edit),
    (_ask, _edit, _ask, _edit),
)
"""The user turns of a dialogue. One that does not begin by drawing begins with a picture that the user gives."""


def sample_dialogue(rng: random.Random, story: Story) -> Dialogue:
    """A dialogue that follows the story, which must have at least two edits (else ValueError).

    Where the model draws the first picture, the questions ask only what the words before have settled (`DETERMINED`
    kinds), and the prompt says where things stand if a later insertion or move depends on it.
    """
    if len(story.edits) < 2:
        raise ValueError(
            f"a dialogue needs a story of 3 scenes, got {len(story.scenes)}: use sample_story(rng, length=3)"
        )
    plan = rng.choice(PLANS)
    told_edits = story.edits[: plan.count(_edit)]
    at = _Place(scene=0, given=plan[0] is not _draw, placed=any(edit.kind in _PLACED for edit in told_edits))
    turns: list[SceneTurn] = []
    for step in plan:
        told, answer = step(rng, story, at)
        shown = (story.scenes[0],) if at.given and not turns else ()
        turns += [SceneTurn("user", (*shown, told)), SceneTurn("assistant", (answer,))]
    return Dialogue(tuple(turns))
