"""The judge that ships sees what is drawn, also where it is drawn a little badly."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.errors import CheckpointError
from blip3o.evals.generation.geneval import Prompt
from blip3o.picturebook.detector import scene_detector as judge_module
from blip3o.picturebook.detector.matching import shows
from blip3o.picturebook.detector.scene_detector import SceneDetector
from blip3o.picturebook.detector.training_data import any_scene, spoiled
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import SIZE
from blip3o.processing.conversation import Picture
from blip3o.processing.images import stacked, to_pixels

RNG = random.Random("evaluation/tests")
SCENES = [any_scene(RNG) for _ in range(100)]


@pytest.fixture(scope="module")
def pictures():
    return [draw(scene) for scene in SCENES]


def share_right(sights):
    return sum(shows(sight, scene) for sight, scene in zip(sights, SCENES, strict=True)) / len(SCENES)


@pytest.mark.slow
def test_it_sees_every_single_thing(judge, pictures):
    assert share_right(judge.see(pictures)) >= 0.99


@pytest.mark.slow
def test_it_forgives_a_little_blur_and_noise(judge, pictures):
    pixels = spoiled(to_pixels(stacked([Picture(picture) for picture in pictures])), torch.Generator().manual_seed(0))
    worse = ((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert share_right(judge.see(list(worse))) >= 0.95


def test_the_same_picture_gets_the_same_verdict_in_any_company(judge, pictures):
    alone, among = judge.see(pictures[3:4])[0], judge.see(pictures[:8])[3]
    assert [(t.kind, t.color) for t in alone.clear()] == [(t.kind, t.color) for t in among.clear()]
    assert [t.box for t in alone.clear()] == [pytest.approx(t.box, abs=0.01) for t in among.clear()]


def test_a_larger_picture_is_judged_like_a_small_one(judge, pictures):
    large = Image.fromarray(pictures[3]).resize((4 * SIZE, 4 * SIZE), Image.Resampling.NEAREST)
    assert judge.see([large])[0].in_words == judge.see(pictures[3:4])[0].in_words


def test_nothing_is_seen_in_noise_or_in_an_empty_place(judge):
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    empty = draw(any_scene(random.Random(0), most=0))
    assert [sight.clear() for sight in judge.see([noise, empty])] == [(), ()]


def test_genevals_rules_apply_to_what_it_sees(judge, pictures):
    scene = next(scene for scene in SCENES if len(scene.objects) == 1)
    sight, thing = judge.see([draw(scene)])[0], scene.objects[0]
    clause = {"class": thing.kind, "count": 1}

    def faults(**more):
        return sight.faults(Prompt.from_metadata({"tag": "colors", "prompt": "", "include": [{**clause, **more}]}))

    assert faults() == faults(color=thing.color) == ""
    wrong = "red" if thing.color != "red" else "blue"
    assert faults(color=wrong).startswith(f"expected {wrong} {thing.kind}>=1")


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_a_spoiled_file_is_one_clear_error(monkeypatch, tmp_path, content):
    file = tmp_path / "model.safetensors"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(judge_module, "WEIGHTS", file)
    SceneDetector.load.cache_clear()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        SceneDetector.load()
    SceneDetector.load.cache_clear()
