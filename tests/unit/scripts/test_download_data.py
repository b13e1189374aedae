"""The script that fetches data says what it would do, and refuses what it does not know."""

import os
import subprocess
from pathlib import Path

import pytest

from examples.emoji.collection import LENDERS, PACKAGES

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "download_data.sh"
ON_THE_HUB = {
    "long-captions": "BLIP3o/BLIP3o-Pretrain-Long-Caption --repo-type dataset",
    "short-captions": "BLIP3o/BLIP3o-Pretrain-Short-Caption --repo-type dataset",
    "journeydb": "BLIP3o/BLIP3o-Pretrain-JourneyDB --repo-type dataset",
    "blip3o-60k": "BLIP3o/BLIP3o-60k --repo-type dataset",
    "model-8b": "BLIP3o/BLIP3o-Model-8B --repo-type model",
    "model-4b": "BLIP3o/BLIP3o-Model-4B --repo-type model",
    "siglip2-sana": "BLIP3o/SigLIP2_SANA --repo-type model",
    "eva-clip": "jiuhai/eva_clip_vision_tower --repo-type model",
}


def download(*arguments, **environment):
    return subprocess.run(
        ["bash", SCRIPT, *map(str, arguments)], capture_output=True, text=True, env=os.environ | environment
    )


@pytest.mark.parametrize("what", ON_THE_HUB)
def test_what_lies_on_the_hub_is_fetched_by_its_command(what, tmp_path):
    done = download("--dry-run", what, tmp_path, HF="hf")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["hf", "download", *ON_THE_HUB[what].split(), "--local-dir", str(tmp_path)]
    assert not list(tmp_path.iterdir())


def test_some_shards_may_be_named():
    done = download("--dry-run", "long-captions", SHARDS="sa_0*.tar", HF="hf")
    assert "--include sa_0\\*.tar" in done.stdout


def test_help_lists_everything_and_gives_examples():
    shown = download("--help").stdout
    assert all(what in shown for what in (*ON_THE_HUB, "emoji", "openmoji"))
    assert shown == download().stdout == download("list").stdout
    assert "bash scripts/download_data.sh emoji\n" in shown


def test_the_emoji_are_fetched_by_npm_and_packed_here():
    lines = download("--dry-run", "emoji", "there").stdout.splitlines()
    assert [line.split()[2] for line in lines if line.split()[0] == "npm"] == [
        "@iconify-json/noto@1.2.9",
        "@iconify-json/fluent-emoji-flat@1.2.6",
        "@iconify-json/twemoji@1.2.5",
        "@iconify-json/emojione@1.2.3",
        "@iconify-json/noto-v1@1.2.5",
        "@iconify-json/fxemoji@1.2.2",
        "@iconify-json/streamline-emojis@1.2.4",
    ]
    assert lines[-2] == " python -m examples.emoji.pack there"
    assert "Apache-2.0" in lines[-1]
    assert "MIT" in lines[-1]


def test_packages_that_are_there_are_not_fetched_again(tmp_path):
    for name in (*PACKAGES.values(), *LENDERS.values()):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "package.json").touch()
    assert "npm" not in download("--dry-run", "emoji", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "nothing is called nonsense: see --help"),
        (["--force", "emoji"], "there is no option --force: see --help"),
        (["emoji", "a", "b"], "3 arguments, expected WHAT and DIR: see --help"),
    ],
)
def test_what_it_does_not_know_is_one_line(arguments, told):
    done = download(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{told}\n")


def test_a_command_that_is_not_installed_is_told(tmp_path):
    (tmp_path / "bash").symlink_to("/bin/bash")
    done = download("eva-clip", tmp_path / "out", PATH=str(tmp_path), HF="hf-of-nobody")
    assert done.returncode == 2
    assert done.stderr == "hf-of-nobody is not installed: pip install huggingface_hub\n"
