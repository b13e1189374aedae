"""The suite's scores say what a model can do: all for one that can, nearly nothing for one that does not listen."""

import inspect
import json

import pytest

from blip3o.errors import ConfigError, DataError, OutputError
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.benchmarks import suite
from blip3o.picturebook.world.prompts import TAGS

SHARES = ("composition", "vqa", "caption", "edit", "dialogue", "riddle")


@pytest.fixture(autouse=True)
def _few_judged_scenes(monkeypatch):
    monkeypatch.setattr(suite, "JUDGED_SCENES", 20)


def run(model, judge, **options):
    return suite.run(model, judge=judge, **{"limit": 6, **options})


def shares(report):
    return {**report["metrics"]["generation"], **{name: report["metrics"][name] for name in SHARES}}


@pytest.mark.slow
def test_a_model_that_does_everything_right_gets_nearly_everything(oracle, judge):
    report = run(oracle, judge, limit=16, seed=3)
    assert {name: found["value"] for name, found in shares(report).items() if found["value"] < 0.93} == {}
    assert report["judge"]["accuracy"]["value"] > 0.9


@pytest.mark.slow
def test_a_model_that_does_not_listen_gets_nearly_nothing(scribbler, judge):
    found = shares(run(scribbler, judge, limit=16))
    assert {name: share["value"] for name, share in found.items() if share["value"] > 0.5} == {}
    assert found["overall"]["value"] < 0.15
    assert found["edit"]["value"] == found["dialogue"]["value"] == found["caption"]["value"] == 0


def test_the_report_has_every_score_with_its_number_and_interval(scribbler, judge):
    report = json.loads(json.dumps(run(scribbler, judge, limit=2)))
    assert set(report["metrics"]) == {"generation", "scene", *SHARES}
    assert set(report["metrics"]["generation"]) == {"overall", *TAGS}
    for score in (*shares(report).values(), report["judge"]["accuracy"]):
        assert set(score) - {"exact"} == {"value", "n", "low", "high"}
        assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert report["metrics"]["generation"]["overall"]["n"] == 12
    assert report["metrics"]["vqa"]["n"] == 2
    assert set(report["details"]) == {"scene", *SHARES, "frechet_distance"}


def test_without_a_limit_the_six_tasks_have_two_thousand_prompts():
    sizes = [group.size for name, group in suite.PICTUREBOOK.items() if name.startswith("generation/")]
    assert sum(sizes) == 2000
    assert max(sizes) - min(sizes) <= 1


def written(model, judge, folder, **options):
    run(model, judge, limit=3, groups=["vqa", "edit", "generation/position"], output=folder, **options)
    return [json.loads(line) for line in (folder / "scores.samples.jsonl").read_text().splitlines()]


def test_the_same_seed_asks_the_same_and_another_seed_something_else(scribbler, judge, tmp_path):
    first, again, other = (
        [sample["prompt"] for sample in written(scribbler, judge, tmp_path / name, seed=seed)]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_the_size_of_a_batch_changes_no_question_and_no_seed(scribbler, judge, tmp_path):
    by_two, by_many = (written(scribbler, judge, tmp_path / str(size), batch=size) for size in (2, 16))
    assert by_two == by_many


def test_every_question_is_written_down_with_its_picture(scribbler, judge, tmp_path):
    samples = written(scribbler, judge, tmp_path)
    assert [sample["id"] for sample in samples[:2]] == ["generation/position/0", "generation/position/1"]
    assert len(samples) == 9
    for sample in samples:
        assert {"prompt", "score", "parsed"} <= set(sample)
        assert sample["facts"]["expected"]
        drawn = [] if sample["category"] == "vqa" else sample["answer"]
        shown = [] if sample["category"].startswith("generation") else sample["pictures"]
        assert drawn or shown
        assert all((tmp_path / name).is_file() for name in (*drawn, *shown))


def test_progress_is_told_for_every_question(scribbler, judge):
    told = []
    run(scribbler, judge, limit=3, groups=["vqa"], progress=lambda *news: told.append(news))
    assert told == [("vqa", done, 3) for done in range(4)]


def test_drawings_have_an_exact_share_and_nothing_else_has(scribbler, judge):
    report = run(scribbler, judge, limit=2)
    groups = report["metrics"]["generation"] | report["metrics"]
    drawn = {"overall", *TAGS, "composition", "scene", "riddle"}
    assert {name for name, score in groups.items() if "exact" in score} == drawn
    for name in drawn:
        exact, score = groups[name]["exact"], groups[name]
        assert set(exact) == {"value", "n", "low", "high"}
        assert exact["n"] == score["n"]
        assert exact["value"] <= score["value"]
    assert groups["scene"]["exact"]["value"] == groups["scene"]["value"]


def stopping(questions):
    """Progress that is stopped when so many are answered."""
    left = iter(range(questions))

    def told(group, done, total):
        if done and next(left, None) is None:
            raise KeyboardInterrupt

    return told


@pytest.mark.parametrize("answered", [0, 2, 4, 8])
def test_a_stopped_run_goes_on_and_says_the_same(answered, scribbler, judge, tmp_path):
    asked = {"limit": 3, "groups": ["vqa", "scene", "generation/colors"], "batch": 2}
    whole = run(scribbler, judge, output=tmp_path / "whole", **asked)
    with pytest.raises(KeyboardInterrupt):
        run(scribbler, judge, output=tmp_path / "part", progress=stopping(answered), **asked)
    begun = json.loads((tmp_path / "part" / "scores.json").read_text())
    assert (begun["complete"], begun["metrics"]) == (False, {})
    again = run(scribbler, judge, output=tmp_path / "part", **asked)
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}
    texts = [(tmp_path / name / "scores.samples.jsonl").read_text() for name in ("whole", "part")]
    assert texts[0] == texts[1]


def test_more_groups_and_questions_join_what_is_there(scribbler, judge, tmp_path):
    run(scribbler, judge, limit=2, groups=["vqa"], output=tmp_path)
    report = run(scribbler, judge, limit=3, groups=["caption"], output=tmp_path)
    assert {name: score["n"] for name, score in report["metrics"].items()} == {"vqa": 2, "caption": 3}
    assert (report["n"], report["complete"]) == (5, False)
    lines = (tmp_path / "scores.samples.jsonl").read_text().splitlines()
    assert len(lines) == 5


def test_the_folder_of_another_model_or_seed_is_refused_and_forgotten_at_will(scribbler, judge, tmp_path):
    asked = {"groups": ["generation/colors"], "output": tmp_path}
    run(scribbler, judge, limit=3, about={"fingerprint": "abc"}, **asked)
    for other, told in (
        ({"about": {"fingerprint": "def"}}, r"\(model fingerprint abc, now def\)"),
        ({"about": {"fingerprint": "abc"}, "seed": 1}, r"\(seed 0, now 1\)"),
    ):
        with pytest.raises(DataError, match=told):
            run(scribbler, judge, limit=1, **asked, **other)
    run(scribbler, judge, limit=1, about={"fingerprint": "def"}, restart=True, **asked)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["generation-colors-0.png"]


@pytest.mark.parametrize("options", [{"suite": "picturbook"}, {"limit": 0}, {"groups": ["drawing"]}])
def test_what_cannot_be_asked_is_one_clear_error(scribbler, judge, options):
    with pytest.raises(ConfigError, match=r"picturbook|limit is 0|drawing"):
        run(scribbler, judge, **options)


def test_a_folder_that_cannot_be_written_is_one_clear_error(scribbler, judge, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make"):
        run(scribbler, judge, output=tmp_path / "file")


@pytest.mark.slow
def test_the_public_api_answers_everything_the_evals_ask():
    api = pytest.importorskip("blip3o.api")
    for name, method in inspect.getmembers(Candidate, inspect.isfunction):
        if not name.startswith("_"):
            offered = inspect.signature(getattr(api.BLIP3o, name)).parameters
            assert set(inspect.signature(method).parameters) <= set(offered), name
