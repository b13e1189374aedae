"""What README.md, LOG.md and docs/ say is so: each command and each code block runs, every link leads somewhere."""

import importlib.util
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from blip3o.cli import run
from blip3o.config import load
from scripts.fill_scores import CHECKPOINT, fill, gather

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "LOG.md", *sorted((ROOT / "docs").glob("*.md")))
PLACES = ("blip3o/checkpoints/picturebook", "runs/picturebook/checkpoint")
"""Where the pages expect a model."""


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*parts) for parts in found]


def commands(page: Path) -> list[list[str]]:
    """The commands of a page's shell blocks, as words."""
    lines = [line for block in blocks(page) if block.language == "bash" for line in block.text.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words]


# --- the commands that are not run as they stand, each with its reason ----------------------------------------------


def is_target(words: list[str]) -> None:
    assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()


def is_made_by_make(words: list[str]) -> None:
    assert words == ["source", ".venv/bin/activate"]
    assert "venv .venv" in (ROOT / "Makefile").read_text()


def is_a_recipe(words: list[str]) -> None:
    from blip3o.train.recipe import Recipe

    options = dict(pairwise(words))
    recipe = load(Recipe, options["--config"], [word for word in words if "=" in word])
    assert options.get("--stage") in (None, *(stage.name for stage in recipe.stages))


def runs_with_one_question(words: list[str]) -> None:
    carry_out([*words, "--limit", "1"])


def has_help(words: list[str]) -> None:
    taken = {word for word in words if word.startswith("--")}
    with pytest.MonkeyPatch.context() as patch:
        shown = io.StringIO()
        patch.setattr(sys, "stdout", shown)
        carry_out([*words[:2], "--help"])
    assert all(option in shown.getvalue() for option in taken)


def says_what_it_takes(words: list[str]) -> None:
    asked = subprocess.run(
        [sys.executable, str(ROOT / words[1]), "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert all(word in asked for word in words if word.startswith("--"))


def scores_the_book_a_little(words: list[str]) -> None:
    asked = [*words[:1], str(ROOT / words[1]), *(words[2:] or ["picturebook", "nowhere"])]
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run([*asked, "--limit", "1", "--group", "vqa"], check=True, env=environment, capture_output=True)


def would_download(words: list[str]) -> None:
    subprocess.run([words[0], str(ROOT / words[1]), "--dry-run", *words[2:]], check=True, capture_output=True)


def is_a_program(words: list[str]) -> None:
    done = subprocess.run([sys.executable, *words[1:3], "--help"], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("usage: ")


def names_a_benchmark(words: list[str]) -> None:
    from blip3o.evals.registry import find

    options = dict(pairwise(words))
    assert find(options["--benchmark"])[0].has_data == ("--data" in options)


def is_an_extra(words: list[str]) -> None:
    extra = re.fullmatch(r"blip3o\[(\w+)\]", words[-1])
    assert extra is not None
    assert f"\n{extra[1]} = [" in (ROOT / "pyproject.toml").read_text()


def would_serve(words: list[str]) -> None:
    assert set(words[2:]) <= {"--port", "9000"}
    assert run(["serve", "--help"]) == 0


def asks_a_path_of_the_server(words: list[str]) -> None:
    from blip3o.serve.openai import create_app

    path = words[1].removeprefix("http://127.0.0.1:8000")
    assert path in create_app({}).openapi()["paths"]


def is_installed(words: list[str]) -> None:
    assert importlib.util.find_spec(words[0])


def has_its_help(words: list[str]) -> None:
    assert run([*words[1:3], "--help"]) == 0


INSTEAD: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "blip3o serve": (would_serve, "serves until it is stopped; test_server.py starts it"),
    "curl": (asks_a_path_of_the_server, "needs a server"),
    "pip": (is_an_extra, "installs from the network"),
    "tensorboard": (is_installed, "serves a page until it is stopped"),
    "torchrun": (is_a_recipe, "takes hours; test_parallel.py starts processes"),
    "make": (is_target, "sets up an environment; .ci/run does it in full"),
    "source": (is_made_by_make, "the shell's own"),
    "blip3o train": (is_a_recipe, "takes hours; a tiny recipe runs in test_cli.py and test_training.py"),
    "python train.py": (is_a_recipe, "takes minutes; a tiny recipe runs in test_cli.py"),
    "blip3o data check data/emoji/training/pictures-*.tar": (
        has_its_help,
        "reads the emoji, which are not in the checkout",
    ),
    "blip3o data preview data/emoji/training/edits-*.tar": (
        has_its_help,
        "reads the emoji, which are not in the checkout",
    ),
    "blip3o evaluate --benchmark examples.emoji.benchmark:HeldOutEmoji": (
        names_a_benchmark,
        "asks thousands of questions of the emoji",
    ),
    "bash scripts/download_data.sh": (would_download, "fetches from the network"),
    "python -m examples.emoji.sheet": (is_a_program, "needs a trained model; test_emoji_benchmark.py tests it"),
    "python -m examples.emoji.judge": (is_a_program, "takes minutes; test_emoji_benchmark.py trains one"),
    "blip3o evaluate": (runs_with_one_question, "asks thousands of questions"),
    "python evaluate.py": (runs_with_one_question, "asks a thousand questions"),
    "bash scripts/run_all_evals.sh": (scores_the_book_a_little, "asks thousands of questions"),
    "python benchmarks/speed.py": (has_help, "takes minutes of a quiet machine"),
    "python benchmarks/inference.py": (has_help, "takes three minutes of a quiet machine"),
    "python benchmarks/step.py": (has_help, "takes a minute of a quiet machine"),
    "python benchmarks/training_step.py": (has_help, "takes minutes of a quiet machine"),
    "python benchmarks/step_memory.py": (says_what_it_takes, "takes a minute and 4 GB"),
    "python scripts/train_judge.py": (has_help, "takes minutes, and writes into the package"),
    "python examples/new_noun/draw.py": (says_what_it_takes, "its pictures are for training"),
    "python examples/new_noun/judge.py": (says_what_it_takes, "takes minutes"),
    "python examples/new_noun/measure.py": (says_what_it_takes, "takes what the others make"),
    "python scripts/model_card.py": (has_help, "writes into the package; test_model_card.py runs it"),
    "python scripts/fill_scores.py": (has_help, "writes README.md; test_fill_scores.py tests it"),
    "python scripts/readme_picture.py": (has_help, "writes into docs/; has a test below"),
}
"""Beginning of a command -> what is tried in its stead, and why."""


def carry_out(words: list[str]) -> None:
    """Run a command of blip3o or of a script of ours, here and now."""
    if words[0] == "blip3o":
        assert run(words[1:]) == 0, words
        return
    assert words[0] == "python", words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words[1:])
        code = None
        try:
            runpy.run_path(words[1], run_name="__main__")
        except SystemExit as end:
            code = end.code
    assert not code, words


def way_of(words: list[str]) -> Callable[[list[str]], None]:
    """How to try a command."""
    told = " ".join(words) + " "
    return next((check for beginning, (check, _) in INSTEAD.items() if told.startswith(f"{beginning} ")), carry_out)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder as the pages expect it, with an untrained model of the picture book's sizes where they name one."""
    import torch

    from blip3o.picturebook.tasks import vocabulary
    from blip3o.pipeline.pipeline import Pipeline
    from blip3o.processing.tokenizer import make
    from blip3o.train.recipe import Recipe
    from blip3o.weights import checkpoint, lora

    folder = tmp_path_factory.mktemp("checkout")
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder)
    for name in ("configs", "scripts", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name)
    from PIL import Image

    own = folder / "my-pictures"
    own.mkdir()
    Image.new("RGB", (80, 60), "red").save(own / "red.png")
    (own / "red.txt").write_text("a red field")
    torch.manual_seed(0)
    pipeline = Pipeline(load(Recipe, "picturebook").model, make(vocabulary()))
    for place in PLACES:
        checkpoint.save(pipeline, folder / place, about={"commit": "abc"})
    Image.new("RGB", (72, 72), "green").save(folder / "meadow.png")
    (folder / "prompts.jsonl").write_text('{"prompt": "a red dog"}\n')
    pipeline.know(["star"])
    lora.add(pipeline, lora.AdapterConfig(rank=2), ["star"])
    lora.save(pipeline, folder / "runs" / "adapter" / "adapter", trained=(), about={"words": ["star"]})
    return folder


@pytest.fixture
def here(checkout, monkeypatch):
    """The checkout as the current folder, its model as the shipped one, a judge that is measured briefly."""
    monkeypatch.chdir(checkout)
    monkeypatch.setattr("blip3o.weights.folders.SHIPPED", checkout / "blip3o" / "checkpoints")
    monkeypatch.setattr("blip3o.picturebook.benchmarks.benchmark.JUDGED_SCENES", 20)
    monkeypatch.setattr(sys, "stdin", io.StringIO("draw a red dog\n"))
    return checkout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page, here):
    for words in commands(page):
        way_of(words)(words)


@pytest.fixture
def tables(monkeypatch):
    """The tables that pages add lines to, as they were, when the page is through."""
    from blip3o.cli import app
    from blip3o.model import backbones, encoders, heads

    for module, name in ((encoders, "ENCODERS"), (heads, "HEADS"), (backbones, "BACKBONES")):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
    monkeypatch.setattr(app.app, "registered_commands", list(app.app.registered_commands))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_code_block_of_a_page_runs(page, here, tables):
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)


def test_every_exception_is_a_command_of_some_page():
    told = [" ".join(words) for page in PAGES for words in commands(page)]
    assert [beginning for beginning in INSTEAD if not any(line.startswith(beginning) for line in told)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_relative_link_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r"(?:src|srcset|href)=\"([^\"]+)\"", text)]
    relative = [link.partition("#")[0] for link in links if not re.match(r"https?:|#", link)]
    assert [link for link in relative if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "LOG"], ids=lambda page: page.stem)
def test_every_file_that_a_page_names_is_there(page):  # the log tells of files as they were called at its time
    named = re.findall(
        r"`((?:blip3o|configs|tests|scripts|benchmarks|docs)/[\w./]*\w)`", page.read_text(encoding="utf-8")
    )
    absent = [name for name in named if not (ROOT / name).exists()]
    assert [name for name in absent if not name.startswith("blip3o/checkpoints")] == []


def test_the_tables_of_readme_show_the_numbers_that_are_kept():
    facts = gather(CHECKPOINT / "scores.json", ROOT / "benchmarks" / "speed.json", CHECKPOINT / "run.json")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == fill(text, facts), "run python scripts/fill_scores.py"


def test_the_picture_of_readme_carries_its_prompts(weights, tmp_path, monkeypatch):
    from PIL import Image

    path = tmp_path / "drawn.png"
    words = ["readme_picture.py", "--model", str(weights), "--output", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(ROOT / "scripts" / "readme_picture.py"), run_name="__main__")
    with Image.open(path) as image:
        assert "make it night" in image.info["prompt"]
