"""Answers are right, checked by a second reading of the scene, and balanced."""

import random
import re
from collections import Counter

import pytest

from blip3o.picturebook.world.captions import CELL_NAMES, CELL_PHRASES, COUNTS
from blip3o.picturebook.world.edits import PLACE_NAMES
from blip3o.picturebook.world.questions import LETTERS, QUESTIONS, Question, sample_question
from blip3o.picturebook.world.scene import Scene, relations
from tests.unit.picturebook.world.reading_scenes import SCENES, fits, kinds_of, noun_words


def asked(kind: str) -> list[tuple[Scene, Question]]:
    rng = random.Random(kind)
    found = [(scene, QUESTIONS[kind](rng, scene)) for scene in SCENES]
    return [(scene, question) for scene, question in found if question]


def test_counts_are_right():
    for scene, question in asked("count"):
        wanted = noun_words(question.text)[0]
        assert question.answer == COUNTS[sum(fits(thing, wanted) for thing in scene.objects)], question.text


def test_existence_is_right_and_balanced():
    pairs = asked("existence")
    for scene, question in pairs:
        wanted = noun_words(question.text)[0]
        assert question.answer == ("yes" if any(fits(t, wanted) for t in scene.objects) else "no"), question.text
    assert 0.42 < sum(question.answer == "yes" for _, question in pairs) / len(pairs) < 0.58


def test_colors_are_right():
    for scene, question in asked("color"):
        wanted = noun_words(question.text)[0]
        assert {thing.color for thing in scene.objects if fits(thing, wanted)} == {question.answer}


def test_positions_are_right_and_the_only_ones():
    names = {phrase: cell for cell, phrase in CELL_PHRASES.items()}
    for scene, question in asked("position"):
        body = question.text.rstrip("?")
        if body.startswith("where"):
            (thing,) = kinds_of(scene, body.split()[-1])
            assert question.answer == CELL_NAMES[thing.cell]
        elif body.removeprefix("what is ") in names:
            there = [t.kind for t in scene.objects if t.cell == names[body.removeprefix("what is ")]]
            assert there == [question.answer]
        else:
            relation, kind = body.removeprefix("what is ").split(" the ")
            (target,) = kinds_of(scene, kind)
            assert any(relation in relations(thing, target) for thing in kinds_of(scene, question.answer))


def test_comparisons_are_right_and_balanced():
    pairs = asked("comparison")
    for scene, question in pairs:
        text = question.text.rstrip("?")
        if text.startswith("are there"):
            a, b = (sum(fits(t, words) for t in scene.objects) for words in noun_words(text))
            claim = a > b if "more" in text else a < b if "fewer" in text else a == b
        else:
            found = re.fullmatch(r"is the (\w+) (.*) the (\w+)", text)
            assert found
            (a,), (b,) = kinds_of(scene, found[1]), kinds_of(scene, found[3])
            claim = found[2] in relations(a, b)
        assert question.answer == ("yes" if claim else "no"), text
    assert 0.42 < sum(question.answer == "yes" for _, question in pairs) / len(pairs) < 0.58


def test_places_are_right():
    for scene, question in asked("place"):
        time, place = "night" if scene.night else "day", PLACE_NAMES[scene.place]
        if question.answer in ("yes", "no"):
            claim = question.text.removeprefix("is it ").removeprefix("is this ").rstrip("?")
            assert question.answer == ("yes" if claim in (time, place) else "no")
        else:
            assert question.answer == (time if "night" in question.text else place)


def test_exactly_one_choice_is_right_and_no_letter_is_favoured():
    pairs = asked("multiple_choice")
    for scene, question in pairs:
        true = {PLACE_NAMES[scene.place]}
        true |= {thing.kind for thing in scene.objects}
        if "color" in question.text:
            true = {thing.color for thing in scene.objects if fits(thing, noun_words(question.text)[0])}
        letters = [letter for letter, choice in zip(LETTERS, question.choices, strict=False) if choice in true]
        assert letters == [question.answer]
        assert all(
            f"{letter}. {choice}" in question.text for letter, choice in zip("abcd", question.choices, strict=False)
        )
    counted = Counter(question.answer for _, question in pairs)
    assert max(counted.values()) < 0.35 * len(pairs)


def test_what_is_classified_is_the_only_kind():
    assert all({t.kind for t in scene.objects} == {question.answer} for scene, question in asked("classification"))


@pytest.mark.parametrize("kind", QUESTIONS)
def test_answers_are_short_and_the_kind_is_the_one_asked_for(kind: str):
    for scene, question in asked(kind):
        assert question.kind == kind
        assert 1 <= len(question.answer.split()) <= 4
        assert sample_question(random.Random(0), scene, kind).kind == kind


def test_a_question_without_one_answer_is_refused():
    scene = next(scene for scene in SCENES if len({thing.kind for thing in scene.objects}) > 1)
    with pytest.raises(ValueError, match="no classification question"):
        sample_question(random.Random(0), scene, "classification")
