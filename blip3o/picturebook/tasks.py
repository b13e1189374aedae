"""What the model learns to do: each task makes one conversation from a story."""

import random
import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain

from blip3o.picturebook.world import captions, dialogues, edits, exercises, prompts, questions, riddles
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, GROUPS, KINDS, Scene
from blip3o.picturebook.world.stories import SceneTurn, Story
from blip3o.processing.conversation import THINK

RETELL_SHORT = ("tell me in short: {text}", "in short: {text}")
RETELL_LONG = ("tell me in sentences: {text}", "in sentences: {text}")
COMPARING = ("existence", "comparison", "multiple_choice")
"""Kinds of questions whose answers say so little that they are asked more often."""
INTERVIEW = 6
"""Questions of an interview."""

SceneConversation = tuple[SceneTurn, ...]
Task = Callable[[random.Random, Story], SceneConversation]


def _turns(asked: tuple[str | Scene, ...], *answered: str | Scene, system: str | None = None) -> SceneConversation:
    opening = () if system is None else (SceneTurn("system", (system,)),)
    return (*opening, SceneTurn("user", asked), SceneTurn("assistant", answered))


def _of_scene(
    choose: Callable[[random.Random, Story], Scene], make: Callable[[random.Random, Scene], SceneConversation]
) -> Task:
    """The task that makes its conversation of one of the story's scenes."""
    return lambda rng, story: make(rng, choose(rng, story))


def _any(rng: random.Random, story: Story) -> Scene:
    return rng.choice(story.scenes)


def _plainest(rng: random.Random, story: Story) -> Scene:
    """One of the story's scenes with the fewest groups of objects."""
    fewest = min(len(captions.groups(scene)) for scene in story.scenes)
    return rng.choice([scene for scene in story.scenes if len(captions.groups(scene)) == fewest])


def _fuller(rng: random.Random, story: Story) -> Scene:
    """Of two of the story's scenes, the one with more groups of objects."""
    return max(rng.sample(story.scenes, 2), key=lambda scene: len(captions.groups(scene)))


def _think_draw(rng: random.Random, scene: Scene) -> SceneConversation:
    told = prompts.description(scene, rng)
    return _turns((prompts.prefix(rng) + told,), f"<think>so {told}.</think>", scene, system=THINK)


def _classification(rng: random.Random, scene: Scene) -> SceneConversation:
    kind = "classification" if len({thing.kind for thing in scene.objects}) == 1 else "position"
    return _asked(scene, [questions.sample_question(rng, scene, kind)])


def _interview(rng: random.Random, scene: Scene) -> SceneConversation:
    asked = [_interview_question(rng, scene) for _ in range(INTERVIEW)]
    return _asked(_shown_or_told(rng, scene), asked)


def _naming(rng: random.Random, scene: Scene) -> SceneConversation:
    """Colours and cells in lists; of a scene that admits neither, any question."""
    surveys = exercises.sample_surveys(rng, scene, ("color", "where"))
    return _asked(scene, surveys or [questions.sample_question(rng, scene)])


def _shown_or_told(rng: random.Random, scene: Scene) -> Scene | str:
    """The scene, or one time in five its description."""
    return captions.long_caption(scene, rng) if rng.random() < 0.2 else scene


def _asked(subject: Scene | str, asked: list[questions.Question]) -> SceneConversation:
    """The questions one after another, the first beside what they are about."""
    first, *others = asked
    opening = (f"{subject} {first.text}",) if isinstance(subject, str) else (subject, first.text)
    turns = [_turns(opening, first.answer), *(_turns((question.text,), question.answer) for question in others)]
    return tuple(turn for pair in turns for turn in pair)


def _interview_question(rng: random.Random, scene: Scene) -> questions.Question:
    """An exercise, a question that compares, or any question."""
    roll = rng.random()
    if roll < 0.25:
        return exercises.sample_step(rng, scene)
    return questions.sample_question(rng, scene, rng.choice(COMPARING) if roll < 0.6 else None)


def _reading(rng: random.Random, scene: Scene) -> SceneConversation:
    question = exercises.sample_reading(rng, scene)
    return _turns((question.text,), question.answer)


def _retell(rng: random.Random, scene: Scene) -> SceneConversation:
    short = captions.caption(scene)
    if rng.random() < 0.5:
        return _turns((rng.choice(RETELL_LONG).format(text=short),), captions.retold(scene))
    long = captions.long_caption(scene, rng) if rng.random() < 0.5 else captions.retold(scene)
    return _turns((rng.choice(RETELL_SHORT).format(text=long),), short)


def _edit(rng: random.Random, story: Story) -> SceneConversation:
    edit = rng.choice(story.edits)
    return _turns((edit.before, edit.instruction), edit.after)


def _riddle(rng: random.Random, scene: Scene) -> SceneConversation:
    posed = riddles.pose(rng, scene)
    return _turns((posed.prompt,), f"<think>{posed.reasoning}</think>", posed.scene, system=THINK)


TASKS: dict[str, Task] = {
    "draw": _of_scene(_any, lambda rng, scene: _turns((prompts.draw_prompt(scene, rng),), scene)),
    "draw_long": _of_scene(_any, lambda rng, scene: _turns((prompts.long_prompt(scene, rng),), scene)),
    "think_draw": _of_scene(_any, _think_draw),
    "caption_short": _of_scene(
        _any, lambda rng, scene: _turns((scene, rng.choice(captions.DESCRIBE)), captions.caption(scene))
    ),
    "caption_long": _of_scene(
        _any, lambda rng, scene: _turns((scene, rng.choice(captions.DESCRIBE_LONG)), captions.detailed_caption(scene))
    ),
    "question": _of_scene(_any, lambda rng, scene: _asked(scene, [questions.sample_question(rng, scene)])),
    "classification": _of_scene(_plainest, _classification),
    "interview": _of_scene(_fuller, _interview),
    "choices": _of_scene(
        _fuller, lambda rng, scene: _asked(scene, [exercises.sample_choice(rng, scene) for _ in range(INTERVIEW)])
    ),
    "naming": _of_scene(_fuller, _naming),
    "survey": _of_scene(
        _fuller, lambda rng, scene: _asked(_shown_or_told(rng, scene), exercises.sample_surveys(rng, scene))
    ),
    "reading": _of_scene(_any, _reading),
    "retell": _of_scene(_any, _retell),
    "edit": _edit,
    "dialogue": lambda rng, story: dialogues.sample_dialogue(rng, story).turns,
    "riddle": _of_scene(_plainest, _riddle),
    "riddle_direct": _of_scene(_plainest, lambda rng, scene: _turns((riddles.pose(rng, scene).prompt,), scene)),
}
"""Name -> a random conversation over the story's own scenes that ends in an assistant turn.

`edit` needs a story of two scenes, `dialogue` one of three. Of a story without a scene of a single kind,
`classification` asks what stands in a cell.
"""

_WORD = re.compile(r"[A-Za-z]+|[^\sA-Za-z]")


def words_of(text: str) -> list[str]:
    """The words and punctuation marks of a text, without its think tags."""
    return _WORD.findall(re.sub(r"</?think>", " ", text.lower()))


_TEXTS: tuple[Iterable[str], ...] = (
    # each row: the phrases of one subject
    (THINK, *RETELL_SHORT, *RETELL_LONG),
    (*ALL_KINDS, *map(captions.plural, ALL_KINDS), *COLORS, *KINDS, *(f"{group}s" for group in GROUPS)),
    (*captions.PLACE_PHRASES.values(), *captions.COUNTS, *captions.CELL_PHRASES.values()),
    (*captions.PATTERNS.values(), *captions.OPPOSITES, *captions.DESCRIBE, *captions.DESCRIBE_LONG),
    ("objects object a an and is are stands stand there it day night by at . ,",),
    (prompts.PHOTO, *prompts.PREFIXES, *prompts.LONG_PREFIXES),
    (*edits.INSERTS, *edits.INSERTS_BESIDE, *edits.REMOVES, *edits.REPLACES, *edits.RECOLORS, *edits.MOVES),
    (*edits.DIRECTIONS, *chain(*edits.SETTINGS.values())),
    (*questions.LETTERS, *questions.COUNT_TEXTS, *questions.EXISTENCE_TEXTS, *questions.CLASSIFICATION_TEXTS),
    (*questions.COLOR_TEXTS, *questions.COLOR_TEXTS_PLURAL),
    (*questions.WHERE_TEXTS, *questions.PLACE_TEXTS, *questions.TIME_TEXTS),
    (text for text, _ in exercises.SURVEYS.values()),
    ("are there more fewer as many than which what this yes no ?",),
    (*chain(*riddles.RIDDLES.values(), *riddles.COLOR_RIDDLES.values()), *riddles.VERBS, "in times so"),
)
"""Every phrase of the language; what stands in braces is filled with others of them."""


@cache
def vocabulary() -> tuple[str, ...]:
    """All words and punctuation marks that a conversation of any task can hold, sorted; without the think tags."""
    return tuple(sorted({word for text in chain(*_TEXTS) for word in words_of(re.sub(r"\{\w+\}", " ", text))}))
