"""The optimizer and its schedule."""

import math
from collections.abc import Mapping, Set
from typing import Any

import torch
from torch import Tensor, nn

from blip3o.errors import ConfigError
from blip3o.pipeline.parts import belongs
from blip3o.train.recipe import Stage
from blip3o.weights.lora import is_adapter, plain


def trained(pipeline: nn.Module, objective: nn.Module, patterns: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name: those of an adapter, and those that a pattern names (`belongs`); all others
    are frozen.

    Raises ConfigError where a pattern names no parameter.
    """
    chosen: dict[str, nn.Parameter] = {}
    for name, parameter in pipeline.named_parameters():
        learns = is_adapter(name) or any(belongs(plain(name), pattern) for pattern in patterns)
        parameter.requires_grad_(learns)
        if learns:
            chosen[name] = parameter
    idle = [pattern for pattern in patterns if not any(belongs(plain(name), pattern) for name in chosen)]
    if idle:
        raise ConfigError(f"trains names {', '.join(idle)}, which is no part of the model: see `blip3o info`")
    return chosen | {f"objective.{name}": parameter for name, parameter in objective.named_parameters()}


class Optimizer:
    """Muon for the weights of linear layers, AdamW for everything else (embeddings, queries, convolutions, vectors).

    Muon takes the learning rate of AdamW, because its steps are scaled to the size of AdamW's.
    Vectors (biases, gains, gates) do not decay.
    Source: Liu et al., Muon is Scalable for LLM Training, arXiv 2502.16982, eq. 4.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], linear: Set[str], stage: Stage) -> None:
        matrices = [value for name, value in parameters.items() if name in linear]
        others = [value for name, value in parameters.items() if name not in linear]
        groups = [
            {"params": [value for value in others if value.ndim > 1], "weight_decay": stage.weight_decay},
            # decay would pull gains and gates away from the scale that the layers need
            {"params": [value for value in others if value.ndim <= 1], "weight_decay": 0.0},
        ]
        rate = stage.learning_rate
        groups = [group for group in groups if group["params"]]
        self.parts: list[torch.optim.Optimizer] = []
        if groups:
            self.parts.append(torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True))
        if matrices:
            self.parts.append(
                torch.optim.Muon(matrices, rate, stage.weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
            )

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups of parameters of both."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self, learning_rate: float) -> None:
        """Update the parameters by their gradients, which are then freed."""
        for group in self.groups:
            group["lr"] = learning_rate
        for part in self.parts:
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The moments of a parameter by name, not copied; empty before its first step."""
        return next((part.state[parameter] for part in self.parts if parameter in part.state), {})

    def remember(self, parameter: nn.Parameter, state: Mapping[str, Tensor]) -> None:
        """Set the moments of a parameter, as `state` gives them."""
        part = next(p for p in self.parts for g in p.param_groups if any(parameter is q for q in g["params"]))
        part.state[parameter] = dict(state)


def linear_weights(pipeline: nn.Module, objective: nn.Module) -> set[str]:
    """The names, as `trained` gives them, of the weights of linear layers."""
    modules = [*pipeline.named_modules(), *objective.named_modules(prefix="objective")]
    return {f"{name}.weight" for name, module in modules if isinstance(module, nn.Linear)}


def learning_rate(stage: Stage, step: int) -> float:
    """The learning rate of step `step`, counted from 0: a linear rise over `warmup` steps times half a cosine over the
    whole stage, which falls to a fiftieth."""
    rise = min(1.0, (step + 1) / max(stage.warmup, 1))
    fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / stage.steps))
    return stage.learning_rate * rise * (0.02 + 0.98 * fall)
