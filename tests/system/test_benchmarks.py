"""Every benchmark, from the command line to the result file, on tiny data in its official format."""

import importlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_data import content
from PIL import Image

from blip3o.errors import JudgeError, JudgeRefusalError
from blip3o.evals import registry
from blip3o.evals.benchmark import USUAL

DATA = sorted(path.stem for path in (Path(__file__).parents[1] / "benchmark_data").glob("[a-z]*.py"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a folder for each benchmark."""
    root = tmp_path_factory.mktemp("data")
    for name in DATA:
        (root / name).mkdir()
        importlib.import_module(f"benchmark_data.{name}").write(root / name)
    return root


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals have tests of their own."""
    monkeypatch.setattr("blip3o.evals.benchmark.RESAMPLES", 5)
    monkeypatch.setattr("blip3o.evals.benchmark.LEAST_RESAMPLES", 5)


def results(model):
    return {path.stem: json.loads(path.read_text()) for path in Path("results", model).glob("*.json")}


def test_every_benchmark_has_tiny_data():
    assert set(DATA) == set(registry.SUITES["all"])


@pytest.mark.parametrize("name", registry.SUITES["all"])
def test_an_answer_that_was_refused_can_be_scored(data, name, tmp_path):
    class Mute:
        name = "mute"

        def ask(self, prompt, pictures=(), settings=USUAL):
            raise JudgeError("it says nothing")

    benchmark, protocol = registry.find(name)
    asked = benchmark(protocol, Mute())
    item = asked.items(data / name)[0]
    with suppress(JudgeError):
        verdict = asked.score(item, "" if asked.kind == "understanding" else ())
        assert verdict is None or verdict.score == 0 or name == "pope"


def test_all_of_them_run_by_one_command_and_say_what_is_not_scored(blip3o, published, data):
    asked = ("evaluate", "--suite", "all", "--data", data, "-m", published, "--json")
    done = blip3o(*asked)
    assert done.code == 0, done.err
    told = {one["benchmark"]: one for one in json.loads(done.out)}
    assert told == results(published.name)
    assert set(told) == set(registry.SUITES["all"])
    for name, result in told.items():
        benchmark, _ = registry.find(name)
        judged = benchmark.needs_judge or bool(benchmark.heeds)
        assert (result["scored"], bool(result["metrics"])) == (not judged, not judged), name
        assert result["answered"] == result["of"]
        assert result["complete"] == (not judged)
    assert json.loads(blip3o(*asked).out) == json.loads(done.out)


def test_a_model_that_can_be_asked_nothing_has_no_number(blip3o, weights, data):
    done = blip3o("evaluate", "-b", "mmmu", "--data", data, "-m", weights, "--json")
    assert done.code == 0, done.err
    (result,) = json.loads(done.out)
    assert (result["refused"], result["scored"], result["metrics"]) == (result["of"], False, {})
    assert "has never read" in result["why_refused"]
    assert (
        "mmmu: the model cannot be asked: item validation_Art_1: this model has never read"
        in blip3o("evaluate", "-b", "mmmu", "--data", data, "-m", weights).out
    )


def test_the_commands_of_the_original_documentation_take_data(blip3o, weights, data):
    from blip3o.cli import original

    for task in registry.TASKS:
        words = original.evaluate(["--task", task, "--checkpoint", str(weights), "--data", str(data), "--limit", "1"])
        done = blip3o(*words, "-o", f"out-{task}")
        assert done.code == 0, done.err
        found = {path.stem for path in Path(f"out-{task}", weights.name).glob("*.json")}
        assert found == set(registry.TASKS[task])


def test_ready_detections_score_geneval_without_any_detector(blip3o, published, data):
    asked = ("evaluate", "-b", "geneval:mmdet-json", "--data", data, "-m", published, "--json")
    (drawn,) = json.loads(blip3o(*asked).out)
    assert not drawn["scored"]
    lines = Path("results", published.name, "geneval.samples.jsonl").read_text().splitlines()
    pictures = [name for line in lines for name in json.loads(line)["answer"]]
    Path("seen.json").write_text(json.dumps({name: {} for name in pictures}))
    done = blip3o(*asked, "--ready", "seen.json")
    assert done.code == 0, done.err
    (scored,) = json.loads(done.out)
    assert (scored["protocol"], scored["metrics"]["overall"]["value"]) == ("mmdet-json", 0)


def test_the_shipped_model_draws_geneval_and_is_scored(blip3o):
    rows = [
        {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": "red"}], "prompt": "a photo of a red dog"},
        {"tag": "single_object", "include": [{"class": "train", "count": 1}], "prompt": "a photo of a dog"},
    ]
    Path("evaluation_metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = blip3o("evaluate", "-b", "geneval", "--data", ".", "--detector", "picturebook", "--json")
    assert done.code == 0, done.err
    (result,) = json.loads(done.out)
    assert (result["protocol"], result["complete"]) == ("picturebook", True)
    assert result["metrics"]["task/colors"]["value"] > 0.5
    assert result["metrics"]["task/single_object"]["value"] == 0
    assert Path("results/picturebook/geneval/00000/samples/00000.png").is_file()


def test_a_local_model_may_judge_and_is_labelled_so(blip3o, weights, published, data, monkeypatch):
    monkeypatch.setattr("blip3o.evals.judges.chat.LocalJudge.ask", lambda *_, **__: "0.5")
    done = blip3o("evaluate", "-b", "mmvet", "--data", data, "-m", published, "--judge", f"local:{weights}", "--json")
    assert done.code == 0, done.err
    (result,) = json.loads(done.out)
    assert (result["judge"], result["scored"]) == (f"local:{weights}", True)
    assert next(iter(result["metrics"].values()))["value"] == 50


def test_a_judge_that_is_not_there_leaves_the_answers_unscored(blip3o, published, data, monkeypatch):
    def fail(*_, **__):
        raise JudgeError("m cannot be asked (no route): check --judge and the key")

    monkeypatch.setattr("blip3o.evals.judges.chat.ChatJudge.ask", fail)
    done = blip3o(
        "evaluate", "-b", "mmvet", "--data", data, "-m", published, "--judge", "http://127.0.0.1:9/v1", "--json"
    )
    assert done.code == 2
    assert "1 of 1 results have answers without a score (mmvet: item v1_0: m cannot be asked" in done.err
    (result,) = json.loads(done.out)
    assert (result["scored"], result["complete"], result["n"], result["metrics"]) == (False, False, 0, {})


def test_a_judge_that_refuses_an_item_leaves_the_number_and_says_how_far_to_trust_it(
    blip3o, published, data, monkeypatch
):
    def ask(self, prompt, *_, **__):
        if "sleep?" in prompt:
            raise JudgeRefusalError("m refuses this request (content filter)")
        return "1.0"

    monkeypatch.setattr("blip3o.evals.judges.chat.ChatJudge.ask", ask)
    asked = ("evaluate", "-b", "mmvet", "--data", data, "-m", published, "--judge", "http://127.0.0.1:9/v1")
    done = blip3o(*asked)
    assert done.code == 0, done.err
    assert "3 of 3, 1 unscored" in done.out
    assert "mmvet: 1 of 3 items have no answer or no opinion of the judge, more than 5%" in done.out
    (result,) = json.loads(blip3o(*asked, "--json").out)
    assert result["metrics"]["total"]["value"] == pytest.approx(200 / 3)
    assert (result["unscored"], result["why_unscored"]) == (
        1,
        "item v1_2: m refuses this request (content filter)",
    )


def test_one_bad_picture_in_a_parquet_file_is_told_and_the_rest_is_answered(blip3o, published):
    rows = [
        {"question": "What is it?", "answer": "A", "image": {"bytes": made, "path": None}}
        for made in (content(), content(size=(1093, 5)), content()[:50], content())
    ]
    pq.write_table(pa.Table.from_pylist(rows), "test-00000-of-00001.parquet")
    done = blip3o("evaluate", "-b", "realworldqa", "--data", ".", "-m", published, "--json")
    assert done.code == 0, done.err
    (result,) = json.loads(done.out)
    assert (result["answered"], result["refused"], result["complete"]) == (4, 2, True)
    lines = Path("results", published.name, "realworldqa.samples.jsonl").read_text().splitlines()
    refused = {line["id"]: line["refused"] for line in map(json.loads, lines) if "refused" in line}
    assert refused.keys() == {"1", "2"}
    assert "1093 x 5 px" in refused["1"]


def test_a_dry_run_counts_and_keeps_nothing(blip3o, weights, data):
    done = blip3o(
        "evaluate", "-b", "mmvet", "-b", "pope", "--data", data, "-m", weights, "--dry-run", "--bare", "--json"
    )
    assert done.code == 0, done.err
    judged, plain = json.loads(done.out)
    assert (plain["benchmark"], plain["items"]) == ("pope", 6)
    assert judged["judge_requests_at_least"] == judged["items"] > 0
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-b", "pop", "--data", "."], "no benchmark is called 'pop': choose from vqav2"),
        (["-b", "pope:new", "--data", "."], "pope has no protocol 'new': choose from official, lmms"),
        (["--suite", "everything", "--data", "."], "no suite is called 'everything'"),
        (["-b", "pope"], "benchmarks need --data"),
        (["-b", "pope", "--data", "nowhere"], "no data 'nowhere': name a folder, or a data set on the Hub"),
        (["-b", "pope", "--data", "."], "nor the official files of POPE: put the ones or the others there"),
        (["--suite", "understanding", "--data", "."], "none of 10 benchmarks could be run: . has no folder vqav2"),
        (["-b", "pope", "--data", ".", "--group", "vqa"], "--group has an effect only for the picture book"),
        (["-b", "mmvet", "--data", ".", "--judge", "gpt"], "judge is 'gpt': give the base URL of a server"),
        (["--data", "."], "--data has an effect only for benchmarks"),
        (["-b", "pope", "-b", "pope:lmms", "--data", "."], "pope is named twice"),
        (["-b", "pope", "--suite", "picturebook"], "benchmarks need --data"),
        (["-b", "no.such:Thing", "--data", "."], "'no.such:Thing' names no module"),
        (["-b", "evals.runner:Plan", "--data", "."], "'evals.runner:Plan' is no benchmark"),
        (["-b", "geneval", "--data", ".", "--ready", "x", "--detector", "y"], "both --ready and --detector"),
        (["compare", "a", "b"], "a"),
    ],
)
def test_what_cannot_be_run_is_one_line(blip3o, weights, words, told):
    model = [] if "compare" in words else ["-m", weights]
    done = blip3o("evaluate", *words, *model)
    assert done.code == 2
    assert told in done.err
    assert done.err.splitlines()[-1].startswith("error: ")


def test_two_models_are_compared(blip3o, weights, data, published):
    for model in (weights, published):
        assert blip3o("evaluate", "-b", "pope", "--data", data, "-m", model, "--bare").code == 0
    done = blip3o("evaluate", "compare", f"results/{weights.name}", f"results/{published.name}", "-o", "page.html")
    assert done.code == 0, done.err
    assert "pope" in done.out
    assert "<html" in Path("page.html").read_text()


def test_the_script_of_all_evaluations_names_what_exists():
    text = (Path(__file__).parents[2] / "scripts" / "run_all_evals.sh").read_text()
    assert "evaluate --suite all --model" in text


def test_distances_of_folders_are_a_command(blip3o):
    from transformers import Dinov2Config, Dinov2Model

    layers: dict[str, Any] = {
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "hidden_size": 16,
        "intermediate_size": 16,
    }
    Dinov2Model(Dinov2Config(image_size=28, patch_size=14, mlp_ratio=1, **layers)).save_pretrained("dinov2")
    for folder, shade in (("drawn", 40), ("real", 90)):
        Path(folder).mkdir()
        for number in range(4):
            Image.new("RGB", (40, 30), (shade + 20 * number, shade, 0)).save(f"{folder}/{number}.png")
    done = blip3o("evaluate", "distance", "drawn", "real", "--encoder", "dinov2=dinov2", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out).keys() == {"fd/dinov2", "kid/dinov2"}
    done = blip3o("evaluate", "distance", "real", "real", "--encoder", "dinov2=dinov2", "--json")
    assert json.loads(done.out)["fd/dinov2"] == pytest.approx(0, abs=1e-6)
    for words, told in (
        (["drawn"], "nothing to compare with"),
        (["drawn", "nowhere", "--encoder", "dinov2=dinov2"], "nowhere is no folder"),
        (["drawn", "real", "--encoder", "vgg"], "no encoder is called 'vgg'"),
        (["drawn", "--prompts", "p.json", "--clipscore", "other"], "clipscore is 'other'"),
    ):
        done = blip3o("evaluate", "distance", *words)
        assert (done.code, told in done.err) == (2, True), done.err
