"""The processes of a run: who this one is, what all of them must agree on, and how a fault of one ends them all.

A launcher (torchrun) starts the same command several times; each process trains on its share of every step. Only the
main one (rank 0) writes, tells and scores. What is agreed on goes over the CPU (gloo): no GPU waits for it.
"""

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from blip3o import errors
from blip3o.config import check
from blip3o.errors import AlreadyToldError, ConfigError, TrainingError, UserError
from blip3o.train.signals import answered

PATIENCE = timedelta(hours=6)
"""How long the others wait for the main process, which may be scoring; one that has ended is noticed at once."""
GRACE_S = 5.0
"""How long a process that lost another waits for a word on the reason."""
BUCKET_BYTES = 64_000_000
"""Gradients that are added up in one message."""
Agreed = TypeVar("Agreed")


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """How the processes of a run share the model; one process alone holds all of it, whatever is said here."""

    shard: Literal["none", "full", "hybrid"] = "none"
    """`none`: every process holds the whole model, and gradients are added up (DDP). `full`: weights, gradients and
    moments are dealt out to all processes (FSDP2). `hybrid`: to the processes of one replica, of which there are
    several."""
    replicas: int = 1
    """Replicas of the model with `hybrid`: usually one for each machine."""
    offload: bool = False
    """Whether what is dealt out waits in the memory of the CPU, where the optimizer works, too."""

    def __post_init__(self) -> None:
        hybrid = self.shard == "hybrid"
        check(
            (self.replicas >= 1, f"replicas is {self.replicas}, expected 1 or more"),
            (
                (self.replicas > 1) == hybrid,
                f"replicas is {self.replicas} and shard is {self.shard!r}: replicas of 2 or more belong to hybrid",
            ),
            (not self.offload or self.shard != "none", "offload moves what is sharded: choose shard full or hybrid"),
        )

    def check_ranks(self, ranks: int) -> None:
        """Raise ConfigError for a number of processes that the replicas do not divide."""
        if ranks > 1 and ranks % self.replicas:
            raise ConfigError(
                f"parallel.replicas is {self.replicas}, which does not divide the {ranks} processes: choose a divisor"
            )


class LostProcessError(TrainingError):
    """Another process of the run has ended."""


class Processes:
    """The processes of a run, and this one among them. Without a launcher it is alone, and every method is free."""

    def __init__(self, rank: int = 0, ranks: int = 1, store: Any = None) -> None:
        """`store`: what all processes can read and write, of torch.distributed; None where one is alone."""
        self.rank, self.ranks, self.store = rank, ranks, store
        self.stopping = False

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def ask_to_stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Agreed a signal: all processes stop before the next step."""
        self.stopping = True

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes of numbers of each."""
        if self.ranks == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total)
        return total.tolist()

    def gather(self, value: Agreed) -> list[Agreed]:
        """What each process has, by rank; it travels as bytes, so it should be small."""
        if self.ranks == 1:
            return [value]
        gathered: list[Any] = [None] * self.ranks
        distributed.all_gather_object(gathered, value)
        return gathered

    def share(self, value: Agreed) -> Agreed:
        """What the main process has, for all of them."""
        return self.gather(value if self.is_main else None)[0]  # pyright: ignore[reportReturnType]

    def wait(self) -> None:
        """Go on when all processes have come here."""
        self.sum([0.0])

    def on_main(self, action: Callable[[], Agreed]) -> Agreed:
        """What the main process alone does, while the others wait; its result, or its error, is that of all."""
        if self.ranks == 1:
            return action()
        result, fault = None, None
        if self.is_main:
            try:
                result = action()
            except UserError as error:
                fault = error
        told = self.share((result, fault and _plain(fault)))
        if fault is not None:
            raise fault
        self.check_faults([told[1]])
        return told[0]  # pyright: ignore[reportReturnType]

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What runs inside finds no launcher's variables, by which an evaluation would take its share only."""
        held = {name: os.environ.pop(name) for name in ("RANK", "WORLD_SIZE") if self.ranks > 1}
        try:
            yield
        finally:
            os.environ.update(held)

    def check_faults(self, faults: Sequence[tuple[str, str] | None]) -> None:
        """Raise, in all processes alike, the first error of those that each has (by rank, None: none)."""
        for rank, fault in enumerate(faults):
            if fault is not None:
                kind, message = fault
                raise getattr(errors, kind, TrainingError)(message if self.ranks == 1 else f"rank {rank}: {message}")

    def agree(self, fault: UserError | None) -> None:
        """Raise in all processes the error that one has."""
        if self.ranks == 1 and fault is not None:
            raise fault
        self.check_faults(self.gather(fault and _plain(fault)))

    def add_losses(self, losses: Sequence[Tensor]) -> list[Tensor]:
        """The sums over all processes of scalars."""
        if self.ranks == 1:
            return list(losses)
        total = torch.stack([loss.float() for loss in losses])
        distributed.all_reduce(total)
        return list(total.unbind())

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes. A parameter that none has used stays without."""
        parameters = list(parameters)
        if self.ranks == 1 or not parameters:
            return
        used = self.sum([float(parameter.grad is not None) for parameter in parameters])
        chosen = [parameter for parameter, count in zip(parameters, used, strict=True) if count]
        for parameter in chosen:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([parameter.grad for parameter in chosen if parameter.grad is not None]):
            with _flat(bucket) as flat:
                distributed.all_reduce(flat)

    def exchange(self, tensors: Sequence[Tensor], owners: Sequence[int]) -> None:
        """Make each tensor what the rank that owns it has."""
        for rank in range(self.ranks if self.ranks > 1 else 0):
            for bucket in _buckets([one for one, owner in zip(tensors, owners, strict=True) if owner == rank]):
                with _flat(bucket) as flat:
                    distributed.broadcast(flat, rank)

    def lost(self) -> list[int]:
        """The ranks of processes of this machine that have ended."""
        here = os.uname().nodename
        others = [(rank, *self.store.get(f"process/{rank}").decode().split(" ")) for rank in range(self.ranks)]
        return [rank for rank, machine, number in others if machine == here and not _runs(int(number))]


ALONE = Processes()
"""One process, without a launcher."""


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that a launcher has started, of which this is one, for as long as this lasts.

    An error in one of them ends all, and one of them tells it. Raises ConfigError where the launcher's variables are
    missing or this machine has fewer GPUs than processes.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks == 1:
        yield Processes()
        return
    rank, local = _number("RANK"), _number("LOCAL_RANK")
    on_cuda = device != "cpu" and torch.cuda.is_available()
    _check_device(device, on_cuda, local)
    store, _, _ = next(rendezvous("env://", rank, ranks, timeout=PATIENCE))
    store = PrefixStore("blip3o", store)
    backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=PATIENCE)
    store.set(f"process/{rank}", f"{os.uname().nodename} {os.getpid()}")
    processes = Processes(rank, ranks, store)
    processes.wait()
    # a launcher ends the others by SIGTERM as soon as one has ended: the one that tells why must not fall to it
    with answered((signal.SIGINT, signal.SIGTERM), processes.ask_to_stop):
        try:
            yield processes
            processes.wait()
            distributed.destroy_process_group()
            atexit.register(_end_at_once)
        except Exception as error:
            raise _told_once(processes, error) from error


def _end_at_once() -> None:
    """End the process without taking its libraries apart: threads of gloo are still there then, and aborted three of
    twelve processes in which all work was done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _told_once(processes: Processes, error: Exception) -> Exception:
    """The error that this process ends with: with its rank where it tells it, else one that says no more."""
    lost: list[int] = []
    if not isinstance(error, UserError) and _is_of_talking(error):
        lost = _lost(processes)
    if _told(processes, f"{processes.rank}"):
        return AlreadyToldError()
    if lost:
        names = ", ".join(f"rank {rank}" for rank in lost)
        return LostProcessError(
            f"{names} of {processes.ranks} ended without a word (killed, or out of memory): the state last saved is "
            "kept; the same command goes on from there, on fewer processes, too"
        )
    if _is_of_talking(error) and not isinstance(error, UserError):
        return LostProcessError(f"rank {processes.rank} lost touch with the others ({errors.brief(error)})")
    if isinstance(error, UserError) and not str(error).startswith("rank "):
        return type(error)(f"rank {processes.rank}: {error}")
    return error


def _told(processes: Processes, rank: str) -> bool:
    """Whether another process has told an error; else this one is the one that does."""
    try:
        return processes.store.compare_set("told", "", rank).decode() != rank
    except RuntimeError:  # the store has ended with its process, which told before
        return True


def _lost(processes: Processes) -> list[int]:
    """The processes of this machine that have ended; waits for a word of theirs first."""
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end:
        try:
            lost = processes.lost()
            if processes.store.check(["told"]):
                return []
            if lost:
                return lost
        except RuntimeError:
            return []
        time.sleep(0.1)
    return []


def _is_of_talking(error: BaseException) -> bool:
    """Whether a collective call failed, because another process is gone."""
    words = ("gloo", "connection", "nccl", "peer", "socket")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def _runs(number: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _plain(error: UserError) -> tuple[str, str]:
    return type(error).__name__, str(error)


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    if not value.isdigit():
        raise ConfigError(f"WORLD_SIZE is set and {variable} is {value!r}: start the processes by torchrun")
    return int(value)


def _check_device(device: str, on_cuda: bool, local: int) -> None:
    """Make this process's GPU the one it works on. Raises ConfigError where there is none for it."""
    if on_cuda and local >= torch.cuda.device_count():
        raise ConfigError(
            f"this machine has {torch.cuda.device_count()} GPUs and a process {local + 1}: start as many processes as "
            "GPUs (--nproc-per-node), or choose --device cpu"
        )
    if on_cuda:
        torch.cuda.set_device(local)
    elif device != "cpu" and torch.backends.mps.is_available():
        raise ConfigError("several processes cannot share Apple's GPU: choose --device cpu, or start one process")


@contextmanager
def _flat(tensors: Sequence[Tensor]) -> Iterator[Tensor]:
    """Tensors as one, for a single message; what it is made of becomes theirs."""
    yield (flat := torch.cat([tensor.flatten() for tensor in tensors]))
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type in their order, cut so that none of several holds more than BUCKET_BYTES."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = bucket and sum(one.nbytes for one in bucket) + tensor.nbytes > BUCKET_BYTES
        if bucket and (full or bucket[0].dtype != tensor.dtype or bucket[0].device != tensor.device):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
