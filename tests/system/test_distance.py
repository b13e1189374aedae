"""`blip3o evaluate distance` says what is wrong before it fetches a network, and all of it."""

import re
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["drawn", "nope"], "nope is no folder"),
        (["nope", "drawn"], "nope is no folder"),
        (["drawn", "drawn", "--validation", "nope"], "nope is no folder"),
        (["drawn", "--prompts", "nope.json"], "nope.json cannot be read"),
        (["drawn", "drawn", "--encoder", "dinov2", "--encoder", "vgg"], "no encoder is called 'vgg'"),
        (["drawn", "drawn", "--prompts", "drawn", "--clipscore", "x"], "clipscore is 'x'"),
        (["drawn", "drawn", "--encoder", "mae", "--encoder", "mae=there"], "an encoder is named twice"),
        (["drawn", "drawn", "--clipscore", "hessel"], "--clipscore has an effect only with --prompts"),
        (["drawn", "--prompts", "drawn", "--encoder", "mae"], "--encoder has an effect only against real pictures"),
        (["drawn", "--prompts", "drawn", "--validation", "drawn"], "--validation has an effect only against real"),
    ],
)
def test_what_is_wrong_is_told_before_a_network_is_fetched(asked, told, blip3o, monkeypatch):
    monkeypatch.setattr("blip3o.evals.distributions.encoders.pretrained", lambda *_: pytest.fail("one was fetched"))
    Path("drawn").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8)).save(f"drawn/{number}.png")
        Path(f"drawn/{number}.txt").write_text("a red dog")
    done = blip3o("evaluate", "distance", *asked)
    assert (done.code, told in done.err) == (2, True), done.err


def test_a_network_that_cannot_be_had_is_told_whole(blip3o):
    Path("drawn").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8)).save(f"drawn/{number}.png")
    done = blip3o("evaluate", "distance", "drawn", "drawn")
    assert done.code == 2
    assert done.err.rstrip().endswith("): name another network, or its folder")
    assert re.search(r"\(.* cached files\)", done.err), done.err
