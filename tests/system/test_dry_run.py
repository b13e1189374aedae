"""What is told of a run before it begins: by shapes alone, for the published sizes too, and as true as it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from blip3o.config import load
from blip3o.train.recipe import Recipe
from blip3o.train.trainer import Trainer

HERE = Path(__file__).parents[1]
TINY, PUBLISHED = HERE / "tiny.yaml", HERE / "published_8b.yaml"


def told(blip3o, *words):
    done = blip3o("train", "--dry-run", "--json", "--config", *words)
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.slow
def test_the_published_sizes_are_told_without_weights_or_data(blip3o):
    told_of = told(blip3o, PUBLISHED, "--ranks", 32, "--rate", 400, "parallel.shard=full")
    (stage,) = told_of["stages"]
    counts = {part: count["parameters"] for part, count in stage["parts"].items()}
    assert counts["encoder"] == 4_350_208_256
    assert counts["head"] == 1_365_010_336 + 64 * 3584  # the denoiser and the queries
    assert {part for part, count in stage["parts"].items() if count["trained"]} == {"head"}
    assert stage["tokens_per_step"] == 512 * (96 + 64)
    # of each picture 1,024 patches through the encoder, of each token a pass through the backbone and, but for what a
    # frozen weight needs, back, of each feature three passes of the denoiser
    products = {"encoder": 1024 * 2, "language model": 160 * 4, "head": 64 * 6}
    least = 512 * sum(times * counts[part] for part, times in products.items())
    assert least * 0.9 < stage["flops_per_step"] < least * 1.25
    assert told_of["hours"] == pytest.approx(stage["flops_per_step"] * 150_000 / (32 * 400e12 * 3600))
    assert told_of["source"] == {
        "kind": "jsonl",
        "path": "/nowhere/blip3o/train.jsonl",
        "here": False,
        "bytes": None,
    }


@pytest.mark.slow
def test_what_cannot_fit_is_refused_with_what_would_help(blip3o):
    words = ("train", "--dry-run", "--config", PUBLISHED, "--memory", "80GB", "--ranks", 32)
    refused = blip3o(*words)
    assert refused.code == 2
    assert refused.err.startswith("error: stage pretraining needs ")
    assert "on each device, which has 80 GB" in refused.err
    assert refused.err.endswith("try parallel.shard=full\n")
    assert "not on this machine" in refused.out
    assert blip3o(*words, "parallel.shard=full").code == 0


def test_sharding_divides_what_waits_and_offloading_moves_it(blip3o):
    def memory(*words):
        return told(blip3o, TINY, *words)["stages"][-1]["memory"]

    alone, dealt = memory(), memory("--ranks", 4, "parallel.shard=full", "stages.instruction.batch_size=16")
    assert dealt["gradients"] == pytest.approx(alone["gradients"] / 4, rel=0.01)
    assert dealt["optimizer"] == pytest.approx(alone["optimizer"] / 4, rel=0.01)
    offloaded = memory("--ranks", 4, "parallel.shard=full", "parallel.offload=true", "stages.instruction.batch_size=16")
    assert offloaded["device"] == dealt["activations"] + dealt["buffers"]
    assert offloaded["host"] == dealt["device"] - offloaded["device"]
    assert alone["checkpointed"] < alone["activations"]


def test_smaller_micro_batches_keep_less_and_do_the_same(blip3o):
    whole, cut = (
        told(blip3o, TINY, *words)["stages"][-1] for words in ((), ("stages.instruction.micro_batch_size=1",))
    )
    assert cut["memory"]["activations"] < 0.5 * whole["memory"]["activations"]
    assert cut["flops_per_step"] == pytest.approx(whole["flops_per_step"], rel=0.01)
    assert cut["tokens_per_step"] == whole["tokens_per_step"]


def test_a_mistaken_size_is_named_and_idle_options_are_refused(blip3o):
    assert "--memory is '80 apples'" in blip3o("train", "--dry-run", "--config", TINY, "--memory", "80 apples").err
    assert "--ranks has an effect only with --dry-run" in blip3o("train", "--config", TINY, "--ranks", 2).err
    assert "--output has an effect only without" in blip3o("train", "--dry-run", "--config", TINY, "-o", "run").err
    assert list(Path().iterdir()) == []


def test_what_weights_gradients_optimizer_and_average_take_is_what_a_run_holds(blip3o, tmp_path):
    """The estimate of activations is none of these: docs/training.md says how far off it was found."""
    memory = told(blip3o, TINY, "stages.instruction.steps=2")["stages"][-1]["memory"]
    recipe = load(Recipe, TINY, ["stages.instruction.steps=2"])
    steps = Trainer(replace(recipe, stages=recipe.stages[-1:]), tmp_path / "run", lambda progress: None).begin(
        recipe.stages[-1]
    )
    steps.step()
    held = [steps.optimizer.state(parameter) for parameter in steps.parameters.values()]
    moments = sum(value.nbytes for state in held for value in state.values() if value.ndim)
    assert memory["weights"] == sum(value.nbytes for value in steps.objective.pipeline.parameters())
    assert memory["gradients"] == memory["average"] == sum(value.nbytes for value in steps.parameters.values())
    assert memory["optimizer"] == pytest.approx(moments, rel=0.01)
