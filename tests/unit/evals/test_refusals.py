"""One item that cannot be asked or judged is kept with its reason and counted; the others have their number."""

import importlib
import json

import pytest
from benchmark_data import content
from benchmark_toys import MODEL, Judged, Many, Scripted, Unasked, Words, run

from blip3o.errors import DataError, JudgeRefusalError, PictureError
from blip3o.evals import registry
from blip3o.evals.benchmark import USUAL, BenchmarkOptions, Item, Verdict
from blip3o.evals.runner import BenchmarkRun, Plan, read


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals have tests of their own."""
    monkeypatch.setattr("blip3o.evals.benchmark.RESAMPLES", 10)
    monkeypatch.setattr("blip3o.evals.benchmark.LEAST_RESAMPLES", 10)


class WithPictures(Many):
    """Forty questions about pictures, some of which are not fit to be seen."""

    def __init__(self, bad):
        super().__init__("official")
        self.bad = bad

    def items(self, folder):
        return [
            Item(id=str(number), prompt="x" * number, pictures=(self.bad.get(number, content()),))
            for number in range(1, 41)
        ]


BAD = {
    "cut": content()[:60],
    "empty": b"",
    "no picture": b"words",
    "no base64": "!" * 101,
    "a bomb": content(size=(20_000, 6_000)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_picture_is_refused_by_name_and_the_rest_is_asked(tmp_path, bad):
    candidate = Words()
    result = run(tmp_path, WithPictures({16: bad}), candidate).go()
    assert (result["complete"], result["refused"], result["n"], result["not_trusted"]) == (True, 1, 40, None)
    assert result["why_refused"].startswith("item 16: a picture inside the data")
    assert (len(candidate.asked), "x" * 16 in candidate.asked) == (39, False)
    lines = {line["id"]: line for line in read_lines(tmp_path)}
    assert (lines["16"]["answer"], "refused" in lines["16"], "refused" in lines["15"]) == ("", True, False)


def test_a_picture_that_the_model_cannot_take_is_refused_as_well(tmp_path):
    class Narrow(Words):
        def understand(self, images, questions, **rest):
            if any(max(image.size) > 200 * min(image.size) for (image,) in images):
                raise PictureError("the picture has 1093 x 5 px")
            return super().understand(images, questions, **rest)

    result = run(tmp_path, WithPictures({16: content(size=(1093, 5))}), Narrow()).go()
    assert (result["refused"], result["why_refused"]) == (1, "item 16: the picture has 1093 x 5 px")


def test_past_a_share_of_refusals_the_number_is_not_to_be_trusted(tmp_path):
    few = run(tmp_path / "few", WithPictures(dict.fromkeys((1, 2), b""))).go()
    many = run(tmp_path / "many", WithPictures(dict.fromkeys((1, 2, 3), b""))).go()
    assert (few["refused"], few["not_trusted"], bool(few["metrics"])) == (2, None, True)
    assert many["not_trusted"].startswith("3 of 40 items have no answer or no opinion of the judge, more than 5%")
    assert many["metrics"]


class Filtering(Scripted):
    """Will never look at some items."""

    def __init__(self, name, *filtered):
        super().__init__(name)
        self.filtered = filtered

    def ask(self, prompt, pictures=(), settings=USUAL) -> str:
        if len(prompt) in self.filtered:
            raise JudgeRefusalError("content filter")
        return "1"


class Opinionated(Judged):
    """What is missing is worth nothing, and no judge is asked."""

    def score(self, item, answer):
        return Verdict(score=0.0) if not answer else super().score(item, answer)


def test_an_item_that_the_judge_refuses_is_scored_as_a_missing_answer_and_the_rest_stands(tmp_path):
    result = run(tmp_path, Opinionated("official", Filtering("prude", 7))).go()
    assert (result["scored"], result["complete"], result["n"], result["unscored"]) == (True, True, 40, 1)
    assert (result["not_scored"], result["not_trusted"]) == (None, None)
    assert result["why_unscored"] == "item 7: content filter"
    assert result["metrics"]["accuracy"]["value"] == 39 / 40
    again = run(tmp_path, Opinionated("official", Filtering("prude")), candidate=Unasked()).go()
    assert (again["unscored"], again["metrics"]["accuracy"]["value"]) == (0, 1)


def test_without_a_judge_what_one_refused_stays_as_it_is(tmp_path):
    first = run(tmp_path, Opinionated("official", Filtering("prude", 7))).go()
    assert run(tmp_path, Opinionated("official"), candidate=Unasked()).go() == first


def test_a_judge_that_refuses_everything_gives_no_number(tmp_path):
    result = run(tmp_path, Opinionated("official", Filtering("prude", *range(1, 41)))).go()
    assert (result["scored"], result["metrics"], result["unscored"]) == (False, {}, 40)


def test_half_a_pair_of_surrogates_in_an_answer_is_kept(tmp_path):
    class Odd(Words):
        def understand(self, images, questions, **rest):
            return ["yes \ud83d"] * len(questions)

    run(tmp_path, candidate=Odd()).go()
    assert {line["answer"] for line in read_lines(tmp_path)} == {"yes \ud83d"}
    assert run(tmp_path, candidate=Unasked()).go()["complete"]


def read_lines(folder):
    return [json.loads(line) for line in (folder / "out" / "many.samples.jsonl").read_text().splitlines()]


SPOILED = {
    "pope": ("coco_pope_random.json", '"text"', '"texts"'),
    "textvqa": ("TextVQA_0.5.1_val.json", '"data"', '"date"'),
    "vqav2": ("v2_mscoco_val2014_annotations.json", '"answers"', '"answer"'),
    "gqa": ("testdev_balanced_questions.json", '"semantic"', '"semantics"'),
    "seedbench": ("SEED-Bench.json", '"data_type"', '"type"'),
    "mmvet": ("mm-vet.json", '"capability"', '"ability"'),
    "geneval": ("evaluation_metadata.jsonl", '"include"', '"includes"'),
    "imgedit": ("basic_edit.json", '"edit_type"', '"type"'),
}


@pytest.mark.parametrize("name", SPOILED)
def test_files_of_another_form_are_one_line(tmp_path, name):
    importlib.import_module(f"benchmark_data.{name}").write(tmp_path)
    benchmark = registry.build(name, BenchmarkOptions())
    assert read(benchmark, tmp_path)
    file, known, other = SPOILED[name]
    (path,) = tmp_path.rglob(file)
    path.write_text(path.read_text().replace(known, other))
    with pytest.raises(DataError) as raised:
        read(benchmark, tmp_path)
    assert "\n" not in str(raised.value)
    for junk in ("[1, 2]", "3", '"x"', "{}", '{"x": 1}', "null"):
        path.write_text(junk)
        with pytest.raises(DataError):
            BenchmarkRun(benchmark, read(benchmark, tmp_path), MODEL, Words, Plan(folder=tmp_path / "out"))
