"""What the pages say beside their commands is so: names, options, counts and sizes are those of the code."""

import ast
import json
import re
from functools import cache
from math import prod
from pathlib import Path

import pytest
from verbs import VERBS

from blip3o.cli import run
from blip3o.config import load, recipe_path

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "blip3o" / "checkpoints" / "picturebook"
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        CHECKPOINT / "README.md",
        ROOT / "blip3o" / "picturebook" / "detector" / "checkpoint" / "README.md",
    )
}
WALK, GLOSSARY, RECIPE, README = (
    PAGES[name] for name in ("docs/walk.md", "docs/glossary.md", "docs/recipe.md", "README.md")
)
CARD = PAGES[CHECKPOINT.relative_to(ROOT).as_posix() + "/README.md"]
FILES_OF_A_RUN = {"log.jsonl", "recipe.yaml", "report.html"}
"""Their names stand in the library as strings; test_training.py sees them written."""
WORDS = {"four": 4, "nine": 9, "ten": 10}


@cache
def names():
    """Class -> what its body defines; under "" every name, parameter and string of the library and the examples."""
    found = {"": set()}
    for path in (*(ROOT / "blip3o").rglob("*.py"), *(ROOT / "examples").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found[""] |= {
                value
                for key in ("name", "id", "attr", "arg", "value")
                if isinstance(value := getattr(node, key, None), str)
            }
            if isinstance(node, ast.ClassDef):
                inside = {
                    one
                    for child in ast.walk(node)
                    for key in ("name", "id", "attr", "arg")
                    if isinstance(one := getattr(child, key, None), str)
                }
                found.setdefault(node.name, set()).update(inside)
    return found


def quoted(text):
    """What stands in backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_code_on_a_page_is_in_the_code(page):
    stages = {stage.name for stage in the_recipe().stages}
    unknown = []
    for name in quoted(PAGES[page]):
        if (
            not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", name)
            or name in FILES_OF_A_RUN | stages
            or name.endswith(".jsonl")
        ):
            continue
        owner, _, rest = name.rpartition(".")
        known = names().get(owner, names()[""] if owner in names()[""] else set())
        if rest not in known:
            unknown.append(name)
    assert unknown == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page):
    named = [
        name
        for name in quoted(PAGES[page])
        if re.fullmatch(r"(blip3o|configs|tests|scripts|benchmarks|docs)/[\w./-]*", name)
    ]
    assert [name for name in named if not (ROOT / name).exists()] == []


@cache
def options(verb):
    """The help of a verb."""
    import contextlib
    import io

    with contextlib.redirect_stdout(shown := io.StringIO()):
        assert run([*verb.split(), "--help"]) == 0
    return shown.getvalue()


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_is_one(page, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = [name for name in quoted(PAGES[page]) if name.startswith("--") and name != "--help"]
    everything = "".join(options(verb) for verb in VERBS) + (ROOT / "Makefile").read_text()
    assert [name for name in told if name.split()[0] not in everything] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_that_is_not_run_has_its_options(page, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    blocks = "\n".join(re.findall(r"```.*?```", PAGES[page], re.DOTALL))
    for line in re.findall(r"^blip3o (.+)$", blocks, re.MULTILINE):
        verb = max((verb for verb in VERBS if f"{line} ".startswith(f"{verb} ")), key=len)
        wanted = re.findall(r"(?<= )--?[a-z][\w-]*", line.partition("#")[0])
        assert [option for option in wanted if option not in options(verb)] == [], line


# --- counts and sizes -----------------------------------------------------------------------------------------------


@cache
def the_recipe():
    from blip3o.train.recipe import Recipe

    return load(Recipe, "picturebook")


@cache
def config():
    from blip3o.pipeline.pipeline import ModelConfig

    return load(ModelConfig, CHECKPOINT / "config.yaml")


def rows(text):
    """The first cell of every row of a page's tables -> the others."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in cells}


def parameters():
    """Numbers of all tensors of the shipped model that are trained."""
    with (CHECKPOINT / "model.safetensors").open("rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    return {
        name: prod(it["shape"])
        for name, it in header.items()
        if name not in ("__metadata__", "space.mean", "space.deviation")
    }


def test_the_world_has_the_kinds_colours_and_places_of_the_pages():
    from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, COLUMNS, PLACES, ROWS, SIZE

    said = re.search(r"(\d+) kinds of object in\s+(\w+) colours, (\w+) places, day and night", README)
    assert said is not None
    assert (int(said[1]), WORDS[said[2]], WORDS[said[3]]) == (len(ALL_KINDS), len(COLORS), len(PLACES))
    assert f"{len(ALL_KINDS)} kinds on a grid of nine places" in CARD
    assert len(ROWS) * len(COLUMNS) == WORDS["nine"]
    assert f"Pictures are {SIZE} px wide and high" in README


def test_the_sizes_of_the_walk_are_those_of_the_picture_book():
    from blip3o.model.backbones.qwen2_5_vl import QwenConfig
    from blip3o.model.heads.flow import FlowHeadConfig
    from blip3o.processing.tokenizer import Tokenizer

    made, told = config(), rows(WALK)
    assert isinstance(made.unified.backbone, QwenConfig)
    assert made.space.decoder is not None
    assert made.unified.denoiser is not None
    assert isinstance(made.unified.head, FlowHeadConfig)
    text, vision, denoiser = made.unified.backbone.text, made.unified.backbone.vision, made.unified.denoiser
    head, sampling, decoder = made.unified.head, made.sampling, made.space.decoder
    expected = {
        "tokens known": f"{len(Tokenizer.load(CHECKPOINT))}",
        "positions in the slot": f"{head.slot_length}",
        "layers, width": f"{text.num_hidden_layers}, {text.hidden_size}",
        "heads, heads of the keys": f"{text.num_attention_heads}, {text.num_key_value_heads}",
        "vision tower: layers, width": f"{vision.depth}, {vision.hidden_size}",
        "hidden states at the slot": f"[1, {head.slot_length}, {text.hidden_size}]",
        "features": f"{head.channels} channels, {head.side} x {head.side}",
        "Next-DiT: blocks, width, heads": f"{denoiser.depth}, {denoiser.width}, {denoiser.num_heads}",
        "steps, guidance, from": f"{sampling.steps}, {sampling.guidance}, {head.null_scale} of the condition",
        "steps": f"{sampling.decoder_steps}",
        "picture": f"{decoder.size} x {decoder.size} px",
    }
    assert {name: told[name][0] for name in expected} == expected


def test_the_settings_of_the_published_model_are_those_of_the_code():
    from blip3o.model.decoders.sdxl import SdxlConfig
    from blip3o.pipeline.sampling import PUBLISHED

    told, size = rows(WALK), SdxlConfig.size
    assert told["steps, guidance, from"][1] == f"{PUBLISHED.steps}, {PUBLISHED.guidance}, zeros"
    assert told["steps"][1] == f"{PUBLISHED.decoder_steps}"
    assert told["picture"][1] == f"{size:,} x {size:,} px"
    settings = f"{PUBLISHED.steps} steps, guidance {PUBLISHED.guidance} in both stages, {PUBLISHED.decoder_steps} steps"
    said = f"{settings} of the decoder, {size} px"
    assert said in PAGES["docs/published.md"]


def test_the_parameters_of_readme_and_card_are_those_of_the_file():
    held = parameters()
    total = sum(held.values())
    assert f"{total / 1e6:.0f} million parameters" in README
    assert f"One model of {total:,} parameters" in CARD
    told = {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^\| ([a-z ]+) \| ([\d,]{7,}) \|$", CARD, re.MULTILINE)
    }
    places = {
        "language model": "unified.backbone.language_model.",
        "vision tower": "unified.backbone.visual.",
        "head": "unified.head.",
        "encoder": "space.encoder.",
        "decoder": "space.decoder.",
    }
    assert told == {
        part: sum(size for name, size in held.items() if name.startswith(place)) for part, place in places.items()
    }


def test_the_stages_of_the_pages_are_those_of_the_recipe():
    recipe = the_recipe()
    stages = [stage.name for stage in recipe.stages]
    assert re.findall(r"^\| `(\w+)` \|", RECIPE, re.MULTILINE)[: len(stages)] == stages
    assert [name for name in re.findall(r"^\*\*(\w+)\.\*\*", RECIPE, re.MULTILINE) if name in stages] == stages
    told = rows(CARD)
    for stage in recipe.stages:
        assert told[stage.name][:2] == [", ".join(stage.trains), f"{stage.steps:,}"]
    assert f"{3 * recipe.source.stories:,} pictures" in CARD


def test_the_hours_of_the_recipe_are_those_that_were_measured():
    hours = json.loads((CHECKPOINT / "run.json").read_text())["hours"]
    assert f"{hours:.1f} hours on 2 CPU cores" in the_recipe().description
    assert f"| time | {hours:.1f} h," in CARD
    assert round(2 * hours) / 2 == 3.5
    assert "Three and a half hours of training" in README


def test_as_many_benchmarks_and_recorded_answers_as_readme_says():
    from blip3o.evals.registry import SUITES

    assert f"{ {16: 'Sixteen'}[len(SUITES['all'])] } benchmarks" in README
    cases = [json.loads(path.read_text()) for path in (ROOT / "tests" / "parity" / "evaluation_cases").glob("*.json")]
    assert sum(map(answers, cases)) > 1000


def answers(value):
    """How many records there are in a file of cases."""
    if isinstance(value, list):
        return len(value) if all(isinstance(one, dict) for one in value) else 0
    return sum(map(answers, value.values())) if isinstance(value, dict) else 0


def test_the_guarantees_of_the_readme_about_python_are_those_of_the_project():
    required = re.findall(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert f"Python {required[0]} or newer" in README


@pytest.mark.parametrize("path", sorted(recipe_path("picturebook").parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_that_a_recipe_names_is_there(path):
    named = re.findall(r"(?:blip3o|configs|tests|scripts|docs)/[\w./]*\w", path.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_page_promises_what_is_to_come():
    promises = re.compile(
        r"later release|coming soon|not there yet|will be (added|loaded|supported)|to be done", re.IGNORECASE
    )
    assert {page: promises.findall(text) for page, text in PAGES.items() if promises.search(text)} == {}
