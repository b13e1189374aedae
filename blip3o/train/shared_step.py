"""What the processes of a run must know of a step before any network runs: its weights, and who has what to do."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from blip3o.data.sample import SampleError
from blip3o.errors import UserError
from blip3o.train.objectives.objective import LoadedStep, Objective
from blip3o.train.parallel import Processes


@dataclass(frozen=True, kw_only=True)
class SharedStep:
    """The part of a step that this process computes."""

    batches: Sequence[tuple[Any, float]]
    """Micro-batches, and what their losses count: 1, or 0 for one that runs only so that the others need not wait."""
    weights: Mapping[str, float]
    """Name of a loss -> its weight in the step, over all processes; a loss that nobody has is left out."""
    skipped: Sequence[SampleError] = ()
    """Those of all processes."""


def share(
    processes: Processes, objective: Objective, load: Callable[[], LoadedStep], *, alike: bool = False
) -> SharedStep:
    """Load this process's samples of a step, and agree with the others on it.

    `alike`: every process is to run as many micro-batches of each kind as any other, as sharded networks need. Raises,
    in all processes, the error that one has, and KeyboardInterrupt where one was asked to stop.
    """
    fault, loaded = None, LoadedStep(batches=())
    try:
        loaded = load()
    except UserError as error:
        if processes.ranks == 1:
            raise
        fault = error
    own = [
        sum(weights.get(name, 0.0) for weights in map(objective.weights, loaded.batches)) for name in objective.names
    ]
    flags = [processes.stopping, fault is not None, len(loaded.skipped), *own]
    stopping, faults, skipped, *sums = processes.sum([float(flag) for flag in flags])
    if faults:
        processes.agree(fault)
    if stopping:
        raise KeyboardInterrupt
    weights = {name: weight for name, weight in zip(objective.names, sums, strict=True) if weight}
    return SharedStep(
        batches=matched(processes, objective, loaded.batches) if alike else [(batch, 1.0) for batch in loaded.batches],
        weights=weights,
        skipped=_all_skipped(processes, loaded.skipped) if skipped else (),
    )


def matched(processes: Processes, objective: Objective, batches: Sequence[Any]) -> list[tuple[Any, float]]:
    """Micro-batches in the order of their kinds, filled up to as many of each kind as the process with the most has."""
    own: dict[Hashable, list[Any]] = {}
    for batch in batches:
        own.setdefault(kind_of(objective, batch), []).append(batch)
    counts = processes.gather({kind: len(group) for kind, group in own.items()})
    most: Counter[Hashable] = Counter()
    for count in counts:
        most |= Counter(count)
    filled: list[tuple[Any, float]] = []
    for kind in sorted(most, key=repr):
        group = own.get(kind, [])
        if any(kind not in count for count in counts):  # somebody has none to repeat
            owner = next(rank for rank, count in enumerate(counts) if kind in count)
            lent = processes.gather(group[0] if processes.rank == owner else None)[owner]
        else:
            lent = group[0]
        filled += [(batch, 1.0) for batch in group] + [(lent, 0.0)] * (most[kind] - len(group))
    return filled


def kind_of(objective: Objective, batch: Any) -> Hashable:
    """What decides which networks a micro-batch runs through: its fields that are there, and its losses."""
    losses = tuple(sorted(name for name, weight in objective.weights(batch).items() if weight))
    return type(batch).__name__, _present(batch), losses


def _present(value: Any) -> tuple[Any, ...]:
    """The names of the fields of a dataclass that are not None, those of dataclasses in it among them."""
    there = [(one.name, getattr(value, one.name)) for one in fields(value)]
    return tuple((name, _present(part) if is_dataclass(part) else ()) for name, part in there if part is not None)


def _all_skipped(processes: Processes, skipped: Sequence[SampleError]) -> list[SampleError]:
    facts = [(error.reason, error.shard, error.address, error.detail) for error in skipped]
    return [SampleError(*fact) for part in processes.gather(facts) for fact in part]
