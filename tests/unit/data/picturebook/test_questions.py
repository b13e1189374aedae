"""Answers are right, checked by a second reading of the scene, and balanced."""

import random
import re
from collections import Counter

import pytest

from blip3o.data.picturebook.captions import CELL_NAMES, CELL_PHRASES, COUNTS, plural
from blip3o.data.picturebook.edits import PLACE_NAMES
from blip3o.data.picturebook.questions import (
    LETTERS,
    QUESTIONS,
    Question,
    sample_drill,
    sample_question,
    sample_reading,
)
from blip3o.data.picturebook.scene import ALL_KINDS, COLORS, GROUP_OF, KINDS, Object, Scene, relations
from blip3o.data.picturebook.world import sample_scene

SINGULAR = {plural(kind): kind for kind in ALL_KINDS} | {f"{group}s": group for group in KINDS}
NOUNS = {*ALL_KINDS, *KINDS, *SINGULAR, "objects"}
SCENES = [sample_scene(random.Random(seed)) for seed in range(600)]


def fits(thing: Object, words: list[str]) -> bool:
    """Whether the object is what "red dog(s)", "animal(s)" or "objects" means."""
    *tint, noun = words
    noun = SINGULAR.get(noun, noun)
    return noun in ("objects", thing.kind, GROUP_OF[thing.kind]) and tint in ([], [thing.color])


def noun_words(text: str) -> list[list[str]]:
    words = re.findall("[a-z]+", text)
    ends = [index for index, word in enumerate(words) if word in NOUNS]
    return [words[i - 1 : i + 1] if words[i - 1] in COLORS else [words[i]] for i in ends]


def kinds_of(scene: Scene, kind: str) -> list[Object]:
    return [thing for thing in scene.objects if thing.kind == kind]


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


@pytest.fixture(scope="module")
def drills() -> list[tuple[Scene, str, str]]:
    rng = random.Random("drills")
    return [(scene, (drill := sample_drill(rng, scene)).text, drill.answer) for scene in SCENES * 4]


def test_a_searched_object_is_where_the_answer_says_or_nowhere(drills):
    found = [(scene, text, answer) for scene, text, answer in drills if text.startswith("where")]
    for scene, text, answer in found:
        wanted = noun_words(text)[0]
        cells = [CELL_NAMES[thing.cell] for thing in scene.objects if fits(thing, wanted)]
        assert cells == ([] if answer == f"there is no {' '.join(wanted)}." else [answer]), text
    assert 0.35 < sum(answer.startswith("there") for _, _, answer in found) / len(found) < 0.7


def test_the_answered_relation_holds_and_its_opposite_was_offered(drills):
    found = [case for case in drills if re.match("is the .* or ", case[1]) and case[2] not in COLORS]
    assert len(found) > 100
    for scene, text, answer in found:
        a, b = (kinds_of(scene, words[-1])[0] for words in noun_words(text))
        assert answer in relations(a, b)
        assert f"{answer} or" in text or f"or {answer} the" in text


def test_two_counts_are_right(drills):
    found = [case for case in drills if case[1].startswith("how many")]
    assert len(found) > 100
    for scene, text, answer in found:
        counts = [COUNTS[len(kinds_of(scene, SINGULAR[words[-1]]))] for words in noun_words(text)]
        assert answer == " and ".join(counts), text


def test_exactly_the_answered_choice_is_right(drills):
    found = [case for case in drills if case[1].startswith(("is there", "is the ", "are the")) and "," in case[1]]
    assert len(found) > 100
    for scene, text, answer in found:
        if answer in COLORS:
            kind = SINGULAR.get(noun_words(text)[0][-1], noun_words(text)[0][-1])
            assert {thing.color for thing in kinds_of(scene, kind)} == {answer}
            assert answer in text
        else:
            offered = [words[-1] for words in noun_words(text)]
            assert [kind for kind in offered if kinds_of(scene, kind)] == [answer.split()[-1]]


def test_letters_stand_for_what_follows_them(drills):
    found = [case for case in drills if case[1].startswith("a. ")]
    assert len(found) > 100
    for _, text, answer in found:
        listed = dict(re.findall(r"\b([a-d])\. (\w+)", text.rpartition(". wh")[0]))
        asked_for = text.split()[-1].rstrip("?")
        assert answer == (listed[asked_for] if asked_for in LETTERS else {v: k for k, v in listed.items()}[asked_for])
