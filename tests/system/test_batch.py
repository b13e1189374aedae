"""Many prompts from a file: each made once, whatever stops the command, and one bad row takes no other with it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blip3o.api import BLIP3o

pytestmark = pytest.mark.slow
PROMPTS = ["a red dog", "a blue cup", "a red dog", "a house"]
FAST = ["--steps", "1", "--decoder-steps", "1"]


def written(path, rows):
    """A file of rows, as its ending says."""
    path = Path(path)
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, sorted({key for row in rows for key in row}))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(row["prompt"] for row in rows))
    return path


def records(folder="out"):
    """The records of all manifests, by their rows."""
    lines = [line for path in sorted(Path(folder).glob("manifest*.jsonl")) for line in path.read_text().splitlines()]
    return {record["row"]: record for record in map(json.loads, lines)}


def pixels(folder="out"):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(Path(folder).glob("*.png"))}


def equal(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@pytest.fixture
def generate(blip3o, weights):
    """Draws the rows of a file."""

    def run(path, *words, output="out"):
        return blip3o("generate", "--prompts", path, "-o", output, "-m", weights, *FAST, *words)

    return run


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".txt"])
def test_each_row_is_drawn_by_its_prompt_and_seed(generate, weights, ending):
    path = written(f"prompts{ending}", [{"prompt": prompt} for prompt in PROMPTS])
    done = generate(path, "--seed", 5)
    assert (done.code, done.out) == (0, "4 of 4 rows are done in out\n")
    expected = BLIP3o.load(weights).generate(PROMPTS, seed=5, steps=1, decoder_steps=1)
    made = pixels()
    assert [*made] == ["000000-a-red-dog.png", "000001-a-blue-cup.png", "000002-a-red-dog.png", "000003-a-house.png"]
    assert all((one == np.asarray(other)).all() for one, other in zip(made.values(), expected, strict=True))
    kept = records()
    assert [(row["prompt"], row["seed"], row["path"]) for row in kept.values()] == [
        (prompt, 5 + k, name) for k, (prompt, name) in enumerate(zip(PROMPTS, made, strict=True))
    ]


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_row_may_have_a_seed_of_its_own(generate, ending):
    rows = [{"prompt": "a red dog", "seed": 9}, {"prompt": "a red dog"}, {"prompt": "a red dog", "seed": 9}]
    assert generate(written(f"prompts{ending}", rows)).code == 0
    first, second, third = pixels().values()
    assert [row["seed"] for row in records().values()] == [9, 1, 9]
    assert (first == third).all()
    assert (first != second).any()


def test_what_is_stopped_goes_on_where_it_was_and_makes_nothing_twice(generate, monkeypatch):
    path = written("prompts.jsonl", [{"prompt": prompt} for prompt in PROMPTS])
    assert generate(path, output="whole").code == 0
    asked, draw = [], BLIP3o.generate

    def stopping(model, prompts, *, on_image, **how):
        asked.append(list(prompts))

        def told(index, image):
            if len(asked) == 1 and index == 2:
                raise KeyboardInterrupt
            on_image(index, image)

        return draw(model, prompts, on_image=told, **how)

    monkeypatch.setattr(BLIP3o, "generate", stopping)
    stopped = generate(path)
    assert (stopped.code, stopped.err) == (130, "stopped: 2 of 4 rows are done in out; the same command goes on\n")
    with Path("out/manifest.jsonl").open("a") as file:
        file.write('{"row": 2, "pro')  # killed while it wrote
    Path("out/000000-a-red-dog.png").unlink()
    assert generate(path).code == 0
    assert asked[1] == [PROMPTS[0], *PROMPTS[2:]]
    assert equal(pixels(), pixels("whole"))
    assert generate(path).out == "4 of 4 rows are done in out\n"
    assert len(asked) == 2
    whole = [line for line in Path("out/manifest.jsonl").read_text().splitlines() if line.endswith("}")]
    assert sorted(json.loads(line)["row"] for line in whole) == [0, 0, 1, 2, 3]


def test_a_row_that_cannot_be_is_told_and_the_others_are_made(generate):
    rows = [{"prompt": "a red dog"}, {"prompt": "a zebra"}, {"prompt": "a house"}]
    done = generate(written("prompts.jsonl", rows))
    assert done.code == 0
    assert "2 of 3 rows are done" in done.out
    assert "1 cannot be: row 2: " in done.out
    assert "zebra" in records()[1]["error"]
    assert len(pixels()) == 2


def test_processes_share_the_rows_and_make_what_one_would(generate, monkeypatch):
    path = written("prompts.jsonl", [{"prompt": prompt} for prompt in PROMPTS])
    assert generate(path, output="whole").code == 0
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        assert generate(path).code == 0
    assert equal(pixels(), pixels("whole"))
    assert sorted(path.name for path in Path("out").glob("manifest*")) == [f"manifest-{k}.jsonl" for k in range(3)]
    assert len(Path("out/manifest-0.jsonl").read_text().splitlines()) == 2


def test_pictures_are_edited_and_read_row_by_row(blip3o, weights, picture):
    Path("pictures").mkdir()
    Image.open(picture).save("pictures/one.png")
    Path("pictures/broken.png").write_bytes(Path("pictures/one.png").read_bytes()[:50])
    rows = [
        {"image": "one.png", "prompt": "make it night"},
        {"image": "broken.png", "prompt": "make it night"},
        {"image": "nowhere.png", "prompt": "make it night"},
        {"image": "one.png", "prompt": "make it day", "seed": 3},
    ]
    path = written("pictures/rows.jsonl", rows)
    assert blip3o("edit", "--prompts", path, "-o", "out", "-m", weights, *FAST).code == 0
    kept = records()
    assert ["error" in kept[row] for row in range(4)] == [False, True, True, False]
    model = BLIP3o.load(weights)
    [expected] = model.edit(picture, "make it day", seed=3, steps=1, decoder_steps=1)
    assert (pixels()["000003-make-it-day.png"] == np.asarray(expected)).all()
    done = blip3o("understand", "--prompts", path, "-o", "answers", "-m", weights)
    assert "2 of 4 rows are done in answers" in done.out
    assert records("answers")[3]["answer"] == model.understand(picture, "make it day")[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("generate", "--prompts", "p.jsonl"), "--prompts writes into a folder: name one with --output"),
        (("generate", "a dog", "--prompts", "p.jsonl", "-o", "out"), "one of the two"),
        (("generate", "-o", "out"), "one of the two"),
        (("generate", "--prompts", "p.jsonl", "-o", "out", "-n", "2"), "--count and --json have no effect"),
        (("generate", "--prompts", "p.xml", "-o", "out"), "p.xml is none of .jsonl, .csv, .txt"),
        (("generate", "--prompts", "nowhere.txt", "-o", "out"), "nowhere.txt cannot be read"),
        (("generate", "--prompts", "empty.txt", "-o", "out"), "empty.txt has no rows"),
        (("generate", "--prompts", "bad.jsonl", "-o", "out"), "bad.jsonl, line 2 is no JSON"),
        (("generate", "--prompts", "none.jsonl", "-o", "out"), "none.jsonl, row 1 has prompt None, expected text"),
        (("generate", "--prompts", "seed.jsonl", "-o", "out"), "seed.jsonl, row 1 has seed 'x'"),
        (("edit", "--prompts", "p.jsonl", "-o", "out"), "p.jsonl, row 1 has image None, expected text"),
        (("edit", "p.png", "-o", "out"), "one of the two"),
        (("understand", "--prompts", "p.jsonl", "-o", "out", "--long"), "leave the others out"),
        (("understand", "p.png", "-o", "out"), "--output has an effect only with --prompts"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(blip3o, weights, words, told):
    written("p.jsonl", [{"prompt": "a dog"}])
    written("none.jsonl", [{"text": "a dog"}])
    written("seed.jsonl", [{"prompt": "a dog", "seed": "x"}])
    Path("empty.txt").write_text("\n")
    Path("bad.jsonl").write_text('{"prompt": "a dog"}\n{')
    done = blip3o(*words, "-m", weights)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert told in done.err


def test_a_folder_of_another_batch_is_left_alone(generate):
    path = written("prompts.txt", [{"prompt": "a dog"}])
    assert generate(path).code == 0
    done = generate(path, "--guidance", 9)
    assert (done.code, done.err) == (2, "error: out holds a batch with other guidance: name another folder\n")
    assert len(pixels()) == 1
