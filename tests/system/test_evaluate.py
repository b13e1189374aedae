"""`blip3o evaluate`: no option is ignored, nothing that was answered is lost, and what it leaves can be compared."""

import errno
import importlib
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from blip3o.cli.app import app
from blip3o.weights import checkpoint, lora

BASES = {
    "picturebook": ("--limit", "3"),  # several in a group make a batch
    "pope": ("-b", "pope:official", "--data", "{data}/pope"),
    "geneval": ("-b", "geneval", "--data", "{data}/geneval"),
    "mmvet": ("-b", "mmvet", "--data", "{data}/mmvet"),
}
EXAMPLES = {
    "data": ("--data", "{data}/other"),
    "groups": ("--group", "vqa"),
    "limit": ("--limit", "2"),
    "seed": ("--seed", "3"),
    "output": ("-o", "elsewhere"),
    "judge": ("--judge", "http://127.0.0.1:9/v1"),
    "judge_model": ("--judge-model", "m"),
    "ready": ("--ready", "{data}/ready.json"),
    "detector": ("--detector", "picturebook"),
    "batch_size": ("--batch-size", "1"),
    "bare": ("--bare",),
    "restart": ("--restart",),
    "dry_run": ("--dry-run",),
    "model": ("-m", "{other}"),
    "device": ("--device", "cpu"),
    "verify": ("--no-verify",),
    "decoder": ("--decoder", "painter"),
    "dtype": ("--dtype", "bfloat16"),
    "memory": ("--memory", "low"),
    "quantize": ("--quantize", "nf4"),
    "json": ("--json",),
    "adapter": ("--adapter", "{adapter}"),
    "merge": ("--no-merge",),
}
CHOOSE = {"suite", "benchmark", "debug"}
"""The first two say what is run; the third has its effect on errors."""
IDLE = {
    "picturebook": {"data", "judge", "judge_model", "ready", "detector", "bare", "restart"},
    "pope": {"groups", "seed", "judge", "judge_model", "ready", "detector"},
    "geneval": {"groups", "judge", "judge_model", "bare"},
    "mmvet": {"groups", "seed", "judge_model", "ready", "detector", "bare"},
}


def options():
    from typer.main import get_command

    return [str(one.name) for one in get_command(app).commands["evaluate"].params]  # pyright: ignore


class Model:
    """Answers at once, and keeps what it was asked."""

    answer = "yes"

    def __init__(self, calls):
        self.calls = calls

    def _drawn(self, seeds):
        return [Image.new("RGB", (72, 72), (seed % 256, 90, 160)) for seed in seeds]

    def generate(self, prompts, *, seed, think=False, batch_size=16):
        self.calls.append(("generate", list(prompts), list(seed), batch_size))
        return self._drawn(seed)

    def edit(self, images, instructions, *, seed, batch_size=16):
        self.calls.append(("edit", list(instructions), list(seed), batch_size))
        return self._drawn(seed)

    def understand(self, images, questions, *, max_tokens=64, batch_size=16):
        self.calls.append(("understand", list(questions), batch_size))
        return [self.answer for _ in questions]

    def caption(self, images, *, batch_size=16):
        self.calls.append(("caption", len(images), batch_size))
        return ["a red dog in the snow by day" for _ in images]

    def reply(self, conversations, *, seed, batch_size=16):
        return [SimpleNamespace(text="", image=image) for image in self._drawn(seed)]

    def features(self, images):
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])

    def info(self):
        return {"name": "model"}


@pytest.fixture
def calls(monkeypatch):
    """A model that answers at once in place of every model; what it is opened with and asked."""
    kept = []

    def opened(name, device, **loading):
        kept.append(("open", str(name), device, sorted((key, str(value)) for key, value in loading.items())))
        return Model(kept)

    monkeypatch.setattr("blip3o.cli.evaluate.open_model", opened)
    monkeypatch.setattr("blip3o.evals.judges.chat.ChatJudge.ask", lambda *_, **__: "0.5")
    monkeypatch.setattr("blip3o.picturebook.benchmarks.benchmark.JUDGED_SCENES", 20)
    monkeypatch.setattr("blip3o.evals.benchmark.RESAMPLES", 5)
    monkeypatch.setattr("blip3o.evals.benchmark.LEAST_RESAMPLES", 5)
    return kept


@pytest.fixture(scope="module")
def words(tmp_path_factory, weights):
    """Fills in the places of data and of models."""
    data = tmp_path_factory.mktemp("data")
    for name in ("pope", "geneval", "mmvet"):
        for folder in (data / name, data / "other" / name):
            folder.mkdir(parents=True)
            importlib.import_module(f"benchmark_data.{name}").write(folder)
    lines = (data / "other" / "geneval" / "evaluation_metadata.jsonl").read_text().splitlines(keepends=True)
    (data / "other" / "geneval" / "evaluation_metadata.jsonl").write_text("".join(lines[1:]))
    for name, file in (("pope", "coco_pope_random.json"), ("mmvet", "mm-vet.json")):
        found = next((data / "other" / name).rglob(file))
        found.write_text(found.read_text().replace("Is there", "Is really there").replace("What", "Whatever"))
    names = [f"{index:05d}/samples/{number:05d}.png" for index in range(6) for number in range(4)]
    (data / "ready.json").write_text(json.dumps({f"geneval/{name}": {} for name in names}))
    other = Path(shutil.copytree(weights, tmp_path_factory.mktemp("other") / "twin"))
    adapter = tmp_path_factory.mktemp("adapter")
    pipeline, _ = checkpoint.load(weights)
    lora.add(pipeline, lora.AdapterConfig(rank=2))
    lora.save(pipeline, adapter, trained=(), about={})
    return lambda asked: [word.format(data=data, other=other, adapter=adapter) for word in asked]


def seen(blip3o, calls, asked):
    """All that a command says, asks and leaves; times aside."""
    calls.clear()
    done = blip3o("evaluate", *asked)
    out = re.sub(r'"seconds": [\d.]+|[\d.]+ s\b', "", done.out)
    files = {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}
    kept = {name: re.sub(rb'"seconds": [\d.]+', b"", content) for name, content in files.items()}
    return done, (out, list(calls), kept)


def test_every_option_of_evaluate_is_looked_at_here():
    assert set(options()) - CHOOSE == set(EXAMPLES)


@pytest.mark.parametrize("option", EXAMPLES)
@pytest.mark.parametrize("base", BASES)
def test_every_option_changes_something_or_is_refused(
    base, option, blip3o, calls, weights, words, tmp_path, monkeypatch
):
    asked = [*words(BASES[base]), "-m", weights]
    given, here = words(EXAMPLES[option]), tmp_path
    again = option == "restart" and base != "picturebook"
    shown = []
    for name, more in (("plain", []), ("with", given)):
        (here / name).mkdir()
        monkeypatch.chdir(here / name)
        if again:
            assert blip3o("evaluate", *asked).code == 0
        shown.append(seen(blip3o, calls, [*asked, *more]))
    (plain, before), (changed, after) = shown
    assert plain.code == 0, plain.err
    assert (changed.code == 2) == (option in IDLE[base]), changed.err
    if changed.code == 2:
        assert re.search(r"error: --[\w-]+ has (an effect only|no effect)", changed.err)
        assert not calls
    else:
        assert (changed.code, after != before) == (0, True)


def test_what_needs_another_option_has_an_effect_with_it(blip3o, calls, weights, words):
    book = [*words(BASES["picturebook"]), "--group", "vqa", "-m", weights, "-o", "out"]
    assert blip3o("evaluate", *book).code == 0
    again = [seen(blip3o, calls, [*book, *more])[1][1] for more in ([], ["--restart"])]
    assert [sum(call[0] == "understand" for call in one) for one in again] == [0, 1]
    judged = [*words((*BASES["mmvet"], *EXAMPLES["judge"])), "-m", weights, "--json"]
    one, other = (json.loads(blip3o("evaluate", *judged, *more).out) for more in ([], ["--judge-model", "m"]))
    assert [found[0]["judge"] for found in (one, other)] == ["gpt-4.1", "m"]


@pytest.mark.parametrize("verb", [("compare", "a", "b"), ("distance", "a", "b")])
@pytest.mark.parametrize("option", EXAMPLES)
def test_options_before_a_verb_are_refused(verb, option, blip3o, words):
    done = blip3o("evaluate", *words(EXAMPLES[option]), *verb)
    assert done.code == 2
    assert f"has an effect only after `blip3o evaluate {verb[0]}`" in done.err


def test_a_detector_that_the_protocol_leaves_out_is_refused(blip3o, calls, weights, words):
    asked = words(("-b", "geneval:picturebook", "--data", "{data}/geneval"))
    done = blip3o("evaluate", *asked, "-m", weights, "--detector", "facebook/some")
    assert (done.code, "picturebook" in done.err, calls) == (2, True, [])


# --- what is kept -----------------------------------------------------------------------------------------------------


def interrupted(error):
    def caption(self, images, *, batch_size=16):
        raise error

    return caption


def test_a_stopped_suite_says_how_to_go_on_and_asks_only_the_rest(blip3o, calls, weights, monkeypatch):
    asked = ("evaluate", "--limit", 2, "--group", "vqa", "--group", "caption", "-m", weights, "-o", "out", "--json")
    whole = json.loads(blip3o(*asked[:-2], "whole", "--json").out)
    with monkeypatch.context() as patched:
        patched.setattr(Model, "caption", interrupted(KeyboardInterrupt()))
        done = blip3o(*asked)
        assert (done.code, done.err.strip()) == (130, "stopped; the same command goes on from what lies in out")
        alone = blip3o(*asked[:-3])
        assert (alone.code, alone.err.strip()) == (130, "stopped; nothing is kept without --output")
        again = blip3o(*asked, "--restart").err.strip()
        assert again == "stopped; the same command without --restart goes on from what lies in out"
    calls.clear()
    assert json.loads(blip3o(*asked).out)["metrics"] == whole["metrics"]
    assert [call[0] for call in calls] == ["open", "caption"]
    lines = [(Path(name) / weights.name / "picturebook.samples.jsonl").read_text() for name in ("out", "whole")]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("base", ["picturebook", "geneval"])
@pytest.mark.parametrize(
    "where", ["PIL.Image.Image.save", "pathlib.Path.open", "pathlib.Path.write_text", "pathlib.Path.mkdir"]
)
def test_a_full_disk_is_one_line(base, where, blip3o, calls, weights, words, monkeypatch):
    module, name, method = where.rsplit(".", 2)
    owner = getattr(importlib.import_module(module), name)
    write = getattr(owner, method)

    def full(self, *given, **more):
        if method == "open" and given[:1] != ("a",):
            return write(self, *given, **more)
        raise OSError(errno.ENOSPC, "No space left on device")

    asked = [*words(BASES[base]), "-m", weights, "-o", "out"]
    with monkeypatch.context() as patched:
        patched.setattr(owner, method, full)
        done = blip3o("evaluate", *asked)
    assert done.code == 2, done.err
    assert done.err.startswith("error: cannot ")
    assert "No space left on device" in done.err
    assert len(done.err.splitlines()) == 1


def test_what_was_answered_before_the_disk_was_full_is_kept(blip3o, calls, weights, monkeypatch):
    from blip3o.evals import runner

    left, append = iter(range(3)), runner.append

    def filling(path, lines):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(path, lines)

    asked = ("evaluate", "--limit", 4, "--group", "vqa", "--batch-size", 1, "-m", weights, "-o", "out")
    with monkeypatch.context() as patched:
        patched.setattr(runner, "append", filling)
        done = blip3o(*asked)
        told = "cannot write to out (No space left on device): make room, then the same command goes on"
        assert (done.code, done.err.strip()) == (2, f"error: {told}")
    calls.clear()
    assert blip3o(*asked).code == 0
    assert [len(call[1]) for call in calls if call[0] == "understand"] == [1]


def test_the_pictures_of_another_model_never_lie_beside_new_scores(blip3o, calls, weights, words):
    asked = [*words(BASES["picturebook"]), "--group", "generation/colors", "-o", "out", "--json"]
    assert blip3o("evaluate", *asked, "-m", weights, "--limit", 3).code == 0
    done = blip3o("evaluate", *asked, "-m", weights, "--seed", 1)
    assert (done.code, "is of another run (seed 0, now 1): name another --output, or forget it" in done.err) == (
        2,
        True,
    )
    assert blip3o("evaluate", *asked, "-m", weights, "--seed", 1, "--restart").code == 0
    place = Path("out", weights.name)
    lines = map(json.loads, (place / "picturebook.samples.jsonl").read_text().splitlines())
    assert {place / name for line in lines for name in line["answer"]} == set((place / "picturebook").iterdir())


def test_every_number_of_json_is_a_number(blip3o, calls, weights, words):
    def texts(value, name=""):
        if isinstance(value, dict):
            return [found for key, part in value.items() if key != "versions" for found in texts(part, key)]
        if isinstance(value, list):
            return [found for part in value for found in texts(part, name)]
        return [(name, value)] if isinstance(value, str) else []

    for base in BASES.values():
        asked = [*words(base), "-m", weights, "-o", "out", "--json"]
        found = json.loads(blip3o("evaluate", *asked).out)
        assert [one for one in texts(found) if re.fullmatch(r"-?[\d.]+(e-?\d+)?|nan|inf", one[1])] == []


def documented(beginning):
    """The fields in the first table of docs/benchmarks.md after a line."""
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    _, found, after = text.partition(beginning)
    assert found, beginning
    rows = re.search(r"^\|---.*\n((?:\|.*\n)+)", after, re.MULTILINE)
    assert rows
    return {name for row in rows[1].splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_field_of_json_is_documented_and_no_other(blip3o, calls, weights, words):
    def told(base, *more):
        return json.loads(blip3o("evaluate", *words(BASES[base]), "-m", weights, "--json", *more).out)

    fields = documented("`blip3o evaluate --benchmark NAME --json` prints")
    assert set(told("pope")[0]) == fields
    assert set(told("picturebook")) == fields | documented("`blip3o evaluate --suite picturebook --json`, which")
    assert set(told("mmvet", "--dry-run")[0]) == documented("`blip3o evaluate --benchmark NAME --dry-run --json`")
    place = f"results/{weights.name}"
    found = json.loads(blip3o("evaluate", "compare", place, place, "--json").out)
    assert set(found) == documented("`blip3o evaluate compare A B --json`:")
    assert set(found["benchmarks"]["pope"]) == documented("| `page` |")


# --- compare ----------------------------------------------------------------------------------------------------------


def test_a_folder_of_one_model_is_compared_and_of_several_it_says_which(blip3o, calls, weights, words):
    asked = words((*BASES["pope"],))
    other = words(("{other}",))[0]
    assert blip3o("evaluate", *asked, "-m", weights).code == 0
    assert blip3o("evaluate", *asked, "-m", other, "-o", "second").code == 0
    done = blip3o("evaluate", "compare", "results", "second", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["benchmarks"]["pope"]["scores"]["n"] == 6
    assert (found["a"]["folder"], found["page"]) == (f"results/{weights.name}", "compare.html")
    assert blip3o("evaluate", *asked, "-m", other).code == 0
    done = blip3o("evaluate", "compare", "results", "second")
    assert done.code == 2
    assert "results holds results of 2 models (tiny, twin): name one, such as results/tiny" in done.err


def test_the_suite_is_compared_question_by_question(blip3o, calls, weights):
    for name, answer in (("first", "yes"), ("second", "no")):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Model, "answer", answer)
            asked = ("--group", "vqa", "--group", "scene", "--limit", 20, "-m", weights, "-o", name)
            assert blip3o("evaluate", *asked).code == 0
    done = blip3o("evaluate", "compare", "first", "second", "--json", "-o", "page.html")
    assert done.code == 0, done.err
    match = json.loads(done.out)["benchmarks"]["picturebook"]
    assert (match["scores"]["n"], match["refusals"]) == (40, [])
    assert match["metrics"]["vqa"]["difference"] != 0
    assert match["scores"]["difference"]["low"] is not None
    assert {"scene", "scene, exact", "vqa"} == set(match["metrics"])
    page = Path("page.html").read_text()
    assert page.count("data:image/png") >= 40


def test_a_page_has_no_other_ending(blip3o):
    done = blip3o("evaluate", "compare", "a", "b", "-o", "x.png")
    assert done.code == 2
    assert "cannot write x.png: a comparison is a page, name a file that ends in .html" in done.err


def test_another_way_of_loading_is_told(blip3o, calls, weights, words):
    asked = words(BASES["pope"])
    for name, more in (("a", []), ("b", ["--dtype", "bfloat16"]), ("c", ["--bare"])):
        assert blip3o("evaluate", *asked, "-m", weights, "-o", name, *more).code == 0
    found = json.loads(blip3o("evaluate", "compare", "a", "b", "--json").out)["benchmarks"]["pope"]
    assert "ways of loading differ: dtype float32 in A, bfloat16 in B" in found["notes"]
    found = json.loads(blip3o("evaluate", "compare", "a", "c", "--json").out)["benchmarks"]["pope"]
    assert "not compared, their protocols differ: official in A, official+bare in B" in found["refusals"]
