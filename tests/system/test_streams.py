"""What comes in by stdin and goes out by stdout and files: any bytes, no room, no reader, two writers, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


def command(*words, stdout: int | IO[bytes] | None = None, cwd: Path | None = None, given: bytes | None = None):
    """A command in a process of its own, in this folder, with these bytes to read."""
    words = [sys.executable, "-m", "blip3o", *(word if isinstance(word, bytes) else str(word) for word in words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "", "PYTHONUTF8": "1"}
    return subprocess.run(
        words, env=environment, check=False, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd, input=given
    )


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("verb", [("info",), ("generate", "a red dog", "--json", "-o", "a.png"), ("--help",)])
def test_no_room_for_the_output_is_one_line(verb, weights, tmp_path):
    model = ["-m", weights] if verb[0] == "generate" else [weights] if verb[0] == "info" else []
    with Path("/dev/full").open("wb") as full:
        done = command(*verb, *model, stdout=full, cwd=tmp_path)
    told = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert told[-1] == "error: cannot write (No space left on device): make room, or write elsewhere"
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["info", "--help"])
def test_a_reader_that_goes_away_ends_a_command_without_a_word(verb, weights, tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = command(verb, *([weights] if verb == "info" else []), stdout=write, cwd=tmp_path)
    os.close(write)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert b"error" not in done.stderr


@pytest.mark.slow
def test_names_and_words_in_other_bytes_are_taken_or_refused_in_one_line(weights, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    drawn = command("generate", "a red dog", "-o", name, "-m", weights, stdout=subprocess.PIPE, cwd=tmp_path)
    assert (drawn.returncode, Path(os.fsdecode(name)).is_file()) == (0, True)
    assert drawn.stdout.decode().endswith("caf\\udce9.png\n")
    edited = command("edit", name, "make it night", "--json", "-m", weights, stdout=subprocess.PIPE, cwd=tmp_path)
    (facts,) = json.loads(edited.stdout)
    assert os.fsencode(facts["source"]) == name
    with Image.open(tmp_path / os.fsdecode(os.fsencode(facts["path"]))) as image:
        assert image.info["source"].endswith("caf\\udce9.png")
    for refused in (
        command("generate", b"a caf\xe9", "-m", weights, cwd=tmp_path),
        command("chat", "-m", weights, given=b"what is this?\xff\n", cwd=tmp_path),
    ):
        assert refused.returncode == 2
        assert "which is no character: give text in UTF-8" in refused.stderr.decode().splitlines()[-1]


@pytest.mark.slow
def test_two_commands_that_draw_at_once_keep_both_pictures(weights, tmp_path):
    def draw(seed):
        return command(
            *("generate", "a red dog", "-n", 4, "--seed", seed, "--steps", 1, "--json", "-m", weights),
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )

    with ThreadPoolExecutor(2) as pool:
        told = [entry for done in pool.map(draw, (0, 100)) for entry in json.loads(done.stdout)]
    assert len({entry["path"] for entry in told}) == 8
    for entry in told:
        with Image.open(tmp_path / entry["path"]) as image:
            assert image.info["seed"] == str(entry["seed"])


def interrupt(monkeypatch, after):
    """Ctrl-C when this many pictures are drawn."""
    from blip3o.pipeline.drawing import Drawer

    drawn, decode = [], Drawer._decode
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background of a shell ignores it

    def pressed(drawer, one, count):
        if len(drawn) >= after:
            signal.raise_signal(signal.SIGINT)
        decode(drawer, one, count)
        drawn.extend(row for row in one.rows if row.done)

    monkeypatch.setattr(Drawer, "_decode", pressed)


@pytest.mark.parametrize(
    "words", [("generate", "a red dog"), ("edit", "{picture}", "make it night")], ids=["generate", "edit"]
)
def test_ctrl_c_keeps_the_pictures_before(blip3o, weights, picture, monkeypatch, words):
    interrupt(monkeypatch, after=16)
    asked = [word.format(picture=picture) for word in words]
    done = blip3o(*asked, "-n", 40, "--steps", 1, "--decoder-steps", 1, "-o", "out", "-m", weights)
    kept = sorted(Path("out").iterdir())
    assert (done.code, len(kept)) == (130, 16)
    assert done.err.startswith("stopped: 16 of 40 pictures are written, the last to out/")
    assert done.err.count("\n") == 1
    for path in kept:
        with Image.open(path) as image:
            assert image.size[0] > 1


def test_a_long_name_leaves_room_for_what_is_added_to_it(blip3o, weights, picture):
    long = picture.rename(picture.with_name("ж" * 120 + ".png"))
    done = blip3o("edit", long, "make it night", "-m", weights)
    assert (done.code, Path(done.out.strip()).is_file()) == (0, True)
