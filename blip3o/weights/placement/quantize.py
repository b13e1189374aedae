"""Matrices rounded to 8 or 4 bits, by bitsandbytes, as soon as each is read: no more than one is ever there in full.

Source: LLM.int8(), arXiv 2208.07339; NF4, QLoRA, arXiv 2305.14314, section 3.
"""

import logging
from types import ModuleType

import torch
from torch import Tensor, nn

from blip3o.errors import ConfigError
from blip3o.weights.placement.memory import ROUNDED_MULTIPLES, is_rounded
from blip3o.weights.safetensors_files import shapes_of

LOOSEST = 0.2
"""How far a product may be off, by its length, for which the matrix was rounded; nf4 is off by 0.1."""


class Quantizer:
    """Rounds the matrices of a pipeline, one at a time (memory.py, `is_rounded`).

    Raises ConfigError where there is none to round, and where the library cannot do it here.
    """

    def __init__(self, pipeline: nn.Module, kind: str, device: torch.device, dtype: torch.dtype | None) -> None:
        self.bitsandbytes, self.pipeline, self.kind, self.dtype = _library(), pipeline, kind, dtype
        named = shapes_of(dict(pipeline.named_parameters()))
        self.chosen = {name for name, shape in named.items() if is_rounded(name, shape, kind)}
        if not self.chosen:
            rows, columns = ROUNDED_MULTIPLES[kind]
            raise ConfigError(
                f"quantize {kind} rounds nothing of this model, none of whose matrices is a multiple of {rows} x "
                f"{columns}: leave it out"
            )
        self._try(device)

    def _try(self, device: torch.device) -> None:
        """Round a small matrix and multiply by it."""
        rng = torch.Generator().manual_seed(0)
        rows, columns = (max(size, 32) for size in ROUNDED_MULTIPLES[self.kind])
        value, x = (torch.randn(count, columns, generator=rng).to(device) for count in (rows, 4))
        try:
            with torch.inference_mode():
                product = self._rounded(nn.Linear(columns, rows, bias=False), value).eval()(x)
        except (AssertionError, RuntimeError) as error:  # whatever the library lacks here
            raise ConfigError(f"this machine cannot round to {self.kind} ({error}): leave out quantize") from error
        exact = x @ value.T
        if not (product - exact).norm() < LOOSEST * exact.norm():
            raise ConfigError(f"this machine rounds wrongly to {self.kind}: leave out quantize")

    def put(self, place: str, name: str, value: Tensor) -> bool:
        """Put the weight of this name in the network at `place` there, rounded; False, and nothing done, where it is
        not to be."""
        name = f"{place}.{name}".removeprefix(".")
        if name not in self.chosen:
            return False
        within = name.removesuffix(".weight")
        linear = self.pipeline.get_submodule(within)
        assert isinstance(linear, nn.Linear)
        self.pipeline.set_submodule(within, self._rounded(linear, value))
        return True

    def _rounded(self, linear: nn.Linear, value: Tensor) -> nn.Linear:
        shape = (linear.in_features, linear.out_features, linear.bias is not None)
        bits = self.bitsandbytes.nn
        if self.kind == "int8":
            rounded = bits.Linear8bitLt(*shape, has_fp16_weights=False, threshold=6.0, device="meta")
            rounded.weight = bits.Int8Params(value.cpu(), requires_grad=False, has_fp16_weights=False).to(value.device)
        else:
            rounded = bits.Linear4bit(*shape, compute_dtype=self.dtype or value.dtype, quant_type="nf4", device="meta")
            rounded.weight = bits.Params4bit(value, requires_grad=False, quant_type="nf4").to(value.device)
        rounded.bias = linear.bias
        return rounded


def _library() -> ModuleType:
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of kernels it lacks, and of every cast
    try:
        import bitsandbytes
    except ImportError as error:
        raise ConfigError("quantize needs bitsandbytes: pip install 'blip3o[quantize]'") from error
    return bitsandbytes
