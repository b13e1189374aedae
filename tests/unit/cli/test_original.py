"""The commands of the original documentation become verbs."""

import pytest

from blip3o.cli import original
from blip3o.errors import ConfigError


def test_run_inference_becomes_understand():
    words = original.run_inference(["--task", "vqa", "--input_path", "x.jpg", "--question", "what is this?", "--json"])
    assert words == ["understand", "--task", "vqa", "--model", "picturebook", "--json", "--", "x.jpg", "what is this?"]


def test_generate_image_becomes_generate():
    words = original.generate_image(["--prompt", "a dog", "--output_path", "o.jpg", "--seed", "3"])
    assert words == ["generate", "--output", "o.jpg", "--model", "picturebook", "--seed", "3", "--", "a dog"]


def test_evaluate_names_the_groups_of_its_task():
    words = original.evaluate(["--task", "image_understanding", "--checkpoint", "P"])
    assert words == ["evaluate", "--suite", "picturebook", "--model", "P", "--group", "vqa", "--group", "caption"]


def test_every_task_of_evaluate_asks_groups_that_exist():
    from blip3o.picturebook.benchmarks.benchmark import GROUPS

    there = {name.split("/")[0] for name in GROUPS}
    assert {group for groups in original.GROUPS.values() for group in groups} <= there


def test_train_becomes_train():
    words = original.train(["--config", "configs/train_blip3u.yaml", "--output_dir", "D", "seed=1"])
    assert words == ["train", "--config", "configs/train_blip3u.yaml", "--output", "D", "seed=1"]


@pytest.mark.parametrize(
    ("translate", "arguments"),
    [
        (original.evaluate, ["--task", "guessing"]),
        (original.evaluate, []),
        (original.run_inference, ["--task", "vqa"]),
        (original.train, ["--config", "x"]),
    ],
)
def test_an_incomplete_or_unknown_command_is_a_config_error(translate, arguments):
    with pytest.raises(ConfigError):
        translate(arguments)
