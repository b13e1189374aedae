"""Exercises, for training alone: steps on the way to the answers of questions, and scenes told in words."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

from blip3o.picturebook.world import captions, questions
from blip3o.picturebook.world.edits import PLACE_NAMES
from blip3o.picturebook.world.questions import LETTERS, Question
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, GROUP_OF, GROUPS, Scene


def _survey_color(rng: random.Random, scene: Scene) -> list[str]:
    return [f"{what} {color}" for what, color, _ in questions.one_colored(scene)]


def _survey_where(rng: random.Random, scene: Scene) -> list[str]:
    return [f"{thing.kind} {captions.CELL_NAMES[thing.cell]}" for thing in questions.unique(scene)]


def _survey_cell(rng: random.Random, scene: Scene) -> list[str]:
    return [f"{captions.CELL_NAMES[thing.cell]} {thing.kind}" for thing in scene.objects]


def _survey_existence(rng: random.Random, scene: Scene) -> list[str]:
    """Of some that are there and some that are not: kinds, coloured kinds, groups."""
    things = rng.sample(scene.objects, min(3, len(scene.objects)))
    missed = [
        questions.absent_kind(rng, scene),
        " ".join(questions.absent_look(rng, scene)),
        questions.absent_kind(rng, scene),
    ]
    present = {GROUP_OF[thing.kind] for thing in scene.objects}
    groups = rng.sample(GROUPS, 2)
    notes = {thing.kind if rng.random() < 0.5 else f"{thing.color} {thing.kind}": True for thing in things}
    notes |= dict.fromkeys(missed[: rng.randint(1, 3)], False) | {group: group in present for group in groups}
    return [f"{what} {questions.yes(claim)}" for what, claim in notes.items()]


def _survey_count(rng: random.Random, scene: Scene) -> list[str]:
    kinds, groups = questions.count_kinds(scene), [GROUP_OF[thing.kind] for thing in scene.objects]
    notes = {captions.plural(kind): count for kind, count in kinds.items()}
    looks = Counter(f"{thing.color} {captions.plural(thing.kind)}" for thing in scene.objects)
    notes |= dict(rng.sample(sorted(looks.items()), 1))
    notes |= {captions.plural(questions.absent_kind(rng, scene)): 0, "objects": len(scene.objects)}
    notes |= {f"{group}s": groups.count(group) for group in groups if group in GROUPS}
    return [f"{what} {captions.COUNTS[count]}" for what, count in notes.items()]


def _survey_comparison(rng: random.Random, scene: Scene) -> list[str]:
    kinds = questions.count_kinds(scene)
    named = [*kinds, questions.absent_kind(rng, scene), questions.absent_kind(rng, scene)]
    pairs = [(a, b) for a in named for b in named if a != b]
    return [f"{captions.plural(a)} {captions.plural(b)} {_compared(kinds[a], kinds[b])}" for a, b in pairs]


def _compared(a: int, b: int) -> str:
    return "more" if a > b else "fewer" if a < b else "as many"


def _survey_relation(rng: random.Random, scene: Scene) -> list[str]:
    pairs = permutations(questions.unique(scene), 2)
    return [f"{a.kind} {b.kind} {rng.choice(captions.clear_relations(a, b))}" for a, b in pairs]


def _survey_neighbor(rng: random.Random, scene: Scene) -> list[str]:
    return [f"{relation} {kind} {there}" for relation, kind, there in questions.neighbors(scene)]


SURVEYS: dict[str, tuple[str, Callable[[random.Random, Scene], list[str]]]] = {
    "color": ("what color is each object?", _survey_color),
    "where": ("where is each object?", _survey_where),
    "cell": ("which object is in each place?", _survey_cell),
    "existence": ("is each object in the picture?", _survey_existence),
    "count": ("how many are there of each object?", _survey_count),
    "comparison": ("are there more or fewer of each object?", _survey_comparison),
    "relation": ("what is the position of each object?", _survey_relation),
    "neighbor": ("which object is beside each object?", _survey_neighbor),
}
"""Kind -> what a survey asks, and short notes that answer it; none where the scene admits none."""
TOGETHER, NOTES = 4, 6
"""Most surveys of one picture, and most notes of a survey."""


def sample_surveys(rng: random.Random, scene: Scene, kinds: tuple[str, ...] = tuple(SURVEYS)) -> list[Question]:
    """Some surveys of these kinds that the scene admits, in random order: notes such as "dog red. cat white.",
    themselves in random order.

    What a note says follows the words it says it of: the shortest way from a word to what the picture shows of it,
    which a model finds long before it answers "what color is the dog?" (LOG.md).
    """
    asked = []
    for kind in rng.sample(kinds, min(TOGETHER, len(kinds))):
        text, noted = SURVEYS[kind]
        notes = noted(rng, scene)
        if notes:
            chosen = rng.sample(notes, min(NOTES, len(notes)))
            asked.append(Question(kind="survey", text=text, answer=" ".join(f"{note}." for note in chosen)))
    return asked


def _choice(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """A multiple choice without letters."""
    options, roll = questions.one_colored(scene), rng.random()
    if roll < 0.3 and options:
        what, color, count = rng.choice(options)
        colors = [color, *rng.sample([other for other in COLORS if other != color], 3)]
        rng.shuffle(colors)
        return f"{'is' if count == 1 else 'are'} the {what} {', '.join(colors[:3])} or {colors[3]}?", color
    present = questions.count_kinds(scene)
    right = rng.choice(sorted(present))
    kinds = [right, *rng.sample([kind for kind in ALL_KINDS if kind not in present], 3)]
    rng.shuffle(kinds)
    named = [captions.with_article(kind) for kind in kinds]
    return f"is there {', '.join(named[:3])} or {named[3]}?", captions.with_article(right)


def _letters(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """What letters stand for, whatever the scene shows."""
    choices = rng.sample(rng.choice((ALL_KINDS, COLORS, tuple(PLACE_NAMES.values()))), 4)
    pairs = list(zip(LETTERS, choices, strict=True))
    listing = " ".join(f"{letter}. {choice}" for letter, choice in pairs)
    (letter, choice), roll = rng.choice(pairs), rng.random()
    if roll < 0.3:
        return f"{listing}. what is {letter}?", choice
    if roll < 0.6:
        return f"{listing}. which is {choice}?", letter
    noted = rng.sample(pairs, 4)
    return f"{listing}. which is which?", " ".join(f"{choice} {letter}." for letter, choice in noted)


def _lettered_color(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """Which of four colours anything has: each can be compared with the picture by itself."""
    seen = {thing.color for thing in scene.objects}
    right = rng.choice(sorted(seen))
    question = questions.choose(
        rng, "which color is in the picture?", right, [color for color in COLORS if color not in seen]
    )
    return question.text, question.answer


def sample_step(rng: random.Random, scene: Scene) -> Question:
    """A step on the way to a multiple choice: one among words, letters among themselves, or a colour by its letter."""
    text, answer = rng.choice((_choice, _letters, _lettered_color))(rng, scene)
    return Question(kind="choice", text=text, answer=answer)


def sample_choice(rng: random.Random, scene: Scene) -> Question:
    """A multiple choice of colours or places, answered by its letter or by word and letter; or a step on the way to it.

    The word must be found in the picture first and its letter be looked up then, which a model finds late (LOG.md).
    """
    if rng.random() < 0.3:
        return sample_step(rng, scene)
    question = (questions.color_choice(rng, scene) if rng.random() < 0.8 else None) or questions.place_choice(
        rng, scene
    )
    if rng.random() < 0.7:
        return question
    word = question.choices[LETTERS.index(question.answer)]
    return Question(kind="choice", text=f"{question.text} what and which?", answer=f"{word} {question.answer}")


def _related_question(rng: random.Random, a: str, relation: str, b: str) -> tuple[str, str]:
    """A question that "a relation b" answers; `a` and `b` are kinds."""
    if rng.random() < 0.5:
        a, relation, b = b, captions.OPPOSITES[relation], a
    if rng.random() < 0.5:
        return f"what is {relation} the {b}?", a
    claim = rng.random() < 0.5
    return f"is the {a} {relation if claim else captions.OPPOSITES[relation]} the {b}?", questions.yes(claim)


def sample_reading(rng: random.Random, scene: Scene) -> Question:
    """A scene told in words and a question that these words alone answer."""
    roll, relation = rng.random(), captions.related(scene, rng)
    if relation and roll < 0.5:
        a, b = (words.split()[-1] for words in (relation[0], relation[2]))
        text, answer = _related_question(rng, a, relation[1], b)
        return Question(kind="position", text=f"{' '.join(relation)}. {text}", answer=answer)
    if roll < 0.75:
        question = questions.determined_question(rng, scene)
        return replace(question, text=f"{captions.caption(scene)}. {question.text}")
    question = questions.sample_question(rng, scene)
    return replace(question, text=f"{captions.long_caption(scene, rng)} {question.text}")
