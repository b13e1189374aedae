"""A strange word is answered by its meaning before its letters, and not at all rather than by chance."""

import pytest

from blip3o.picturebook.vocabulary import grouped
from blip3o.processing.suggestions import suggestions


@pytest.fixture(scope="module")
def known(words):
    return words.known


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *[("colour", ["color"]), ("Colours", ["color"]), ("painting", ["paint"]), ("raining", ["rain"])],
        *[("3", ["three"]), ("5", ["four"]), ("five", ["four"]), ("0", ["zero"]), ("99", ["four"])],
        *[("single", ["one"]), ("both", ["two"]), ("them", ["it"]), ("swap", ["replace"]), ("erase", ["delete"])],
        *[("puppies", ["dog"]), ("kitten", ["cat"]), ("aeroplanes", ["airplane"]), ("violet", ["purple"])],
        *[
            ("cta", ["cat"]),
            ("dgo", ["dog"]),
            ("grren", ["green"]),
            ("umbrela", ["umbrella"]),
            ("airplan", ["airplane"]),
        ],
    ],
)
def test_a_word_is_answered_by_what_it_means(known, word, meant):
    assert suggestions(word, known)[:1] == meant


@pytest.mark.parametrize("word", ["horses", "hello", "gray", "giraffe", "zeppelin", "hund", "sheep", "ten\0", "犬"])
def test_a_word_that_means_nothing_known_is_not_answered_by_chance(known, word):
    assert suggestions(word, known) == []


def test_no_suggestion_is_itself_unknown(known):
    for word in ("grey", "gray", "ship", "trucks", "mugs", "twice", "7"):
        assert set(suggestions(word, ("boat", "cup"))) <= {"boat", "cup"}
        assert set(suggestions(word, known)) <= set(known)


def test_several_strange_words_are_answered_one_by_one(template):
    from blip3o.errors import PromptError

    with pytest.raises(PromptError) as raised:
        template.check("3 colour giraffe")
    assert str(raised.value) == (
        "this model has never read '3', 'colour', 'giraffe': did you mean three for 3, color for colour? "
        "(`blip3o info` lists the words it knows)"
    )


def test_every_word_is_in_one_group_of_its_kind(known):
    groups = grouped(known)
    assert sorted(word for members in groups.values() for word in members) == sorted(known)
    for name, word in (("objects", "cacti"), ("colors", "pink"), ("numbers", "three"), ("places", "beach")):
        assert word in groups[name]
    for name, word in (("times", "night"), ("positions", "above"), ("deeds", "remove"), ("others", "carrots")):
        assert word in groups[name]


def test_words_of_another_world_are_one_group():
    assert grouped(["zeppelin"]) == {"others": ["zeppelin"]}
