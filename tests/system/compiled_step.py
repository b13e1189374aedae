"""Prints the losses and the norm of the gradient of a step of the smallest model, its layers compiled where asked."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from blip3o.config import load
from blip3o.data.address import StepAddresses
from blip3o.picturebook.source import Scenes, ScenesConfig
from blip3o.picturebook.tasks import vocabulary
from blip3o.pipeline.pipeline import Pipeline
from blip3o.plugins import build
from blip3o.processing.tokenizer import make
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.objectives.objective import Objective
from blip3o.train.optim import trained
from blip3o.train.parallel import ALONE
from blip3o.train.recipe import Recipe
from blip3o.train.shared_step import share
from blip3o.train.states import States
from blip3o.train.steps import StageSteps

recipe = load(Recipe, Path(__file__).parents[1] / "tiny.yaml")
compiled, checkpointing, trains = sys.argv[1] == "compiled", sys.argv[2] == "anew", sys.argv[3]
stage = next(stage for stage in recipe.stages if stage.name == "instruction")
stage = replace(stage, trains=(trains,), compile=compiled, checkpointing=checkpointing)
torch.manual_seed(0)
pipeline = Pipeline(recipe.model, make(vocabulary()))
for parameter in pipeline.parameters():
    torch.nn.init.normal_(parameter, std=0.2)
book = Scenes(ScenesConfig(seed="tests", stories=4))
book.features = np.random.default_rng(0).normal(size=(len(book), 8, 3, 3)).astype(np.float16)
objective = build(stage.objective, OBJECTIVES, Objective, pipeline, book)
parameters = trained(pipeline, objective, stage.trains)
steps = StageSteps(recipe, stage, objective, parameters, States(Path("run"), 1, print))
with steps.regions.active():
    losses = steps.backward(share(ALONE, objective, lambda: objective.load(StepAddresses("run", 0, 4))))
gradients = [value.grad.flatten() for value in parameters.values() if value.grad is not None]
print(
    json.dumps(
        {
            "losses": [loss.item() for loss in losses.values()],
            "norms": [gradient.norm().item() for gradient in gradients],
            "graphs": torch._dynamo.utils.counters["stats"]["unique_graphs"],
        }
    )
)
