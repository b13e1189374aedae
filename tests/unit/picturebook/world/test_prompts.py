"""Drawing prompts fit their scenes; GenEval's cases have its format."""

import random

import pytest

from blip3o.picturebook.world.captions import plural
from blip3o.picturebook.world.prompts import TAGS, draw_prompt, geneval_case
from blip3o.picturebook.world.split import HELD_OUT_COLORS, HELD_OUT_PAIRS
from blip3o.picturebook.world.stories import sample_scene

COMBINED = ("two_object", "colors", "position", "color_attr")
EXPECTED = {
    "single_object": "a photo of {0}",
    "two_object": "a photo of {0} and {1}",
    "colors": "a photo of {0}",
    "color_attr": "a photo of {0} and {1}",
}


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def is_unseen(include: list) -> bool:
    kinds = frozenset(clause["class"] for clause in include)
    return kinds in HELD_OUT_PAIRS or any((c.get("color"), c["class"]) in HELD_OUT_COLORS for c in include)


def test_a_drawing_prompt_names_every_kind_of_its_scene():
    rng = random.Random(0)
    for _ in range(500):
        scene = sample_scene(rng)
        words = draw_prompt(scene, rng).replace(".", " ").replace(",", " ").split()
        for kind in {thing.kind for thing in scene.objects}:
            assert kind in words or plural(kind) in words


@pytest.mark.parametrize("tag", sorted(EXPECTED))
def test_a_geneval_prompt_is_its_template_filled_with_its_clauses(tag: str):
    rng = random.Random(1)
    for _ in range(200):
        case = geneval_case(rng, tag)
        prompt = case["prompt"]
        told = [article(" ".join(filter(None, (c.get("color"), c["class"])))) for c in case["include"]]
        assert prompt == case["prompt"] == EXPECTED[tag].format(*told)
        assert case["tag"] == tag
        assert all(clause["count"] == 1 for clause in case["include"])


def test_a_counting_case_excludes_one_more():
    rng = random.Random(2)
    for _ in range(100):
        case = geneval_case(rng, "counting")
        prompt = case["prompt"]
        (clause,), (more,) = case["include"], case["exclude"]
        assert prompt == f"a photo of {['two', 'three', 'four'][clause['count'] - 2]} {plural(clause['class'])}"
        assert more == {"class": clause["class"], "count": clause["count"] + 1}


def test_a_position_case_puts_the_target_first_and_refers_to_it():
    rng = random.Random(3)
    for _ in range(100):
        case = geneval_case(rng, "position")
        prompt = case["prompt"]
        target, placed = case["include"]
        relation, index = placed["position"]
        assert index == 0
        assert "position" not in target
        assert prompt == f"a photo of {article(placed['class'])} {relation} {article(target['class'])}"


@pytest.mark.parametrize("tag", TAGS)
def test_cases_of_the_training_split_avoid_the_composition_split(tag: str):
    rng = random.Random(4)
    assert not any(is_unseen(geneval_case(rng, tag)["include"]) for _ in range(500))


@pytest.mark.parametrize("tag", COMBINED)
def test_held_out_cases_are_of_the_composition_split(tag: str):
    rng = random.Random(5)
    for _ in range(300):
        include = geneval_case(rng, tag, held_out=True)["include"]
        assert is_unseen(include)
        assert len({clause["class"] for clause in include}) == len(include)


def test_cases_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="expected one of single_object"):
        geneval_case(random.Random(0), "colour")
    with pytest.raises(ValueError, match="names no combination"):
        geneval_case(random.Random(0), "counting", held_out=True)
