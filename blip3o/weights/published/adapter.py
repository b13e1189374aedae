"""What an adapter is: how one network's tensors are called in published files, and which sizes they show.

An adapter knows names, shapes and what config.json says, never where files lie. A new network gets a file with one, and
a line in a table of this folder's __init__.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from blip3o.config import from_dict
from blip3o.errors import CheckpointError
from blip3o.weights.folders import Shapes

TensorOrShape = TypeVar("TensorOrShape")
Facts = Mapping[str, Any]
"""What a config.json says."""


@dataclass(frozen=True)
class Names:
    """A table of names: calling it gives a tensor's name here for its published one, `inverse` the other way round."""

    rows: Sequence[tuple[str, str | None]] = ()
    """(published, ours): how names begin or, where that starts with a dot, what stands within them; * is anything. The
    longest that fits is replaced, of equally long ones the first. None is a tensor of no use; a name that no row fits
    stays."""
    within: Mapping[str, "Names"] = field(default_factory=dict)
    """Beginning of our names -> the table for what follows it."""

    def __call__(self, name: str) -> str | None:
        """The name on the other side; None for a tensor of no use."""
        fitting = [(match, new) for old, new in self.rows if (match := _match(old, name))]
        if not fitting:
            return name
        match, new = max(fitting, key=lambda found: len(found[0][0]))
        if new is None:
            return None
        after = name[match.end() :]
        inner = self.within[new](after) if new in self.within else after
        return None if inner is None else f"{name[: match.start()]}{new}{inner}"

    @property
    def inverse(self) -> "Names":
        """The table from our names to the published ones."""
        pairs = [(old, new) for old, new in self.rows if new is not None]
        within = {old: self.within[new].inverse for old, new in pairs if new in self.within}
        return Names([(new, old) for old, new in pairs], within)

    def renamed(self, tensors: Mapping[str, TensorOrShape]) -> dict[str, TensorOrShape]:
        """Tensors, or their shapes, under the names of the other side, without those of no use."""
        return {new: value for name, value in tensors.items() if (new := self(name)) is not None}


def _match(row: str, name: str) -> re.Match[str] | None:
    pattern = re.escape(row).replace(r"\*", ".*?")
    return re.search(pattern, name) if row.startswith(".") else re.match(pattern, name)


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One network, published and here."""

    kind: type
    """Our class of its config."""
    names: Names = Names()
    keys: tuple[str, ...] = ()
    """Tensors, by our names, that tell it from the others in its table; none for the last, which is the default."""
    read: Callable[[Facts, Shapes], Any]
    """Our config, by what config.json says and the shapes of its tensors, under our names."""
    write: Callable[[Any], dict[str, Any]]
    """What config.json has to say of such a config, so that it can be read again."""
    folders: tuple[str, ...] = ()
    """Parts that lie in folders of their own, each with a config.json, as `diffusers` has them."""


def recognised(adapters: Sequence[Adapter], shapes: Shapes) -> Adapter | None:
    """The first of these whose tensors are among published ones."""
    return next((adapter for adapter in adapters if set(adapter.keys) <= adapter.names.renamed(shapes).keys()), None)


def shape_of(shapes: Shapes, name: str) -> tuple[int, ...]:
    """The shape of a tensor. Raises CheckpointError where it is missing."""
    if name not in shapes:
        raise CheckpointError(f"the checkpoint lacks {name}, by which its sizes are known: use a whole checkpoint")
    return shapes[name]


def count(shapes: Shapes, start: str) -> int:
    """How many blocks have tensors, whose names begin with this and a number."""
    pattern = re.compile(re.escape(start) + r"(\d+)\.")
    return len({match[1] for name in shapes if (match := pattern.match(name))})


def select(facts: Facts, kind: type) -> Any:
    """A config of this class, of the facts that it has fields for. Raises KeyError for one that is missing."""
    return from_dict(kind, {field.name: facts[field.name] for field in fields(kind)})
