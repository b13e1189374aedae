"""A user's own source, objective and benchmark, in one file outside of the package, work by the command line."""

import json
import sys
from pathlib import Path

import pytest

TINY = Path(__file__).parents[1] / "tiny.yaml"

PLUGIN = '''
"""Coloured squares: a source, an objective and a benchmark of one's own."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from blip3o.data.sample import Sample
from blip3o.data.sources.source import Source, SourceConfig
from blip3o.evals.benchmark import Benchmark, Item, Verdict
from blip3o.processing.conversation import DESCRIBE, Picture
from blip3o.train.features import encode_source
from blip3o.train.objectives.objective import Objective, ObjectiveConfig

COLORS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "white": (240, 240, 240)}


@dataclass(frozen=True, kw_only=True)
class SquaresConfig(SourceConfig):
    shades: int


class Squares(Source):
    config: SquaresConfig

    def __len__(self):
        return self.config.shades * len(COLORS)

    def __getitem__(self, index):
        name = list(COLORS)[index % len(COLORS)]
        pixels = np.full((72, 72, 3), COLORS[name], np.uint8) - np.uint8(index // len(COLORS))
        return Sample(picture=Picture(pixels), captions=(f"a {name} square",))

    def vocabulary(self):
        return ("a", "square", *COLORS, ".", *DESCRIBE.rstrip(".").split())


@dataclass(frozen=True, kw_only=True)
class SketchConfig(ObjectiveConfig):
    weight: float = 1.0


class Sketch(Objective):
    config: SketchConfig
    names = ("sketch",)
    factors = property(lambda self: {"sketch": self.config.weight})

    def losses(self, batch):
        features = self.pipeline.space.encode(batch.pixels)
        return {"sketch": self.pipeline.space.decoder.sketch_loss(features, batch.pixels)}

    def finish(self):
        self.pipeline.space.measure(torch.from_numpy(encode_source(self.pipeline, self.source)).float())


class Colors(Benchmark):
    name, kind, protocols, has_data = "colors", "generation", ("official",), False

    def items(self, folder):
        return [Item(id=name, prompt=f"a {name} square") for name in COLORS]

    def score(self, item, answer):
        mean = np.asarray(Image.open(answer[0])).mean((0, 1)) if answer else np.full(3, 1e3)
        nearest = min(COLORS, key=lambda name: np.abs(mean - COLORS[name]).sum())
        return Verdict(score=float(nearest == item.id), parsed=nearest)

    def aggregate(self, samples):
        return {"right": sum(sample.verdict.score for sample in samples) / len(samples)}
'''

RECIPE = f"""
extends: {TINY}
changes:
  name: squares
  benchmark: ""
  source: {{kind: "squares:Squares", shades: 3}}
  stages:
    - name: space
      objective: {{kind: "squares:Sketch", weight: 2.0}}
      trains: [space.encoder, space.decoder.sketcher]
      steps: 3
      batch_size: 4
      learning_rate: 1e-3
    - name: decoder
      objective: decoder
      trains: [space.decoder]
      steps: 2
      batch_size: 4
      learning_rate: 1e-3
    - name: both
      objective: {{kind: unified, draw: {{draw: 1}}, text: {{caption: 1}}, text_batch_size: 2}}
      trains: [unified]
      steps: 2
      batch_size: 2
      learning_rate: 1e-3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the plugin and its recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("squares.py").write_text(PLUGIN)
    Path("recipe.yaml").write_text(RECIPE)
    yield tmp_path
    sys.modules.pop("squares", None)


@pytest.mark.slow
def test_a_plugin_of_sixty_lines_trains(blip3o, here):
    assert len([line for line in PLUGIN.splitlines() if line.strip()]) <= 60
    done = blip3o("train", "--config", "recipe.yaml", "-o", "run")
    assert (done.code, done.err) == (0, "")
    events = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    losses = [event for event in events if event["event"] == "step"]
    assert [{*event} & {"sketch", "paint", "text", "image"} for event in losses] == [
        {"sketch"},
        {"paint"},
        {"text", "image"},
    ]
    assert losses[0]["total"] == pytest.approx(2 * losses[0]["sketch"], rel=1e-3)
    assert {path.name for path in Path("run/samples").rglob("*.png")} == {"reconstructed.png", "drawn.png"}
    drawn = blip3o("generate", "a red square", "--model", "run/checkpoint", "-o", "red.png")
    assert (drawn.code, Path("red.png").is_file()) == (0, True)
    again = blip3o("train", "--config", "run/recipe.yaml", "-o", "run")
    assert (again.code, again.err) == (0, "")


@pytest.mark.slow
def test_models_trained_by_a_plugin_are_evaluated_and_compared_by_its_benchmark(blip3o, here):
    for name, seed in (("one", 1), ("other", 2)):
        trained = blip3o("train", "--config", "recipe.yaml", "-o", name, "--seed", seed, "benchmark=squares:Colors")
        assert (trained.code, trained.err) == (0, "")
        scores = [json.loads(line) for line in Path(name, "log.jsonl").read_text().splitlines()]
        assert all(0 <= event["right"] <= 1 for event in scores if event["event"] == "scores")
        asked = ("evaluate", "--benchmark", "squares:Colors", "--model", f"{name}/checkpoint", "-o", f"results-{name}")
        done = blip3o(*asked, "--json")
        assert (done.code, done.err) == (0, "")
        [result] = json.loads(done.out) if isinstance(json.loads(done.out), list) else [json.loads(done.out)]
        assert (result["benchmark"], result["n"], result["complete"]) == ("colors", 4, True)
    compared = blip3o("evaluate", "compare", "results-one", "results-other")
    assert (compared.code, "colors" in compared.out) == (0, True)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("source.shade=3", "unknown key source.shade, did you mean shades?"),
        ("source.kind=squares:Sqares", "squares has no class Sqares"),
        ("source.kind=squares:Sketch", "'squares:Sketch' is no Source"),
        ("stages.space.objective.weight=heavy", "objective.weight is 'heavy' (str), expected float"),
        ("stages.both.objective.draw={edit: 1}", "no such tasks: edit; there are draw, caption"),
    ],
)
def test_what_is_wrong_with_a_plugin_is_told_before_it_trains(blip3o, here, override, told):
    done = blip3o("train", "--config", "recipe.yaml", "-o", "run", override)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert told in done.err
