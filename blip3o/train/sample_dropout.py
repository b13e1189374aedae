"""Dropout in adapters whose draws belong to samples: a resumed run drops what the unbroken one would."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blip3o.data.address import seeded


class SampleDropout(nn.Module):
    """Sets a share of its inputs to 0 in training and scales the rest, by a generator for each sample and layer."""

    def __init__(self, share: float, layer: str) -> None:
        super().__init__()
        self.share, self.layer = share, layer
        self.addresses: Sequence[str] = ()
        """Of the samples in the batch that comes next."""

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        samples = self.addresses
        if not (self.training and samples):
            return x
        if x.ndim < 3 or len(x) % len(samples):  # the pictures of all samples, one behind the other
            samples = ["+".join(samples)]
        shape = (len(x) // len(samples), *x.shape[1:])
        draws = [torch.rand(shape, generator=seeded(f"{address}/{self.layer}")) for address in samples]
        return x * (torch.cat(draws) >= self.share).to(x) / (1 - self.share)


def install(pipeline: nn.Module) -> None:
    """Put it in place of the dropout of an adapter's layers."""
    for name, module in list(pipeline.named_modules()):
        place, _, last = name.rpartition(".")
        if isinstance(module, nn.Dropout) and place.endswith("lora_dropout"):
            pipeline.get_submodule(place).add_module(last, SampleDropout(module.p, place))


def address(pipeline: nn.Module, addresses: Sequence[str]) -> None:
    """Tell all of them which samples come next."""
    for module in pipeline.modules():
        if isinstance(module, SampleDropout):
            module.addresses = addresses
