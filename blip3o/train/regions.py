"""The layers that networks are made of, each a region: run once more for its gradient, or compiled by itself.

A region that is checkpointed keeps what enters it and forgets all between (arXiv 1604.06174): memory falls from all
activations of all layers to those of one, for a third more arithmetic. A region that is compiled is compiled once for
all layers alike, in seconds, where a whole network takes minutes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

LAYERS, BLOCKS = "layers", "blocks"
"""The names of the lists of regions: of decoder layers and of a denoiser's blocks; of a vision tower's blocks, the
windows of which are counted on the host, so that they are never compiled."""


def regions(network: nn.Module, *names: str) -> list[nn.Module]:
    """The layers in all lists of these names."""
    lists = [module for name, module in network.named_modules() if name.rsplit(".", 1)[-1] in names]
    return [layer for layers in lists if isinstance(layers, nn.ModuleList) for layer in layers]


class Regions:
    """The regions of a network, as a stage runs them."""

    def __init__(self, network: nn.Module, *, checkpointing: bool, compiled: bool) -> None:
        self.forwards: dict[nn.Module, Callable[..., Any]] = {}
        if compiled:
            self.forwards = {layer: torch.compile(layer.forward) for layer in regions(network, LAYERS)}
        if checkpointing:
            for layer in regions(network, LAYERS, BLOCKS):
                forward = self.forwards.get(layer, layer.forward)
                self.forwards[layer] = partial(checkpoint, forward, use_reentrant=False)

    @contextmanager
    def active(self) -> Iterator[None]:
        """They run so for as long as this lasts, which their gradients must be within."""
        for layer, forward in self.forwards.items():
            layer.forward = forward
        try:
            yield
        finally:
            for layer in self.forwards:
                del layer.forward
