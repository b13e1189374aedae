"""Matrices rounded to 8 or 4 bits, by bitsandbytes, as soon as each is read: no more than one is ever there in full.

Source: LLM.int8(), arXiv 2208.07339; NF4, QLoRA, arXiv 2305.14314, section 3.
"""

import logging
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor, nn

from blip3o.errors import ConfigError


def matrices(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The matrices that are rounded: those of repeated blocks, which make up nearly all of a large model; what stands
    before and after the blocks is few and delicate."""
    stacks = tuple(f"{name}." for name, module in network.named_modules() if isinstance(module, nn.ModuleList))
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and name.startswith(stacks):
            yield name, module


class Quantizer:
    """Rounds the matrices of a network, one at a time."""

    def __init__(self, kind: str, network: nn.Module, dtype: torch.dtype | None) -> None:
        self.bitsandbytes, self.kind, self.network, self.dtype = _library(), kind, network, dtype
        self.chosen = {f"{name}.weight" for name, _ in matrices(network)}

    def put(self, name: str, value: Tensor) -> bool:
        """Put the weight of this name into the network, rounded; False, and nothing done, where it is not to be."""
        if name not in self.chosen:
            return False
        place = name.removesuffix(".weight")
        linear = self.network.get_submodule(place)
        assert isinstance(linear, nn.Linear)
        self.network.set_submodule(place, self._rounded(linear, value))
        return True

    def _rounded(self, linear: nn.Linear, value: Tensor) -> nn.Linear:
        shape = (linear.in_features, linear.out_features, linear.bias is not None)
        bits = self.bitsandbytes.nn
        if self.kind == "int8":
            made = bits.Linear8bitLt(*shape, has_fp16_weights=False, threshold=6.0, device="meta")
            made.weight = bits.Int8Params(value.cpu(), requires_grad=False, has_fp16_weights=False).to(value.device)
        else:
            made = bits.Linear4bit(*shape, compute_dtype=self.dtype or value.dtype, quant_type="nf4", device="meta")
            made.weight = bits.Params4bit(value, requires_grad=False, quant_type="nf4").to(value.device)
        made.bias = linear.bias
        return made


def _library() -> ModuleType:
    try:
        import bitsandbytes
    except ImportError as error:
        raise ConfigError("quantize needs bitsandbytes: pip install 'blip3o[quantize]'") from error
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it would tell of a cast at every matrix
    return bitsandbytes
