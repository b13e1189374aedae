"""The suite's scores say what a model can do: all for one that can, nearly nothing for one that does not listen."""

import inspect
import json

import pytest

from blip3o.errors import ConfigError, DataError, OutputError, PromptError
from blip3o.evals.candidate import Candidate
from blip3o.evals.evaluate import evaluate
from blip3o.picturebook.benchmarks.benchmark import GROUPS
from blip3o.picturebook.world.prompts import TAGS

SHARES = ("composition", "vqa", "caption", "edit", "dialogue", "riddle")


@pytest.fixture(autouse=True)
def _few_judged_scenes(monkeypatch):
    monkeypatch.setattr("blip3o.picturebook.benchmarks.benchmark.JUDGED_SCENES", 20)


def run(model, **options):
    (result,) = evaluate(model, ["picturebook"], **{"limit": 6, **options})
    return result


def shares(report):
    return {**report["metrics"]["generation"], **{name: report["metrics"][name] for name in SHARES}}


@pytest.mark.slow
def test_a_model_that_does_everything_right_gets_nearly_everything(oracle):
    report = run(oracle, limit=16, seed=3)
    assert {name: found["value"] for name, found in shares(report).items() if found["value"] < 0.93} == {}
    assert report["judge"]["accuracy"]["value"] > 0.9


@pytest.mark.slow
def test_a_model_that_does_not_listen_gets_nearly_nothing(scribbler):
    found = shares(run(scribbler, limit=16))
    assert {name: share["value"] for name, share in found.items() if share["value"] > 0.5} == {}
    assert found["overall"]["value"] < 0.15
    assert found["edit"]["value"] == found["dialogue"]["value"] == found["caption"]["value"] == 0


def test_the_report_has_every_score_with_its_number_and_interval(scribbler):
    report = json.loads(json.dumps(run(scribbler, limit=2)))
    assert set(report["metrics"]) == {"generation", "scene", *SHARES}
    assert set(report["metrics"]["generation"]) == {"overall", *TAGS}
    for score in (*shares(report).values(), report["judge"]["accuracy"]):
        assert set(score) - {"exact"} == {"value", "n", "low", "high"}
        assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert report["metrics"]["generation"]["overall"]["n"] == 12
    assert report["metrics"]["vqa"]["n"] == 2
    assert set(report["details"]) == {"scene", *SHARES, "frechet_distance"}


def test_without_a_limit_the_six_tasks_have_two_thousand_prompts():
    sizes = [group.size for name, group in GROUPS.items() if name.startswith("generation/")]
    assert sum(sizes) == 2000
    assert max(sizes) - min(sizes) <= 1


def written(model, folder, **options):
    run(model, limit=3, groups=["vqa", "edit", "generation/position"], output=folder, **options)
    return lines(folder)


def lines(folder):
    path = folder / "scribbler" / "picturebook.samples.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_same_seed_asks_the_same_and_another_seed_something_else(scribbler, tmp_path):
    first, again, other = (
        [sample["prompt"] for sample in written(scribbler, tmp_path / name, seed=seed)]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_the_size_of_a_batch_changes_no_question_and_no_seed(scribbler, tmp_path):
    by_two, by_many = (written(scribbler, tmp_path / str(size), batch_size=size) for size in (2, 16))
    assert by_two == by_many


def test_every_question_is_written_down_with_its_picture(scribbler, tmp_path):
    samples = written(scribbler, tmp_path)
    assert [sample["id"] for sample in samples[:2]] == ["generation/position/0", "generation/position/1"]
    assert len(samples) == 9
    for sample in samples:
        assert {"prompt", "score", "parsed"} <= set(sample)
        assert sample["facts"]["expected"]
        drawn = [] if sample["category"] == "vqa" else sample["answer"]
        shown = [] if sample["category"].startswith("generation") else sample["pictures"]
        assert drawn or shown
        assert all((tmp_path / "scribbler" / name).is_file() for name in (*drawn, *shown))


def test_progress_is_told_for_every_batch(scribbler):
    told = []
    run(scribbler, limit=3, groups=["vqa"], batch_size=1, progress=lambda *news: told.append(news[:3]))
    assert told == [("picturebook", done, 3) for done in range(1, 4)]


def test_drawings_have_an_exact_share_and_nothing_else_has(scribbler):
    report = run(scribbler, limit=2)
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

    def told(name, done, total, mean):
        if done >= questions:
            raise KeyboardInterrupt

    return told


@pytest.mark.parametrize("answered", [1, 2, 5, 8])
def test_a_stopped_run_goes_on_and_says_the_same(answered, scribbler, tmp_path):
    asked = {"limit": 3, "groups": ["vqa", "scene", "generation/colors"], "batch_size": 2}
    whole = run(scribbler, output=tmp_path / "whole", **asked)
    with pytest.raises(KeyboardInterrupt):
        run(scribbler, output=tmp_path / "part", progress=stopping(answered), **asked)
    begun = json.loads((tmp_path / "part" / "scribbler" / "picturebook.json").read_text())
    assert (begun["complete"], begun["metrics"]) == (False, {})
    assert run(scribbler, output=tmp_path / "part", **asked) == whole
    assert lines(tmp_path / "part") == lines(tmp_path / "whole")


@pytest.mark.parametrize("world", [1, 3])
def test_several_processes_share_the_questions(world, scribbler, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", str(world))
    asked = {"limit": 2, "groups": ["vqa", "dialogue"], "output": tmp_path}
    for rank in range(world - 1, 0, -1):
        monkeypatch.setenv("RANK", str(rank))
        assert evaluate(scribbler, **asked) == []
    monkeypatch.setenv("RANK", "0")
    assert run(scribbler, **asked)["n"] == 4
    assert [line["id"] for line in lines(tmp_path)] == ["vqa/0", "vqa/1", "dialogue/0", "dialogue/1"]


def test_several_processes_need_a_folder(scribbler, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="several processes share what they answer: name a folder with --output"):
        evaluate(scribbler)


def test_a_prompt_that_the_model_refuses_is_wrong_and_told(scribbler, tmp_path):
    def refuse(images, questions, *, batch_size=16):
        raise PromptError("it does not read")

    scribbler.understand = refuse
    report = run(scribbler, limit=2, groups=["vqa", "caption"], output=tmp_path)
    assert (report["refused"], report["n"], report["metrics"]["vqa"]["value"]) == (2, 4, 0)
    assert [line.get("refused") for line in lines(tmp_path)] == ["it does not read"] * 2 + [None] * 2


def test_more_groups_and_questions_join_what_is_there(scribbler, tmp_path):
    run(scribbler, limit=2, groups=["vqa"], output=tmp_path)
    report = run(scribbler, limit=3, groups=["caption"], output=tmp_path)
    assert {name: score["n"] for name, score in report["metrics"].items()} == {"vqa": 2, "caption": 3}
    assert (report["n"], report["of"], report["complete"]) == (5, 4800, False)
    assert len(lines(tmp_path)) == 5


def test_the_folder_of_another_model_or_seed_is_refused_and_forgotten_at_will(scribbler, tmp_path):
    asked = {"groups": ["generation/colors"], "output": tmp_path}
    run(scribbler, limit=3, **asked)
    with pytest.raises(DataError, match=r"\(seed 0, now 1\)"):
        run(scribbler, limit=1, seed=1, **asked)
    scribbler.info = lambda: {"name": "scribbler", "weights": "others"}
    with pytest.raises(DataError, match=r"\(model .*weights None, now others\)|\(model settings"):
        run(scribbler, limit=1, **asked)
    run(scribbler, limit=1, restart=True, **asked)
    pictures = tmp_path / "scribbler" / "picturebook"
    assert [path.name for path in pictures.iterdir()] == ["generation-colors-0.png"]


def test_what_an_early_version_left_is_told_and_asked_anew(scribbler, tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps({"suite": "picturebook", "seed": 0, "metrics": {}}))
    told = []
    run(scribbler, limit=1, groups=["vqa"], output=tmp_path, notice=told.append)
    (line,) = told
    assert line.startswith(f"{tmp_path / 'scores.json'} is of an earlier version: its questions are asked anew")
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize("options", [{"limit": 0}, {"groups": ["drawing"]}])
def test_what_cannot_be_asked_is_one_clear_error(scribbler, options):
    with pytest.raises(ConfigError, match=r"limit is 0|drawing"):
        run(scribbler, **options)


def test_a_folder_that_cannot_be_written_is_one_clear_error(scribbler, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make"):
        run(scribbler, output=tmp_path / "file")


@pytest.mark.slow
def test_the_public_api_answers_everything_the_evals_ask():
    api = pytest.importorskip("blip3o.api")
    for name, method in inspect.getmembers(Candidate, inspect.isfunction):
        if not name.startswith("_"):
            offered = inspect.signature(getattr(api.BLIP3o, name)).parameters
            assert set(inspect.signature(method).parameters) <= set(offered), name
