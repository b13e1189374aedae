"""An adapter by the command line: trained on one's own pictures, told, put on a model, and merged into one."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from blip3o.api import BLIP3o

RECIPE = """
name: own
description: a test
start: {{model: {model}}}
source: {{kind: image_folder, path: pictures}}
save_every: 0
stages:
  - name: words
    objective: {{kind: unified, draw: {{draw: 1}}, text: {{caption: 1}}, text_batch_size: 2}}
    trains: []
    adapter: {{rank: 2, targets: [unified.backbone.language_model.layers, unified.head.denoiser.layers]}}
    steps: 3
    batch_size: 4
    learning_rate: 1e-2
"""


@pytest.fixture
def adapter(blip3o, weights, tmp_path):
    """The folder of an adapter that was trained on four pictures of a star."""
    (tmp_path / "own.yaml").write_text(RECIPE.format(model=weights))
    folder = tmp_path / "stars"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (72, 72), ("red", "blue")[number % 2]).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"a {('red', 'blue')[number % 2]} star in the snow")
    done = blip3o("train", "--config", "own.yaml", "-o", "run", "--data", "stars")
    assert done.code == 0, done.err
    assert done.out.strip().endswith("run/adapter")
    return Path("run/adapter")


@pytest.mark.slow
def test_an_adapter_goes_from_pictures_to_a_merged_model(blip3o, weights, adapter):
    told = json.loads(blip3o("info", adapter, "--json").out)
    assert (told["base"], told["words"], told["rank"], told["kind"]) == (str(weights), ["star"], 2, "LoRA")
    assert told["parameters"] > 0
    assert "star" in blip3o("info", adapter).out

    request = ("generate", "a red star", "-m", weights, "--steps", "1", "--decoder-steps", "1", "-o")
    refused = blip3o(*request, "none.png")
    assert (refused.code, "has never read 'star'" in refused.err) == (2, True)
    for options in ((f"{adapter}",), (f"{adapter}:0.5",), (f"{adapter}", "--no-merge")):
        done = blip3o(*request, "star.png", "--adapter", *options)
        assert done.code == 0, done.err
    one, half = (BLIP3o.load(weights, adapters=[f"{adapter}{share}"]) for share in ("", ":0.5"))
    assert not all(map(torch.equal, one.pipeline.parameters(), half.pipeline.parameters()))

    assert blip3o("convert", weights, "merged", "--adapter", adapter).code == 0
    merged, put_on = BLIP3o.load("merged"), BLIP3o.load(weights, adapters=[adapter])
    assert merged.about["adapters"] == str(adapter)
    assert "star" in merged.info()["words"]
    assert merged.caption(Image.new("RGB", (72, 72))) == put_on.caption(Image.new("RGB", (72, 72)))


@pytest.mark.slow
def test_results_of_an_adapter_are_its_own(weights, adapter):
    from blip3o.evals.evaluate import identity_of

    plain, one, half = (
        identity_of(str(weights), "cpu", {"adapters": adapters}) for adapters in ((), (adapter,), (f"{adapter}:0.5",))
    )
    assert len({json.dumps(identity) for identity in (plain, one, half)}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--adapter", "nowhere"), "no adapter 'nowhere'"),
        (("--adapter", "nowhere:much"), "the share of adapter nowhere is 'much'"),
        (("--no-merge",), "merge has an effect only on adapters"),
        (("--adapter", "x", "--memory", "low"), "adapters go with memory full"),
    ],
)
def test_adapters_that_cannot_be_put_on_are_refused(blip3o, weights, words, said):
    done = blip3o("generate", "a cup", "-m", weights, *words)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_data_for_a_recipe_that_takes_none_is_refused(blip3o):
    done = blip3o("train", "--config", "picturebook", "--data", "stars", "-o", "run")
    assert (done.code, "--data stars has no effect" in done.err) == (2, True)
    assert not Path("run").exists()


@pytest.mark.slow
def test_a_begun_run_goes_on_without_the_folder_it_started_from(blip3o, weights, tmp_path):
    import shutil

    shutil.copytree(weights, tmp_path / "start")
    recipe = RECIPE.replace("trains: []", "trains: [unified.head]").format(model=tmp_path / "start")
    (tmp_path / "own.yaml").write_text("\n".join(line for line in recipe.split("\n") if "adapter:" not in line))
    Image.new("RGB", (72, 72), "red").save(tmp_path / "0.png")
    (tmp_path / "0.txt").write_text("a red dog")
    words = ("train", "--config", "own.yaml", "-o", "run", "--data", str(tmp_path))
    assert blip3o(*words).code == 0
    shutil.rmtree(tmp_path / "start")
    done = blip3o(*words)
    assert done.code == 0, done.err
