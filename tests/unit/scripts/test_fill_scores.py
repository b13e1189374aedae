"""The tables of README.md and of the model card come from the files that keep the numbers."""

import json

import pytest

from scripts.fill_scores import SCORES, SPEED, fill, gather

TEXT = "before\n<!-- scores -->\nold\n<!-- end -->\nbetween\n<!-- speed -->\nold\n<!-- end -->\nafter\n"


@pytest.fixture
def kept(tmp_path):
    """Files of some numbers."""
    share = {"value": 0.5, "n": 2000, "low": 0.47, "high": 0.53}
    drawn = share | {"exact": {"value": 0.25, "n": 2000, "low": 0.23, "high": 0.27}}
    metrics = {"generation": {"overall": drawn}, "composition": share, "scene": drawn, "vqa": share}
    files = {
        "scores": {"metrics": metrics, "judge": {"accuracy": share}},
        "speed": {"demo_s": {"value": 12.345, "low": 11.9, "high": 13.02}, "machine": "an abacus"},
        "run": {"hours": 3.21},
    }
    for name, numbers in files.items():
        (tmp_path / name).write_text(json.dumps(numbers))
    return gather(*(tmp_path / name for name in ("scores", "speed", "run")))


def test_a_number_nobody_has_measured_shows_as_its_name():
    empty = fill(TEXT, {})
    assert all("{{" + row.key + "}}" in empty for row in (*SCORES, *SPEED))


def test_a_file_that_is_not_there_holds_no_number(tmp_path):
    assert fill(TEXT, gather(tmp_path / "a", tmp_path / "b", tmp_path / "c")) == fill(TEXT, {})


def test_measured_numbers_stand_in_their_rows(kept):
    lines = fill(TEXT, kept).splitlines()
    assert "| **answering questions** | 0.500 | 0.470 to 0.530 |  |  | 2,000 | 0.97 |" in lines
    assert "| `make demo`, once installed | 12.3 s | 11.9 s to 13.0 s | 30 s |" in lines
    assert "| the whole recipe, from nothing | 3.2 h |  | 3 h |" in lines
    assert "Measured on an abacus." in lines


def test_the_share_of_exact_drawings_stands_beside_the_official_one(kept):
    lines = fill(TEXT, kept).splitlines()
    numbers = "0.500 | 0.470 to 0.530 | 0.250 | 0.230 to 0.270 | 2,000"
    assert f"| **drawing: mean of the six tasks** | {numbers} | 0.90 |" in lines
    assert f"| **whole scenes: all of it right** | {numbers} |  |" in lines


def test_scores_of_a_time_without_exact_ones_are_still_shown(kept):
    told = "| **drawing what training never combined** | 0.500 | 0.470 to 0.530 |  |  | 2,000 | 0.75 |"
    assert told in fill(TEXT, kept).splitlines()


def test_filling_twice_changes_nothing_and_what_stands_around_stays(kept):
    once = fill(TEXT, {})
    assert fill(fill(once, kept), kept) == fill(once, kept)
    assert fill(fill(once, kept), {}) == once
    assert [line for line in once.splitlines() if line in ("before", "between", "after")] == [
        "before",
        "between",
        "after",
    ]
