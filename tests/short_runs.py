"""What tests ask of short runs."""

import torch

from blip3o.train import steps as stage_steps
from blip3o.weights import checkpoint


def saved_by(trainer):
    """The names of the saved states, and how many steps the newest one has done."""
    newest = trainer.states.newest(trainer.recipe.stages[0].name)
    about = checkpoint.read_tensors(newest / stage_steps.STATE)[1]
    return sorted(path.name for path in trainer.states.folder.iterdir()), about["done"]


def trained_by(trainer):
    """The weights of the trainer's stage, as they are kept and as the machine has them."""
    pipeline = trainer.run()
    [stage] = trainer.recipe.stages
    kept, _ = checkpoint.read_tensors(trainer.folder / "stages" / stage.name / checkpoint.WEIGHTS)
    assert all(torch.equal(kept[name], tensor) for name, tensor in pipeline.state_dict().items())
    return kept
