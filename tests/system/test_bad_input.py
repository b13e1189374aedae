"""Whatever is put in: one clear line on stderr, an exit code that is not 0, and nothing left half-written."""

import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blip3o.processing.images import open_picture

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "tiny.yaml"


def assert_refused(result, *told, code=2):
    assert result.code == code, result
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err + result.out
    assert result.out == ""
    for words in told:
        assert words in result.err
    assert list(Path().iterdir()) == []


# --- pictures -------------------------------------------------------------------------------------------------------


def png_header(width, height):
    """The beginning of a PNG of this size, without any pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def noise(*shape):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def half_of(path):
    noise(64, 64, 3).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD_PICTURES = {
    "missing": ("x.png", lambda path: None, "does not exist"),
    "a folder": ("x.png", Path.mkdir, "is a folder"),
    "empty": ("x.png", Path.touch, "is empty (0 bytes)"),
    "large": ("x.png", lambda path: path.write_bytes(png_header(12_000, 9_000)), "12000 x 9000"),
    "huge": ("x.png", lambda path: path.write_bytes(png_header(60_000, 60_000)), "too large"),
    "a truncated PNG": ("x.png", half_of, "is damaged"),
    "a truncated JPEG": ("x.jpg", half_of, "is damaged"),
    "text": ("x.png", lambda path: path.write_text("no picture"), "is no picture"),
    "another name for text": ("x.jpg", lambda path: path.write_text("GIF89a"), "x.jpg"),
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_a_picture_that_cannot_be_read_is_refused(kind, blip3o, tmp_path_factory):
    name, make, told = BAD_PICTURES[kind]
    path = tmp_path_factory.mktemp("bad") / name
    make(path)
    assert_refused(blip3o("understand", path, "--model", "nowhere"), str(path), told)
    assert_refused(blip3o("edit", path, "make it night", "--model", "nowhere"), str(path), told)


def animation(path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


GOOD_PICTURES = {
    "animated": ("x.gif", animation),
    "CMYK": ("x.jpg", lambda path: Image.new("RGB", (8, 8), "red").convert("CMYK").save(path, quality=100)),
    "with transparency": ("x.png", lambda path: Image.new("RGBA", (8, 8), "red").save(path)),
    "with a palette": ("x.png", lambda path: Image.new("RGB", (8, 8), "red").quantize().save(path)),
}


@pytest.mark.parametrize("kind", GOOD_PICTURES)
def test_a_picture_of_an_unusual_kind_is_read_as_what_it_shows(kind, blip3o, weights, tmp_path_factory):
    name, make = GOOD_PICTURES[kind]
    path = tmp_path_factory.mktemp("good") / name
    make(path)
    red, green, blue = np.asarray(open_picture(path))[4, 4].tolist()
    assert red > 220
    assert max(green, blue) < 40
    assert blip3o("understand", path, "--model", weights).code == 0


def test_sixteen_bits_are_scaled_to_eight(blip3o, weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "x.png"
    Image.fromarray(np.full((8, 8), 32_768, np.uint16)).save(path)
    assert np.asarray(open_picture(path))[4, 4].tolist() == pytest.approx([128] * 3, abs=1)
    assert blip3o("understand", path, "--model", weights).code == 0


# --- words ----------------------------------------------------------------------------------------------------------

BAD_WORDS = {
    "an unknown word": ("a red giraffe", "'giraffe'"),
    "a misspelt word": ("a red cta", "did you mean"),
    "empty": ("", "is empty"),
    "only spaces": (" \n\t ", "is empty"),
    "very long": ("a red dog " * 20_000, "200000 characters"),
    "one very long word": ("d" * 1900, "never read"),
    "not English": ("ein roter Hund", "'ein', 'roter', 'Hund'"),
    "of another script": ("一只红色的狗", "never read"),
    "the text of a special token": ("a dog<|im_end|>", "'<|im_end|>', a control token"),
    "the text of a thought": ("a dog</think>", "'</think>', a control token"),
}


@pytest.mark.parametrize("kind", BAD_WORDS)
def test_words_that_the_model_cannot_take_are_refused(kind, blip3o, weights, picture):
    text, told = BAD_WORDS[kind]
    assert_refused(blip3o("generate", "--model", weights, "--", text), told)
    assert_refused(blip3o("edit", "--model", weights, "--", picture, text), told)
    assert_refused(blip3o("understand", "--model", weights, "--", picture, text), told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("what is this?", "--labels", "dog,cat"), "task vqa takes no --labels"),
        (("what is this?", "--long"), "task vqa takes no --long"),
        (("--labels", "dog", "--long"), "task image_classification takes no --long"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(blip3o, weights, picture, given, told):
    assert_refused(blip3o("understand", picture, *given, "--model", weights), told)


def test_labels_that_the_model_cannot_take_are_refused(blip3o, weights, picture):
    asked = ("understand", picture, "--task", "image_classification", "--model", weights, "--labels")
    assert_refused(blip3o(*asked, "dog,giraffe"), "'giraffe'")
    assert_refused(blip3o(*asked, " , "), "labels is")
    assert_refused(blip3o(*asked, "dog,,cat"), "labels is")
    assert_refused(blip3o(*asked, "dog,dog"), "name each label once")


def test_a_question_and_its_task_belong_together(blip3o, picture):
    assert_refused(blip3o("understand", picture, "--task", "vqa"), "needs a question")
    assert_refused(blip3o("understand", picture, "what is this?", "--task", "caption"), "takes no question")


# --- checkpoints: those that are damaged stand in test_damaged_checkpoints.py -----------------------------------------


@pytest.mark.parametrize("name", ["no-such-model", "long" * 100])
def test_a_model_that_is_not_there_is_refused(name, blip3o):
    assert_refused(blip3o("generate", "a red dog", "--model", name), f"no model '{name}'")


def test_a_name_that_no_file_can_have_is_refused(blip3o):
    assert_refused(blip3o("generate", "a red dog", "--output", "long" * 100 + ".png"), "choose another name")


# --- recipes and options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--config", "picturebok"), "did you mean picturebook?"),
        (("--config", TINY, "stages.encoder.stepz=3"), "stages.encoder.stepz, did you mean steps?"),
        (("--config", TINY, "stages.encoder.steps=many"), "expected int"),
        (("--config", TINY, "seed"), "expected key=value"),
        (("--config", TINY, "--seed", "3", "seed=4"), "the seed is given twice, as --seed 3 and as seed=4"),
        (("--config", TINY, "--stage", "ending"), "choose one of encoder, decoder"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(words, told, blip3o):
    assert_refused(blip3o("train", *words), told)


def test_a_recipe_that_trains_no_part_of_the_model_is_refused(blip3o):
    done = blip3o("train", "--config", TINY, "stages.encoder.trains=[nose]")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "trains names nose" in done.err


def test_a_recipe_whose_losses_reach_nothing_that_learns_is_refused(blip3o):
    change = "stages.encoder.trains=[unified.head]"
    done = blip3o("train", "--config", TINY, "--stage", "encoder", "-o", "run", change)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "stage encoder trains unified.head, on which the losses of its objective " in done.err
    assert not list(Path("run").glob("stages/*"))


def test_a_run_of_another_model_is_not_gone_on_with(blip3o, monkeypatch):
    monkeypatch.setattr("blip3o.cli.train_progress.benchmark_scores", lambda model, benchmark, tasks: {})
    assert blip3o("train", "--config", TINY, "--stage", "encoder", "-o", "run").code == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    done = blip3o("train", "--config", TINY, "-o", "run", "--seed", 9)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--restart" in done.err
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--suite", "geneval"), "no suite is called 'geneval'"),
        (("--group", "poetry"), "no group is called 'poetry'"),
    ],
)
def test_an_evaluation_that_there_is_not_is_refused(words, told, blip3o, weights):
    assert_refused(blip3o("evaluate", "--model", weights, *words), told)


# --- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "a red dog", "--output", "{file}/x.png"),
        ("generate", "a red dog", "--output", "{file}"),
        ("generate", "a red dog", "--output", "x.gif"),
        ("data", "preview", "--output", "{file}/x.png"),
        ("demo", "--output", "{file}"),
        ("chat", "--output", "{file}"),
        ("evaluate", "--output", "{file}", "--limit", "1"),
        ("train", "--output", "{file}"),
        ("train", "--output", "{file}/run"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_any_work(words, blip3o, tmp_path_factory):
    file = tmp_path_factory.mktemp("taken") / "file"
    file.write_text("mine")
    assert_refused(blip3o(*(word.format(file=file) for word in words)), "cannot write")
    assert file.read_text() == "mine"


def test_a_full_disk_leaves_nothing(blip3o, weights, monkeypatch):
    def full(self, path, *_, **__):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert_refused(blip3o("generate", "a red dog", "--model", weights), "No space left")


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_within_a_step_keeps_that_step(blip3o, monkeypatch):
    from blip3o.train.steps import StageSteps
    from blip3o.weights.checkpoint import read_tensors

    whole = StageSteps.step

    def pressed(self):
        if self.done == 2:
            signal.raise_signal(signal.SIGINT)
        return whole(self)

    monkeypatch.setattr("blip3o.cli.train_progress.benchmark_scores", lambda model, benchmark, tasks: {})
    monkeypatch.setattr(StageSteps, "step", pressed)
    done = blip3o("train", "--config", TINY, "--stage", "encoder", "-o", "run")
    assert (done.code, done.err.count("\n")) == (130, 1)
    _, about = read_tensors(Path("run/states/encoder-000003/state.safetensors"))
    assert about["done"] == 3
    monkeypatch.setattr(StageSteps, "step", whole)
    assert blip3o("train", "--config", TINY, "--stage", "encoder", "-o", "run").code == 0


def test_ctrl_c_while_drawing_leaves_nothing(blip3o, weights, monkeypatch):
    def press(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", press)
    done = blip3o("generate", "a red dog", "--model", weights)
    assert (done.code, done.err) == (130, "stopped\n")
    assert list(Path().iterdir()) == []
