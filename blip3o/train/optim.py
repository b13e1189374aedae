"""The optimizer and its schedule."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import torch
from torch import Tensor, nn

from blip3o.errors import ConfigError
from blip3o.pipeline.parts import belongs
from blip3o.train.muon import DealtMuon, WholeMuon
from blip3o.train.parallel import ALONE, Processes
from blip3o.train.recipe import Stage
from blip3o.train.sharding import by_kind, is_sharded
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


def rates(parameters: Iterable[str], own: Mapping[str, float], rate: float) -> dict[str, float]:
    """Name of a parameter -> its learning rate: its part's `own`, that of the longest name, or else `rate`.

    Raises ConfigError where a part names no parameter that learns.
    """
    names = [*parameters]
    parts = {part: [name for name in names if f"{name}.".startswith(f"{part}.")] for part in sorted(own, key=len)}
    idle = [part for part, found in parts.items() if not found]
    if idle:
        raise ConfigError(f"optimizer.learning_rates names {', '.join(idle)}, of which the stage trains nothing")
    return dict.fromkeys(names, rate) | {name: own[part] for part, found in parts.items() for name in found}


class Optimizer:
    """Muon for the weights of linear layers, AdamW for everything else (embeddings, queries, convolutions, vectors); or
    AdamW for everything, as the stage says.

    Muon takes the learning rate of AdamW, because its steps are scaled to the size of AdamW's.
    Vectors (biases, gains, gates) do not decay.
    Source: Liu et al., Muon is Scalable for LLM Training, arXiv 2502.16982, eq. 4.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        linear: Set[str],
        stage: Stage,
        processes: Processes = ALONE,
    ) -> None:
        config, rate = stage.optimizer, stage.learning_rate
        # decay would pull gains and gates away from the scale that the layers need
        decays = {name: stage.weight_decay if value.ndim > 1 else 0.0 for name, value in parameters.items()}
        own = rates(parameters, config.learning_rates, rate)

        def groups(names: Iterable[str]) -> list[dict[str, Any]]:
            alike: dict[tuple[float, float], list[nn.Parameter]] = {}
            for name in names:
                alike.setdefault((decays[name], own[name] / rate), []).append(parameters[name])
            return [{"params": some, "weight_decay": decay, "ratio": ratio} for (decay, ratio), some in alike.items()]

        by_muon = linear if config.kind == "muon" else set()
        self.parts: list[torch.optim.Optimizer] = []
        if others := groups(name for name in parameters if name not in by_muon):
            self.parts.append(torch.optim.AdamW(by_kind(others), lr=rate, betas=config.betas, fused=True))
        if matrices := groups(name for name in parameters if name in by_muon):
            options: dict[str, Any] = {"momentum": 0.95, "adjust_lr_fn": "match_rms_adamw"}
            if any(map(is_sharded, parameters.values())):
                self.parts.append(WholeMuon(matrices, rate, **options))
            else:
                self.parts.append(DealtMuon(matrices, rate, processes, **options))

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups of parameters of both."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self, learning_rate: float) -> None:
        """Update the parameters by their gradients, which are then freed. Parts with a learning rate of their own take
        it in the proportion in which `learning_rate` stands to the stage's."""
        for group in self.groups:
            group["lr"] = learning_rate * group["ratio"]
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
    """That of step `step`, counted from 0: a linear rise over `warmup` steps times what the stage's schedule leaves."""
    rise = min(1.0, (step + 1) / max(stage.warmup, 1))
    return stage.learning_rate * rise * stage.schedule.share(min(1.0, step / stage.steps))
