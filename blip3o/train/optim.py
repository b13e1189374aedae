"""The optimizer, its schedule, and the running average of the weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blip3o.errors import ConfigError
from blip3o.train.recipe import Stage


def trained(machine: nn.Module, objective: nn.Module, prefixes: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name; all others are frozen.

    Raises ConfigError where a prefix names no parameter.
    """
    chosen: dict[str, nn.Parameter] = {}
    for name, parameter in machine.named_parameters():
        learns = any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
        parameter.requires_grad_(learns)
        if learns:
            chosen[name] = parameter
    idle = [prefix for prefix in prefixes if not any(f"{name}.".startswith(f"{prefix}.") for name in chosen)]
    if idle:
        raise ConfigError(f"trains names {', '.join(idle)}, which is no part of the model: see `blip3o info`")
    return chosen | {f"objective.{name}": parameter for name, parameter in objective.named_parameters()}


def optimizer(parameters: Mapping[str, nn.Parameter], stage: Stage) -> torch.optim.AdamW:
    """AdamW; vectors (biases, gains, gates) do not decay."""
    decays = [parameter for parameter in parameters.values() if parameter.ndim > 1]
    others = [parameter for parameter in parameters.values() if parameter.ndim <= 1]
    groups = [{"params": decays, "weight_decay": stage.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=stage.learning_rate, betas=(0.9, 0.98), fused=True)


def learning_rate(stage: Stage, step: int) -> float:
    """Linear rise over `warmup` steps, then a half cosine to a fiftieth at the last step."""
    rise = min(1.0, (step + 1) / max(stage.warmup, 1))
    fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / stage.steps))
    return stage.learning_rate * rise * (0.02 + 0.98 * fall)


class Average:
    """The exponential moving average of parameters, of which early steps are soon forgotten.

    Source: the warm-up of the decay in TensorFlow's ExponentialMovingAverage, min(decay, (1 + step) / (10 + step)).
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: Mapping[str, nn.Parameter], step: int) -> None:
        """Move towards the parameters after step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        values = [parameter.detach() for parameter in parameters.values()]
        torch._foreach_lerp_(list(self.tensors.values()), values, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @torch.no_grad()
    def swap(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Exchange the average and the parameters."""
        for name, parameter in parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(kept)
