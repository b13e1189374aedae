"""Captions say what the scene shows, and are read back exactly."""

import random

import pytest

from blip3o.picturebook.world.captions import (
    caption,
    clear_relations,
    content_of,
    detailed_caption,
    long_caption,
    noun_phrase,
    parse_caption,
    plural,
    related,
    retold,
    short_caption,
)
from blip3o.picturebook.world.scene import ALL_KINDS, Scene, relations, stand
from blip3o.picturebook.world.stories import sample_scene

SCENES = [sample_scene(random.Random(seed)) for seed in range(800)]


def test_every_caption_parses_back_to_the_content_of_its_scene():
    rng = random.Random(0)
    for scene in SCENES:
        told = (
            caption(scene),
            short_caption(scene, rng),
            long_caption(scene, rng),
            detailed_caption(scene),
            retold(scene),
        )
        assert [parse_caption(text) for text in told] == [content_of(scene)] * len(told)


def test_a_caption_with_one_thing_wrong_claims_something_else():
    scene = Scene(place="beach", night=True, objects=(stand(random.Random(0), "dog", "red", (1, 1)),))
    assert caption(scene) == "a red dog on a beach at night"
    for wrong in (
        "a blue dog on a beach at night",
        "two red dogs on a beach at night",
        "a red cat on a beach at night",
    ):
        assert parse_caption(wrong) not in (None, content_of(scene))
    for wrong in ("a red dog in the snow at night", "a red dog on a beach by day"):
        assert parse_caption(wrong) not in (None, content_of(scene))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a red dog",
        "a dog on a beach at night",
        "a red dog on a beach",
        "a red dogs on a beach at night",
        "two red dog on a beach at night",
        "a orange dog on a beach at night",
        "an red dog on a beach at night",
        "a red dog a blue cat on a beach at night",
        "on a beach at night",
        "a red dog on a beach at night at night",
        "a red dog is in the middle.",
        "it is night on a beach.",
        "the quick brown fox",
    ],
)
def test_what_is_no_complete_caption_parses_to_none(text: str):
    assert parse_caption(text) is None


def test_letter_case_and_spaces_do_not_change_what_a_caption_claims():
    expected = (frozenset({(1, "red", "dog"), (2, "blue", "fish")}), "snow", False)
    assert parse_caption(" A red dog and two blue fish  in the snow by day .") == expected
    assert (
        parse_caption("a red dog is in the middle . two blue fish are side by side . it is day in the snow .")
        == expected
    )


def test_objects_named_one_by_one_count_as_a_group():
    assert parse_caption("a red dog and a red dog on a beach by day") == parse_caption("two red dogs on a beach by day")


def test_relations_in_words_hold():
    rng = random.Random(1)
    for scene in SCENES:
        told = related(scene, rng, colored=False)
        if told:
            by_kind = {thing.kind: thing for thing in scene.objects}
            a, b = (by_kind[told[index].split()[1]] for index in (0, 2))
            assert told[1] in relations(a, b)


def test_two_objects_always_stand_in_a_clear_relation():
    rng = random.Random(2)
    cells = [(row, column) for row in range(3) for column in range(3)]
    for _ in range(20):
        for a in cells:
            for b in cells:
                if a != b:
                    assert clear_relations(stand(rng, "dog", "red", a), stand(rng, "cat", "red", b))


def test_articles_and_plurals_are_english():
    assert noun_phrase(1, None, "umbrella") == "an umbrella"
    assert noun_phrase(1, "orange", "car") == "an orange car"
    assert noun_phrase(1, "red", "airplane") == "a red airplane"
    assert noun_phrase(3, "red", "fish") == "three red fish"
    assert (plural("bus"), plural("cactus"), plural("dog")) == ("buses", "cacti", "dogs")
    assert {plural(kind) for kind in ALL_KINDS if plural(kind) == kind} == {"fish"}
