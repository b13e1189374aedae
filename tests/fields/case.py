"""A case: a config, other values for its fields, and what is looked at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from blip3o.config import load
from blip3o.train.recipe import Recipe

TINY = load(Recipe, Path(__file__).parents[1] / "tiny.yaml")


@dataclass(frozen=True)
class Change:
    """A value that a field takes, what must change `along` with it, and what is different in both (`given`)."""

    value: Any
    along: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A config, what comes out of one such, and another value for each of its fields.

    A field that can have but one value (the `kind` that tells configs apart) has no other.
    """

    base: Any
    observe: Callable[[Any, SimpleNamespace], Any]
    changes: dict[str, Any]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
