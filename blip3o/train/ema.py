"""The running average of the weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from blip3o.train.sharding import local_part


class Average:
    """The exponential moving average of parameters, of which early steps are soon forgotten.

    Source: the warm-up of the decay in TensorFlow's ExponentialMovingAverage, min(decay, (1 + step) / (10 + step)).
    It holds the parameters that learn; `AveragedModel` of torch would hold the whole model.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {name: value.detach().clone() for name, value in parameters.items()}

    def update(self, parameters: Mapping[str, nn.Parameter], step: int) -> None:
        """Move towards the parameters after step `step` (from 0)."""
        move = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        averages, news = (map(local_part, some.values()) for some in (self.tensors, parameters))
        move(list(averages), [new.detach() for new in news], step)

    @torch.no_grad()
    def swap(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Exchange the average and the parameters."""
        for name, parameter in parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(kept)
