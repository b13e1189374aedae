"""Exercises say what is so, checked by a second reading of the scene."""

import random
import re

import pytest

from blip3o.picturebook.world.captions import CELL_NAMES, COUNTS
from blip3o.picturebook.world.edits import PLACE_NAMES
from blip3o.picturebook.world.exercises import SURVEYS, sample_choice, sample_reading, sample_surveys
from blip3o.picturebook.world.questions import LETTERS
from blip3o.picturebook.world.scene import COLORS, Scene, relations
from tests.unit.picturebook.world.reading_scenes import SCENES, SINGULAR, fits, kinds_of, noun_words

SURVEYED = {text: kind for kind, (text, _) in SURVEYS.items()}


TOGETHER = " what and which?"


@pytest.fixture(scope="module")
def notes() -> dict[str, list[tuple[Scene, list[str]]]]:
    """Kind of survey -> each scene with the words of one of its notes."""
    rng, found = random.Random("surveys"), {kind: [] for kind in SURVEYS}
    for scene in SCENES:
        for survey in sample_surveys(rng, scene):
            told = survey.answer.rstrip(".").split(". ")
            found[SURVEYED[survey.text]] += [(scene, note.split()) for note in told]
    assert min(map(len, found.values())) > 200
    return found


def test_colors_are_noted_of_all_of_a_kind(notes):
    for scene, (noun, color) in notes["color"]:
        assert {thing.color for thing in scene.objects if fits(thing, [noun])} == {color}


def test_places_are_noted_both_ways(notes):
    for scene, (noun, *cell) in notes["where"]:
        assert [CELL_NAMES[thing.cell] for thing in kinds_of(scene, noun)] == [" ".join(cell)]
    for scene, (*cell, noun) in notes["cell"]:
        assert [thing.kind for thing in scene.objects if CELL_NAMES[thing.cell] == " ".join(cell)] == [noun]


def test_what_is_there_and_what_is_not_are_noted_about_as_often(notes):
    for scene, (*noun, claim) in notes["existence"]:
        assert claim == ("yes" if any(fits(thing, noun) for thing in scene.objects) else "no")
    assert 0.35 < sum(words[-1] == "yes" for _, words in notes["existence"]) / len(notes["existence"]) < 0.65


def test_numbers_are_noted(notes):
    for scene, (*noun, count) in notes["count"]:
        assert count == COUNTS[sum(fits(thing, noun) for thing in scene.objects)], noun


def test_numbers_are_compared(notes):
    for scene, (a, b, *words) in notes["comparison"]:
        a, b = (len(kinds_of(scene, SINGULAR[noun])) for noun in (a, b))
        assert " ".join(words) == ("more" if a > b else "fewer" if a < b else "as many")


def test_relations_are_noted_both_ways(notes):
    for scene, (a, b, *relation) in notes["relation"]:
        assert " ".join(relation) in relations(kinds_of(scene, a)[0], kinds_of(scene, b)[0])
    for scene, (*relation, b, a) in notes["neighbor"]:
        (target,) = kinds_of(scene, b)
        assert any(" ".join(relation) in relations(thing, target) for thing in kinds_of(scene, a))


@pytest.fixture(scope="module")
def choices() -> list[tuple[Scene, str, str]]:
    rng = random.Random("choices")
    return [(scene, (asked := sample_choice(rng, scene)).text, asked.answer) for scene in SCENES * 4]


@pytest.mark.parametrize("asked", ["what color", "where is this"])
def test_colours_and_places_are_asked_for_by_letter(choices, asked):
    lettered = [case for case in choices if case[1].startswith(asked) and "a. " in case[1]]
    answers = {answer for _, text, answer in lettered if not text.endswith(TOGETHER)}
    assert answers == set(LETTERS)


def test_word_and_letter_belong_together_and_are_true(choices):
    found = [(scene, text, answer.rsplit(" ", 1)) for scene, text, answer in choices if text.endswith(TOGETHER)]
    assert len(found) > 100
    for scene, text, (word, letter) in found:
        listed = dict(re.findall(r"([a-d])\. (.+?)(?= [a-d]\. |$)", text.removesuffix(TOGETHER)))
        assert listed[letter] == word
        if word in COLORS:
            kind = noun_words(text)[0][-1]
            assert {thing.color for thing in kinds_of(scene, SINGULAR.get(kind, kind))} == {word}
        else:
            assert word == PLACE_NAMES[scene.place]


def test_the_only_colour_on_offer_that_is_there_is_answered(choices):
    found = [case for case in choices if case[1].startswith("which color is in the picture?")]
    assert len(found) > 100
    for scene, text, answer in found:
        listed = dict(re.findall(r"([a-d])\. (\w+)", text))
        seen = {thing.color for thing in scene.objects}
        assert [letter for letter, color in listed.items() if color in seen] == [answer]


def test_exactly_the_answered_choice_is_right(choices):
    found = [case for case in choices if case[1].startswith(("is there", "is the ", "are the")) and "," in case[1]]
    assert len(found) > 100
    for scene, text, answer in found:
        if answer in COLORS:
            kind = SINGULAR.get(noun_words(text)[0][-1], noun_words(text)[0][-1])
            assert {thing.color for thing in kinds_of(scene, kind)} == {answer}
            assert answer in text
        else:
            offered = [words[-1] for words in noun_words(text)]
            assert [kind for kind in offered if kinds_of(scene, kind)] == [answer.split()[-1]]


def test_letters_stand_for_what_follows_them(choices):
    found = [case for case in choices if case[1].startswith("a. ")]
    assert len(found) > 100
    for _, text, answer in found:
        listed = dict(re.findall(r"([a-d])\. (.+?)(?= [a-d]\. |$)", text.rpartition(". wh")[0]))
        lettered = {choice: letter for letter, choice in listed.items()}
        asked_for = text.rpartition(" is ")[2].rstrip("?")
        if asked_for == "which":
            assert dict(note.rsplit(" ", 1) for note in answer.rstrip(".").split(". ")) == lettered
        else:
            assert answer == (listed[asked_for] if asked_for in LETTERS else lettered[asked_for])


def test_a_related_pair_in_words_is_read_rightly():
    rng = random.Random(9)
    seen = 0
    for scene in SCENES:
        question = sample_reading(rng, scene)
        body, text = question.text.split(". ", 1)
        found = re.fullmatch(r"(?:is the (\w+)|what is) (left of|right of|above|below) the (\w+)\?", text)
        if found and question.kind == "position" and "it is" not in body and body.count(" ") <= 8:
            by_kind = {thing.kind: thing for thing in scene.objects}
            a, b = by_kind[found[1] or question.answer], by_kind[found[3]]
            assert (found[2] in relations(a, b)) == (question.answer != "no")
            seen += 1
    assert seen > 20
