"""Two folders of results are compared item by item, and what must not be compared is not."""

import json
import random
import re
import shutil
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

from blip3o.errors import DataError, OutputError
from blip3o.evals import report as page
from blip3o.evals.compare import compare, facts
from blip3o.evals.compare import paired as interval
from blip3o.evals.report import failures, rows, write_page

NASTY = "<script>alert('&\"')</script>"


def line(identity, score, **more):
    fields = {"category": "random", "prompt": f"Is there a {NASTY} in {identity}?", "pictures": [], "answer": "yes"}
    facts = {"label": "no & never"}
    rest = {"unit": identity, "parsed": "yes", "details": {}, "facts": facts}
    return {"id": identity, "score": score, **fields, **rest, **more}


def write(folder, scores, name="pope", lines=None, **more):
    """Results as the harness leaves them; `scores` of items 0, 1, 2, ..."""
    folder.mkdir(exist_ok=True)
    made = [line(f"q{index}", score) for index, score in enumerate(scores)] if lines is None else lines
    known = [one["score"] for one in made if one["score"] is not None]
    mean = sum(known) / len(known) if known else None
    result = {
        "benchmark": name,
        "protocol": "official",
        "kind": "understanding",
        "model": {"name": f"model {folder.name}"},
        "complete": True,
        "n": len(known),
        "of": len(made),
        "scored": True,
        "metrics": {"accuracy": {"value": mean, "low": None, "high": None}, "accuracy/part": {"value": 1.0}},
        "judge": None,
        "seed": 0,
        "versions": {"torch": "2.9"},
        "data": {"folder": "data", "digest": "abc"},
        **more,
    }
    (folder / f"{name}.json").write_text(json.dumps(result))
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
    (folder / f"{name}.samples.jsonl").write_text(text, encoding="utf-8")
    return folder


def paired(differences, units) -> Any:
    return interval(differences, units)


@pytest.fixture
def two(tmp_path):
    """Two models: B is right where A is, and on four of five of A's mistakes."""
    rng = random.Random(0)
    first = [float(rng.random() < 0.5) for _ in range(200)]
    second = [float(score or rng.random() < 0.8) for score in first]
    return write(tmp_path / "a", first), write(tmp_path / "b", second)


def only(comparison) -> Any:  # what may be None is there, in these tests
    assert len(comparison.matches) == 1
    return comparison.matches[0]


def test_a_model_does_not_differ_from_itself(two):
    match = only(compare(two[0], two[0]))
    found = match.scores.difference
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert [metric.difference for metric in match.metrics] == [0, 0]
    assert match.scores.counts.a_only == match.scores.counts.b_only == 0
    assert match.refusals == match.notes == ()


def test_swapping_the_two_turns_every_difference(two):
    one, other = only(compare(*two)), only(compare(*reversed(two)))
    found, turned = one.scores.difference, other.scores.difference
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert [metric.difference for metric in other.metrics] == [-metric.difference for metric in one.metrics]
    assert (one.scores.counts.a_only, one.scores.counts.b_only) == (
        other.scores.counts.b_only,
        other.scores.counts.a_only,
    )


def test_counts_add_up_to_the_difference(two):
    scores = only(compare(*two)).scores
    counts = scores.counts
    assert counts.a_only + counts.b_only + counts.both + counts.neither == scores.n == 200
    assert counts.a_only == 0
    assert (counts.b_only - counts.a_only) / scores.n == pytest.approx(scores.difference.value)
    assert scores.difference.low > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_known_shift_is_inside_its_interval(seed):
    rng = random.Random(seed)
    shifts = [0.1 + rng.gauss(0, 0.3) for _ in range(400)]
    found = paired(shifts, [str(index) for index in range(400)])
    assert found.low < 0.1 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.3 / 20, rel=0.15)


def test_items_of_one_unit_are_drawn_together():
    rng = random.Random(0)
    shifts = [rng.gauss(0, 1) for _ in range(100)]
    alone = paired(shifts, [str(index) for index in range(100)])
    copies = [shift for shift in shifts for _ in range(9)]
    together = paired(copies, [str(index) for index in range(100) for _ in range(9)])
    assert together.value == pytest.approx(alone.value)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    assert paired([0.5, 0.5], ["one", "one"]).low is None


def test_drawing_kinds_of_units_is_drawing_units(monkeypatch):
    whole = paired([0.5, -0.25, 1.0, 0.125], list("abcd"))
    monkeypatch.setattr("blip3o.evals.compare.AT_ONCE", 7)
    assert paired([0.5, -0.25, 1.0, 0.125], list("abcd")) == whole


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"protocol": "lmms"}, "protocols differ: official in A, lmms in B"),
        ({"judge": "gpt"}, "judges differ: none in A, gpt in B"),
        ({"data": {"digest": "xyz"}}, "data differ: abc in A, xyz in B"),
    ],
)
def test_what_must_not_be_compared_is_flagged_and_not_subtracted(tmp_path, change, what):
    a, b = write(tmp_path / "a", [1, 0]), write(tmp_path / "b", [1, 1], **change)
    comparison = compare(a, b)
    match = only(comparison)
    assert what in match.refusals[0]
    assert match.scores is None
    assert match.pairs == ()
    assert {metric.difference for metric in match.metrics} == {None}
    table = rows(comparison)
    assert table[1][:5] == ["pope", "accuracy", "0.500", "1.000", ""]
    assert what in table[1][-1]
    write_page(comparison, tmp_path / "page.html")
    assert what in (tmp_path / "page.html").read_text()


def test_an_incomplete_run_is_flagged_and_compared_on_the_items_of_both(tmp_path):
    a = write(tmp_path / "a", [1, 0, 1, 0])
    b = write(tmp_path / "b", [1, 1], complete=False, of=4)
    match = only(compare(a, b))
    assert match.notes[0] == "B is not complete: 2 of 4 items are scored"
    assert "metrics are not subtracted" in match.notes[1]
    assert match.metrics[0].difference is None
    assert (match.scores.n, match.scores.difference.value) == (2, 0.5)


def test_two_runs_of_the_same_part_are_subtracted(tmp_path):
    part = {"complete": False, "of": 9}
    match = only(compare(write(tmp_path / "a", [1, 0], **part), write(tmp_path / "b", [1, 1], **part)))
    assert match.metrics[0].difference == 0.5


def test_answers_that_are_not_scored_count_nothing(tmp_path):
    a = write(tmp_path / "a", [1, None, 0], scored=False)
    b = write(tmp_path / "b", [0, 1, 0])
    match = only(compare(a, b))
    assert match.scores.n == 2
    assert "A has answers that are not scored" in match.notes[0]
    assert [pair.outcome for pair in failures(match)] == ["A better", "neither right", "not scored"]


def test_without_answers_only_the_numbers_are_compared(two):
    (two[1] / "pope.samples.jsonl").unlink()
    match = only(compare(*two))
    assert match.notes == ("B keeps no answers: only its numbers are shown",)
    assert match.scores is None
    assert match.metrics[0].difference > 0


def test_other_seeds_and_versions_are_told(tmp_path):
    a, b = write(tmp_path / "a", [1, 0]), write(tmp_path / "b", [1, 1], seed=3, versions={"torch": "3.0"})
    notes = only(compare(a, b)).notes
    assert notes == ("seeds differ: 0 in A, 3 in B", "versions differ: torch 2.9 in A, 3.0 in B")


def test_categories_have_scores_of_their_own(tmp_path):
    def lines(scores):
        return [line(f"q{index}", score, category="odd" if index % 2 else "") for index, score in enumerate(scores)]

    a, b = write(tmp_path / "a", [], lines=lines([0, 1, 0, 1])), write(tmp_path / "b", [], lines=lines([1, 1, 0, 0.5]))
    match = only(compare(a, b))
    assert {name: part.difference.value for name, part in match.categories.items()} == {"": 0.5, "odd": -0.25}
    assert match.categories[""].counts.b_only == 1
    assert match.categories["odd"].counts is None


def test_an_end_of_line_inside_an_answer_ends_no_line(tmp_path):
    a = write(tmp_path / "a", [], lines=[line("q0", 1, answer="one\u2028two\x85three")])
    assert only(compare(a, a)).pairs[0].a.answer == "one\u2028two\x85three"


def test_the_table_has_a_row_for_each_number_and_one_for_the_scores(two):
    table = rows(compare(*two))
    assert {len(row) for row in table} == {len(table[0])}
    assert [row[1] for row in table] == ["number", "accuracy", "mean score"]
    assert re.fullmatch(r"\+0\.\d{3}\n\+0\.\d{3} to \+0\.\d{3}", table[2][4])
    assert [row[4] for row in rows(compare(two[0], two[0]))[1:]] == ["0.000", "0.000\n0.000 to 0.000"]


def test_a_folder_with_the_results_of_one_model_stands_for_them(two, tmp_path):
    (tmp_path / "results" / "judge").mkdir(parents=True)
    shutil.copytree(two[1], tmp_path / "results" / "mine")
    comparison = compare(two[0], tmp_path / "results")
    assert comparison.b.folder == tmp_path / "results" / "mine"
    assert only(comparison).scores.n == 200


def test_another_way_of_loading_is_told(tmp_path):
    a, b = (
        write(tmp_path / name, [1, 0], model={"name": "m", "loaded": {"dtype": dtype, **more}})
        for name, dtype, more in (("a", "float32", {}), ("b", "bfloat16", {"quantize": "nf4"}))
    )
    (note,) = only(compare(a, b)).notes
    assert note == "ways of loading differ: dtype float32 in A, bfloat16 in B; quantize none in A, nf4 in B"


def test_items_of_one_name_that_ask_something_else_are_not_compared(tmp_path):
    a = write(tmp_path / "a", [], lines=[line("q0", 1), line("q1", 0)])
    b = write(tmp_path / "b", [], lines=[line("q0", 1), line("q1", 1, prompt="What?")])
    match = only(compare(a, b))
    assert match.refusals == ("not compared, 1 of their items of one name are asked in other words, q1 first",)
    assert (match.pairs, match.scores) == ((), None)


def suite_scores(**more):
    share = {"value": 0.5, "n": 4, "low": 0.2, "high": 0.8}
    metrics = {"generation": {"overall": {**share, **more}, "colors": share}, "vqa": share}
    return {
        "suite": "picturebook",
        "model": {"name": "m"},
        "seed": 0,
        "limit": 4,
        "metrics": metrics,
        "judge": {"accuracy": share},
    }


def test_scores_of_a_suite_of_a_time_without_answers_can_still_be_read(tmp_path):
    for name, more in (("a", {}), ("b", {"exact": {"value": 0.25, "n": 4, "low": 0.1, "high": 0.6}})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps(suite_scores(**more)))
    match = only(compare(tmp_path / "a", tmp_path / "b"))
    assert (match.name, match.refusals) == ("picturebook", ())
    numbers = {metric.name: (metric.a and metric.a.value, metric.b and metric.b.value) for metric in match.metrics}
    assert numbers == {
        "generation": (0.5, 0.5),
        "generation/colors": (0.5, 0.5),
        "vqa": (0.5, 0.5),
        "generation, exact": (None, 0.25),
    }


def test_a_comparison_is_json_without_its_items(two):
    told = json.loads(json.dumps(facts(compare(*two))))
    match = told["benchmarks"]["pope"]
    assert set(told) == {"a", "b", "only_a", "only_b", "benchmarks"}
    assert set(match) == {"n", "refusals", "notes", "metrics", "scores", "categories"}
    assert match["scores"]["difference"]["value"] == match["metrics"]["accuracy"]["difference"] > 0


def test_benchmarks_of_one_folder_alone_are_named(two, tmp_path):
    write(two[0], [1], name="gqa")
    comparison = compare(*two)
    assert (comparison.only_a, comparison.only_b) == (("gqa",), ())
    write_page(comparison, tmp_path / "page.html")
    assert "Only A was asked gqa" in (tmp_path / "page.html").read_text()


def test_folders_that_cannot_be_compared_are_one_line(two, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.json").write_text("{}")
    for name, what in (
        ("nowhere", "is no folder"),
        ("empty", r"holds no results \(it is empty\): name a folder"),
        ("notes", r"holds no results \(only notes.json\): name a folder"),
        (".", r"holds results of 2 models \(a, b\): name one, such as .*/a$"),
    ):
        with pytest.raises(DataError, match=what):
            compare(two[0], tmp_path / name)
    other = write(tmp_path / "other", [1], name="gqa")
    with pytest.raises(DataError, match="no benchmark is in both folders"):
        compare(two[0], other)


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("pope.samples.jsonl", '{"id": "q0"', "line 1, is no JSON"),
        ("pope.samples.jsonl", '\n{"id": "q0"}\n', "line 2, has no prompt, answer, score"),
        ("pope.samples.jsonl", "[]", "line 1, has no id, prompt, answer, score"),
        ("pope.json", "{", "is no JSON"),
        ("pope.json", '{"benchmark": "pope", "metrics": []}', "has no protocol, model, metrics, data"),
    ],
)
def test_a_broken_file_is_one_line(two, file, text, what):
    (two[1] / file).write_text(text)
    with pytest.raises(DataError, match=what) as raised:
        compare(*two)
    assert "\n" not in str(raised.value)


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(tmp_path):
    """Two models that drew: A a small picture of an awkward name, B a large one; and one that is missing."""

    def lines(folder, size):
        folder.mkdir()
        Image.effect_noise((size, size), 50).save(folder / "a #1%?.png")
        found = ["a #1%?.png", "lost.png"]
        return [line("q0", 0.25 * (size > 9), answer=found, pictures=["a #1%?.png", None], category=NASTY)]

    here = tmp_path / "drawn"
    here.mkdir()
    return [write(here / name, [], lines=lines(here / name, size)) for name, size in (("a", 8), ("b", 300))]


def test_the_page_refers_to_pictures_that_are_there(drawn, tmp_path):
    here = tmp_path / "deep" / "page.html"
    write_page(compare(*drawn), here)
    text = here.read_text()
    sources = [unescape(found) for found in re.findall(r'<img[^>]* src="([^"]*)"', text)]
    assert [source.partition(",")[0] for source in sources][:2] == ["data:image/png;base64"] * 2
    assert sources[2] == "../drawn/b/a%20%231%25%3F.png"
    assert (here.parent / unquote(sources[2])).is_file()
    assert text.count("no picture at lost.png") == 2
    assert "a picture inside the data" in text


def test_the_page_shows_every_prompt_and_no_markup_of_others(two, drawn, tmp_path):
    for folders in (two, drawn):
        comparison = compare(*folders)
        write_page(comparison, tmp_path / "page.html")
        text = (tmp_path / "page.html").read_text()
        shown = failures(only(comparison))
        assert len(shown) == text.count("<article") > 0
        assert all(pair.item.prompt in unescape(text) for pair in shown)
        assert NASTY not in text
        assert text.count("<script>") == 1
        assert not re.search(r"(src|href)=\"(https?:)?//", text)


def test_items_that_differ_come_first_and_the_rest_is_counted(two, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST_ITEMS", 10)
    comparison = compare(*two)
    match = only(comparison)
    outcomes = [pair.outcome for pair in failures(match)]
    assert outcomes == sorted(outcomes, key=["B better", "neither right"].index)
    write_page(comparison, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert text.count("<article") == 10
    counts = match.scores.counts
    assert f"{len(outcomes) - 10} of {len(outcomes)} are left out here ({counts.b_only - 10} B better, " in text


@pytest.mark.parametrize("name", ["x.png", "x", "x.htm", "x.html.zip"])
def test_a_page_ends_in_html(two, tmp_path, name):
    with pytest.raises(OutputError, match=rf"{name}: a comparison is a page, name a file that ends in .html"):
        write_page(compare(*two), tmp_path / name)


def test_a_page_that_cannot_be_written_is_an_error(two, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make"):
        write_page(compare(*two), tmp_path / "file" / "page.html")


def test_a_page_of_half_a_character_can_be_written(two, tmp_path):
    comparison = compare(*two)
    side = replace(comparison.a, name="model \ud800")
    write_page(replace(comparison, a=side), tmp_path / "page.html")
    assert "model &#55296;" in (tmp_path / "page.html").read_text()
