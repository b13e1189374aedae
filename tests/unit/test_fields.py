"""Every field of every config changes what it says it changes: a field without a case (tests/fields) fails.

Each config is built as it is and with one field changed, and what comes out of both is compared.
"""

import ast
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from fields.case import Change
from fields.data import DATA
from fields.models import MODELS
from fields.networks import NETWORKS
from fields.plans import PLANS
from fields.runs import RUNS
from fields.starts import STARTS

from blip3o.config import from_dict, to_dict
from blip3o.data.sources.hf_datasets import HFDatasetConfig
from blip3o.errors import ConfigError
from blip3o.train.objectives.unified import UnifiedObjectiveConfig
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.validation import ValidationConfig

LIBRARY = Path(__file__).parents[2] / "blip3o"
CONFIGS = {"Stage", "Recipe", "Sampling"}
"""The configs whose names do not end with the word."""
BASES = {"ObjectiveConfig", "SourceConfig", "RowSourceConfig", "SketchedSpaceConfig"}
"""Of which no config is made, but those that a plugin adds fields to."""
LEARNS = {type(case.base) for case in RUNS}
CASES = {type(case.base): case for case in (*NETWORKS, *MODELS, *RUNS, *PLANS, *DATA, *STARTS)}
UNSEEN = {
    *((Recipe, name) for name in ("description", "benchmark", "skip_limit", "parallel", "workers", "prompts")),
    (Recipe, "trackers"),
    *((Stage, name) for name in ("checkpointing", "compile")),
    (HFDatasetConfig, "name"),
    (UnifiedObjectiveConfig, "pack"),
    (ValidationConfig, "drawn"),
}
"""Words for people (tests/contracts/test_configs.py), and what tests/unit/cli/test_train_progress.py,
tests/unit/data/test_skipped.py, tests/unit/data/sources/test_sources.py, tests/system/test_parallel.py,
tests/unit/train/test_trainer.py, tests/unit/train/objectives/test_packed_text.py, tests/unit/train/test_regions.py,
tests/unit/train/test_trackers.py and tests/system/test_compiled_step.py look at."""


def gist(value):
    """What can be compared with ==: tensors and arrays as a digest, configs and batches as their fields."""
    if isinstance(value, torch.Tensor):
        held = value.detach()
        return gist((held.float() if held.dtype == torch.bfloat16 else held).numpy())
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), sha256(value.tobytes()).hexdigest()
    if is_dataclass(value):
        return gist(vars(value))
    if isinstance(value, dict):
        return {key: gist(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [gist(item) for item in value]
    return value


def only_value(kind, name):
    """Whether the field can have but one value."""
    hint = get_type_hints(kind)[name]
    return get_origin(hint) is Literal and len(get_args(hint)) == 1


@pytest.fixture(scope="module")
def world(awake, words, tmp_path_factory):
    """What the observations need."""
    return SimpleNamespace(awake=awake, words=words, folder=lambda: tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def seen(world):
    """What comes out of a config; of equal ones it is looked at once."""
    known = {}

    def look(kind, config):
        key = kind, repr(config)
        if key not in known:
            with torch.set_grad_enabled(kind in LEARNS):
                known[key] = gist(CASES[kind].observe(config, world))
        return known[key]

    return look


def test_every_config_of_the_library_has_its_case():
    found = set()
    for path in LIBRARY.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        module = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
        found |= {(module, name) for name in classes if name.endswith("Config") or name in CONFIGS if name not in BASES}
    assert {(kind.__module__, kind.__name__) for kind in CASES} == found


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_equal_configs_give_equal_results(kind, seen, world):
    case = CASES[kind]
    again = gist(case.observe(case.base, world))
    assert seen(kind, case.base) == again


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(
            kind, spot.name, id=f"{kind.__name__}-{spot.name}", marks=pytest.mark.slow if kind in LEARNS else ()
        )
        for kind in CASES
        for spot in fields(kind)
        if (kind, spot.name) not in UNSEEN
    ],
)
def test_a_field_changes_what_it_says(kind, name, seen):
    case = CASES[kind]
    if only_value(kind, name):
        with pytest.raises(ConfigError, match=name):
            from_dict(kind, to_dict(case.base) | {name: "other"})
        return
    change = case.changes[name]
    change = change if isinstance(change, Change) else Change(change)
    base = replace(case.base, **change.given)
    other = replace(base, **change.along, **{name: change.value})
    assert getattr(other, name) != getattr(base, name)
    assert seen(kind, other) != seen(kind, base)
