"""How a model is held while it works: on which device, in which numbers, and how much of it at a time."""

import os
from dataclasses import dataclass

import psutil
import torch

from blip3o.config import check
from blip3o.errors import ConfigError
from blip3o.weights.placement.memory import MEMORIES, ROUNDED_BYTES

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU = torch.device("cpu")
SMALL_BYTES = 1_000_000_000
"""In float32; a model below runs in float32 everywhere."""


@dataclass(frozen=True, kw_only=True)
class DevicePlacement:
    """Where a model's tensors are, and as what."""

    device: torch.device = CPU
    dtype: torch.dtype | None = torch.float32
    """None keeps that of the files."""
    memory: str = "full"
    """What is not on the device waits in its files."""
    quantize: str | None = None
    """None leaves the matrices as they are."""

    def __post_init__(self) -> None:
        check(
            (self.memory in MEMORIES, f"memory is {self.memory!r}: choose one of {', '.join(MEMORIES)}"),
            (
                self.quantize in (None, *ROUNDED_BYTES),
                f"quantize is {self.quantize!r}: choose one of {', '.join(ROUNDED_BYTES)}",
            ),
            (
                self.quantize is None or self.memory == "full",
                f"memory {self.memory} takes weights as they lie in their files: leave out quantize "
                f"{self.quantize}, or choose memory full",
            ),
        )

    def free_bytes(self) -> int:
        """Memory of the device that nobody uses."""
        if self.device.type == "cuda":
            kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return torch.cuda.mem_get_info(self.device)[0] + kept
        return psutil.virtual_memory().available  # Apple's GPU shares it, too


def resident_bytes() -> int:
    """What this process holds in memory."""
    return psutil.Process().memory_info().rss


def peak_bytes(device: torch.device) -> int:
    """The most that this process has held on a GPU; 0 for the CPU, and on Apple's, which does not count it."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def describe(device: torch.device) -> str:
    """The hardware in words: "NVIDIA H100, 80 GB", "8 CPU cores, 4 threads, 33 GB"."""
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        return f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB"
    memory = f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    kind = "Apple GPU, " if device.type == "mps" else ""
    return f"{kind}{psutil.cpu_count()} CPU cores, {torch.get_num_threads()} threads, {memory}"


def find_device(name: str) -> torch.device:
    """The device of this name ("cpu", "cuda", "cuda:1", "mps"), or of "auto" the fastest that the machine has.

    Raises ConfigError for one that it lacks.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    here = [kind for kind, there in available.items() if there]
    if name != "auto" and name.partition(":")[0] not in here:
        raise ConfigError(f"device is {name!r}, which this machine lacks: choose auto or one of {', '.join(here)}")
    chosen = here[0] if name == "auto" else name
    if chosen == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # torchrun gives each process its own
    return torch.device(chosen)


def find_dtype(name: str, device: torch.device, parameters: int) -> torch.dtype:
    """The dtype of this name, or of "auto" float32 on a CPU and for a small model, else bfloat16."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" or 4 * parameters < SMALL_BYTES else torch.bfloat16
    if name not in DTYPES:
        raise ConfigError(f"dtype is {name!r}: choose auto or one of {', '.join(DTYPES)}")
    return DTYPES[name]
