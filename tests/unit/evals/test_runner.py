"""A run asks every item once, whatever stops it, and its result says how much of the data is in it."""

import json
import multiprocessing
import os
import random
import time

import pytest
from benchmark_data import pope as data
from benchmark_toys import MODEL, Judged, Many, Scripted, Unasked, Words, run
from PIL import Image

from blip3o.errors import DataError, OutputError
from blip3o.evals.benchmark import USUAL, Item, Verdict
from blip3o.evals.runner import BenchmarkRun, Plan
from blip3o.evals.understanding.pope import Pope


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals have tests of their own."""
    monkeypatch.setattr("blip3o.evals.benchmark.RESAMPLES", 10)
    monkeypatch.setattr("blip3o.evals.benchmark.LEAST_RESAMPLES", 10)


class Painter(Unasked):
    """Draws one colour for each seed."""

    def generate(self, prompts, *, seed, think=False, batch_size=16):
        return [
            Image.new("RGB", (8, 8), (one % 256, len(prompt) % 256, 0))
            for prompt, one in zip(prompts, seed, strict=True)
        ]


class Drawn(Many):
    """The same, drawn twice each."""

    kind = "generation"

    def items(self, folder):
        return [Item(id=f"a/{number}", prompt="x" * number, count=2) for number in range(1, 6)]

    def score(self, item, answer):
        return Verdict(score=float(all(path.is_file() for path in answer)))


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_every_item_is_asked_and_scored_in_order(tmp_path):
    result = run(tmp_path, batch=7).go()
    lines = [json.loads(line) for line in (tmp_path / "out" / "many.samples.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [str(number) for number in range(1, 41)]
    assert (result["complete"], result["n"], result["of"], result["scored"]) == (True, 40, 40, True)
    assert result["metrics"]["accuracy"]["value"] == 13 / 40
    assert result["metrics"]["accuracy"]["low"] < 13 / 40 < result["metrics"]["accuracy"]["high"]
    assert json.loads((tmp_path / "out" / "many.json").read_text()) == result


def test_killed_five_times_it_leaves_the_files_of_an_unbroken_run(tmp_path):
    rng, fork = random.Random(3), multiprocessing.get_context("fork")
    for _ in range(5):
        broken = run(tmp_path / "broken", candidate=Words(stop_after=rng.randint(2, 9)), batch=2)
        process = fork.Process(target=broken.go)
        process.start()
        process.join()
        assert process.exitcode == 9
        part = tmp_path / "broken" / "out" / "many.samples.0.jsonl"
        assert json.loads((part.parent / "many.json").read_text())["complete"] is False
        if part.is_file() and rng.random() < 0.6:
            part.write_bytes(part.read_bytes()[: -rng.randint(1, 40)])  # the disk had not got it all
    run(tmp_path / "broken", batch=5).go()
    run(tmp_path / "whole").go()
    assert files(tmp_path / "broken" / "out") == files(tmp_path / "whole" / "out")


def test_interrupted_it_keeps_what_is_scored_and_says_how_much_that_is(tmp_path):
    class Stopped(Words):
        def understand(self, images, questions, **rest):
            if len(self.asked) >= 10:
                raise KeyboardInterrupt
            return super().understand(images, questions, **rest)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, candidate=Stopped(), batch=5).go()
    result = json.loads((tmp_path / "out" / "many.json").read_text())
    assert (result["complete"], result["n"], result["of"]) == (False, 10, 40)
    again = Words()
    assert run(tmp_path, candidate=again).go()["complete"]
    assert len(again.asked) == 30


def test_a_finished_run_loads_no_model(tmp_path):
    first = run(tmp_path).go()
    benchmark = Many("official")
    again = BenchmarkRun(
        benchmark, benchmark.items(tmp_path), MODEL, lambda: pytest.fail("loaded"), Plan(folder=tmp_path / "out")
    )
    assert again.go() == first


def test_a_limited_run_is_never_whole_and_goes_on_to_the_whole(tmp_path):
    limited = run(tmp_path, limit=4).go()
    assert (limited["complete"], limited["n"], limited["of"]) == (False, 4, 40)
    candidate = Words()
    assert run(tmp_path, candidate=candidate).go()["complete"]
    assert len(candidate.asked) == 36


@pytest.mark.parametrize(
    ("change", "told"),
    [({"model": {"name": "other"}}, "model"), ({"seed": 1}, "seed"), ({"protocol": "b"}, "protocol")],
)
def test_answers_of_another_run_are_refused_unless_it_is_begun_anew(tmp_path, change, told):
    run(tmp_path).go()
    benchmark = Many(change.get("protocol", "official"))
    model, plan = change.get("model", MODEL), {"seed": change.get("seed", 0)}

    def other(**more):
        return BenchmarkRun(
            benchmark, benchmark.items(tmp_path), model, Words, Plan(folder=tmp_path / "out", **plan, **more)
        )

    with pytest.raises(DataError, match=rf"is of another run \({told}"):
        other().go()
    assert other(restart=True).go()["complete"]


def test_several_processes_share_the_items_and_leave_the_same_files(tmp_path, monkeypatch):
    fork = multiprocessing.get_context("fork")
    processes = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        processes.append(fork.Process(target=run(tmp_path / "many", batch=2).go))
        processes[-1].start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    run(tmp_path / "one").go()
    assert files(tmp_path / "many" / "out") == files(tmp_path / "one" / "out")


def test_what_the_model_cannot_be_asked_is_answered_by_nothing_and_counted(tmp_path):
    result = run(tmp_path, candidate=Words(refuses="x" * 38)).go()
    assert (result["refused"], result["complete"]) == (3, True)
    lines = [json.loads(line) for line in (tmp_path / "out" / "many.samples.jsonl").read_text().splitlines()]
    assert [line["answer"] for line in lines if "refused" in line] == ["", "", ""]


def test_pictures_are_kept_and_depend_on_item_and_seed_alone(tmp_path):
    for name, batch in (("a", 1), ("b", 3)):
        result = run(tmp_path / name, Drawn("official"), Painter(), batch=batch).go()
        assert result["metrics"]["accuracy"]["value"] == 1
    drawn = {name: {p.name: p.read_bytes() for p in (tmp_path / name / "out" / "many").iterdir()} for name in "ab"}
    assert drawn["a"] == drawn["b"]
    assert len(set(drawn["a"].values())) == len(drawn["a"]) == 10


def test_without_a_judge_nothing_is_scored_and_with_one_no_model_is_asked_again(tmp_path):
    result = run(tmp_path, Judged("official")).go()
    assert (result["scored"], result["metrics"], result["n"], result["answered"]) == (False, {}, 0, 40)
    benchmark = Judged("official", Scripted("kind"))
    scored = BenchmarkRun(
        benchmark, benchmark.items(tmp_path), MODEL, lambda: pytest.fail("asked"), Plan(folder=tmp_path / "out")
    )
    assert scored.go()["metrics"]["accuracy"]["value"] == 1
    assert json.loads((tmp_path / "out" / "many.json").read_text())["judge"] == "kind"


def test_without_a_judge_the_scores_of_an_earlier_one_stay_and_another_one_scores_anew(tmp_path):
    run(tmp_path, Judged("official", Scripted("kind"))).go()
    again = run(tmp_path, Judged("official"), candidate=Unasked()).go()
    assert (again["n"], again["judge"], again["complete"]) == (40, "kind", True)

    class Harsh(Scripted):
        def ask(self, prompt, pictures=(), settings=USUAL) -> str:
            return "0"

    harsh = run(tmp_path, Judged("official", Harsh("harsh")), candidate=Unasked()).go()
    assert (harsh["judge"], harsh["metrics"]["accuracy"]["value"]) == ("harsh", 0)


def test_several_processes_score_anew_before_the_result_is_written(tmp_path, monkeypatch):
    run(tmp_path, Judged("official", Scripted("kind"))).go()

    class Slow(Scripted):
        def ask(self, prompt, pictures=(), settings=USUAL) -> str:
            time.sleep(0.02 if os.environ["RANK"] == "1" else 0)
            return "0"

    fork = multiprocessing.get_context("fork")
    processes = []
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        one = run(tmp_path, Judged("official", Slow("harsh")), candidate=Unasked(), batch=2, concurrency=1)
        processes.append(fork.Process(target=one.go))
        processes[-1].start()
    for process in processes:
        process.join(60)
    result = json.loads((tmp_path / "out" / "many.json").read_text())
    assert (result["judge"], result["metrics"]["accuracy"]["value"], result["complete"]) == ("harsh", 0, True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["many.json", "many.samples.jsonl"]


def test_what_cannot_be_scored_is_told_and_the_rest_goes_on(tmp_path):
    class Partial(Many):
        def score(self, item, answer) -> Verdict | None:
            if item.id == "7":
                raise DataError("the detections hold nothing of 7")
            return super().score(item, answer)

    result = run(tmp_path, Partial("official")).go()
    assert (result["answered"], result["n"], result["complete"], result["metrics"]) == (40, 39, False, {})
    assert result["not_scored"] == "item 7: the detections hold nothing of 7"
    assert run(tmp_path, candidate=Unasked()).go()["complete"]


def test_a_foreign_file_in_the_result_s_place_is_told(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "many.json").write_text('{"accuracy": 1}')
    with pytest.raises(DataError, match=r"many.json is no result of this harness"):
        run(tmp_path).go()


def test_two_items_whose_pictures_would_bear_one_name_are_refused(tmp_path):
    items = [Item(id="a/b", prompt="x"), Item(id="a-b", prompt="y")]
    with pytest.raises(DataError, match="whose pictures would bear one name"):
        BenchmarkRun(Drawn("official"), items, MODEL, Words, Plan(folder=tmp_path))


def test_where_the_judge_fails_there_is_no_number_until_it_does_not(tmp_path):
    result = run(tmp_path, Judged("official", Scripted("strict", longest=30))).go()
    assert (result["scored"], result["complete"], result["n"], result["metrics"]) == (False, False, 30, {})
    assert run(tmp_path, Judged("official", Scripted("strict"))).go()["complete"]


def test_a_full_disk_is_one_line_and_keeps_what_is_there(tmp_path, monkeypatch):
    made = run(tmp_path, batch=5)
    answers = []

    def full(path, lines):
        answers.append(lines)
        if len(answers) == 3:
            raise OutputError("cannot write: make room; what is answered is kept")
        with path.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    monkeypatch.setattr("blip3o.evals.runner.append", full)
    with pytest.raises(OutputError, match="make room"):
        made.go()
    assert json.loads((tmp_path / "out" / "many.json").read_text())["n"] == 10


def test_no_items_and_items_twice_are_told(tmp_path):
    with pytest.raises(DataError, match="has no items"):
        BenchmarkRun(Many("official"), [], MODEL, Words, Plan(folder=tmp_path))
    with pytest.raises(DataError, match="has two items '1'"):
        BenchmarkRun(Many("official"), [Item(id="1", prompt="a")] * 2, MODEL, Words, Plan(folder=tmp_path))


def test_a_real_benchmark_goes_through_with_and_without_its_instruction(tmp_path):
    data.write(tmp_path / "pope")
    for bare in (False, True):
        candidate = Words()
        benchmark = Pope("official")
        plan = Plan(folder=tmp_path / str(bare), bare=bare)
        result = BenchmarkRun(
            benchmark, benchmark.items(tmp_path / "pope"), MODEL, lambda made=candidate: made, plan
        ).go()
        assert result["protocol"] == ("official+bare" if bare else "official")
        assert candidate.asked[0].endswith("image?") is bare
