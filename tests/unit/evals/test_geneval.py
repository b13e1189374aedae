"""GenEval's rules beyond the official cases: errors, and a detector's boxes in any order."""

import numpy as np
import pytest

from blip3o.evals.generation import geneval


def dogs(*boxes):
    return {"dog": np.array(boxes, np.float32).reshape(-1, 5)}


def prompt(**metadata):
    return geneval.Prompt.from_metadata({"tag": "single_object", "prompt": "p", **metadata})


def test_the_defaults_are_the_official_ones():
    rules = geneval.GenEvalRules()
    assert (rules.threshold, rules.counting_threshold) == (0.3, 0.9)
    assert (rules.max_objects, rules.max_overlap, rules.margin) == (16, 1.0, 0.1)


def test_a_clause_that_asks_for_nothing_is_refused():
    with pytest.raises(ValueError, match="count 0"):
        prompt(include=[{"class": "dog", "count": 0}])


def test_the_order_of_the_boxes_does_not_matter():
    boxes = [(0, 0, 9, 9, 0.4), (20, 0, 29, 9, 0.8), (40, 0, 49, 9, 0.6)]
    one, other = (geneval.keep(dogs(*order)["dog"], 0.5) for order in (boxes, boxes[::-1]))
    assert [tuple(found.box) for found in one] == [tuple(found.box) for found in other]
    assert [found.row for found in one] == [1, 2]


def test_a_clause_may_relate_to_an_earlier_one_only():
    wanted = prompt(include=[{"class": "dog", "count": 1, "position": ["left of", 1]}, {"class": "cat", "count": 1}])
    with pytest.raises(IndexError):
        geneval.evaluate_image(wanted, dogs((0, 0, 9, 9, 0.9)), lambda kind, found: [])


def test_colours_are_asked_for_only_where_they_matter():
    def never(kind, found):
        raise AssertionError

    assert geneval.evaluate_image(
        prompt(include=[{"class": "dog", "count": 1}]), dogs((0, 0, 9, 9, 0.9)), never
    ).correct


def test_a_mask_of_another_size_is_refused():
    from PIL import Image

    with pytest.raises(ValueError, match="expected the same size"):
        geneval.crop(Image.new("RGB", (4, 4)), (0, 0, 2, 2), np.ones((5, 4), bool))


def test_no_scores_have_no_summary():
    with pytest.raises(ValueError, match="no image was scored"):
        geneval.summarise([])


def test_a_task_with_more_images_weighs_no_more():
    scores = [geneval.Score("colors", "a", True)] * 9 + [geneval.Score("position", "b", False)]
    summary = geneval.summarise(scores)
    assert summary.overall == 0.5
    assert summary.image_share == 0.9
