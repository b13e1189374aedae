"""Muon on several processes: who orthogonalises which matrix, and how the others come to have it.

Source: Liu et al., Muon is Scalable for LLM Training, arXiv 2502.16982, section 2.3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from blip3o.train.parallel import Processes
from blip3o.train.sharding import part_like, whole


class DealtMuon(torch.optim.Muon):
    """Muon for a model of which every process holds the whole: each makes the step of some matrices, and sends it to
    the others. All remember all momenta, which cost little, so that any of them can save the state.
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float, processes: Processes, **options: Any) -> None:
        super().__init__(groups, rate, **options)
        self.processes = processes

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update the matrices by their gradients, the same in all processes."""
        groups = [(one, group["momentum"]) for group in self.param_groups for one in group["params"]]
        learning = [(one, momentum) for one, momentum in groups if one.grad is not None]
        owners = dealt([one.shape for one, _ in learning], self.processes.ranks)
        for (parameter, momentum), owner in zip(learning, owners, strict=True):
            if owner != self.processes.rank and parameter.grad is not None:
                held = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter.grad))
                held.lerp_(parameter.grad, 1 - momentum)
                parameter.grad = None  # which leaves it out of the step
        super().step()
        self.processes.exchange([parameter.data for parameter, _ in learning], owners)


def dealt(shapes: Sequence[torch.Size], ranks: int) -> list[int]:
    """The rank of each matrix, so that all have like much to do: the costliest first, to the one with the least."""
    costs = [rows * columns * min(rows, columns) for rows, columns in shapes]
    loads, owners = [0] * ranks, [0] * len(costs)
    for item in sorted(range(len(costs)), key=lambda item: -costs[item]):
        owners[item] = loads.index(min(loads))
        loads[owners[item]] += costs[item]
    return owners


class WholeMuon(torch.optim.Muon):
    """Muon for dealt-out matrices: each is gathered for its step, which needs the whole of it, and dealt out again.

    All processes compute the same step of every matrix: memory for one whole matrix at a time, no saving of time.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update the matrices by their gradients."""
        for group in self.param_groups:
            options = {key: value for key, value in group.items() if key not in ("params", "ratio", "initial_lr")}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_of(parameter, options)

    def _step_of(self, parameter: nn.Parameter, options: Mapping[str, Any]) -> None:
        gathered = nn.Parameter(whole(parameter).clone())
        gathered.grad = whole(parameter.grad)  # pyright: ignore[reportArgumentType]
        muon = torch.optim.Muon([gathered], **options)
        for name, moment in self.state[parameter].items():
            muon.state[gathered][name] = whole(moment).clone()
        muon.step()
        parameter.copy_(part_like(parameter, gathered.detach()))
        self.state[parameter] = {name: part_like(parameter, moment) for name, moment in muon.state[gathered].items()}
