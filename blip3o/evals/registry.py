"""All benchmarks by name, and the suites and tasks that put them together."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blip3o.errors import ConfigError, DataError
from blip3o.evals.benchmark import Benchmark, Judge
from blip3o.evals.editing.gedit import Gedit
from blip3o.evals.editing.imgedit import ImgEdit
from blip3o.evals.editing.kris import Kris
from blip3o.evals.generation.dpg import DpgBench
from blip3o.evals.generation.geneval_benchmark import GenEval
from blip3o.evals.generation.wise import Wise
from blip3o.evals.understanding.gqa import Gqa
from blip3o.evals.understanding.mmbench import Mmbench
from blip3o.evals.understanding.mme import Mme
from blip3o.evals.understanding.mmmu import Mmmu
from blip3o.evals.understanding.mmvet import Mmvet
from blip3o.evals.understanding.pope import Pope
from blip3o.evals.understanding.realworldqa import RealWorldQa
from blip3o.evals.understanding.seedbench import Seedbench
from blip3o.evals.understanding.textvqa import TextVqa
from blip3o.evals.understanding.vqav2 import VqaV2
from blip3o.picturebook.detector.geneval import BookEyes

BENCHMARKS: Mapping[str, type[Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        VqaV2,
        Gqa,
        Mmbench,
        Seedbench,
        Pope,
        Mmvet,
        Mme,
        Mmmu,
        RealWorldQa,
        TextVqa,
        GenEval,
        DpgBench,
        Wise,
        ImgEdit,
        Gedit,
        Kris,
    )
}
SUITES: Mapping[str, tuple[str, ...]] = {
    kind: tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.kind == kind)
    for kind in ("understanding", "generation", "editing")
} | {"all": tuple(BENCHMARKS)}
TASKS: Mapping[str, tuple[str, ...]] = {
    "image_understanding": SUITES["understanding"],
    "image_generation": SUITES["generation"],
    "vqa": ("vqav2", "gqa", "textvqa", "realworldqa"),
    "mm-vet": ("mmvet",),
    "gen-eval": ("geneval",),
}
"""Task words of the original documentation -> benchmarks."""


@dataclass(frozen=True, kw_only=True)
class Aids:
    """What scores besides the answers themselves."""

    judge: Judge | None = None
    ready: Path | None = None
    """What a detector or a judge found elsewhere, as JSON."""
    detector: str | None = None
    """Mask2Former and the classifier of colours, "" for the usual ones: GenEval without files."""
    device: str = "cpu"
    """For the detector."""


BOOK = "picturebook"


def _geneval(protocol: str, aids: Aids) -> Benchmark:
    if aids.ready is not None and aids.detector is not None:
        raise ConfigError("GenEval has both --ready and --detector: name one of them")
    if aids.ready is not None:
        return _by(_digest(aids.ready), GenEval("mmdet-json", detections=aids.ready))
    if protocol == BOOK and aids.detector not in (None, BOOK):
        raise ConfigError(f"the protocol {BOOK} has its own detector, got {aids.detector!r}: leave --detector out")
    if BOOK in (aids.detector, protocol):
        return GenEval(BOOK, eyes=BookEyes())
    if aids.detector is None:
        return GenEval(protocol)
    from blip3o.evals.generation.colors import ColorClassifier
    from blip3o.evals.generation.mask2former import REPOSITORY, Mask2Former

    detector = Mask2Former(aids.detector or REPOSITORY, aids.device)
    named = aids.detector or REPOSITORY
    return _by(named, GenEval(protocol, detector=detector, colors=ColorClassifier(device=aids.device)))


def _dpg(protocol: str, aids: Aids) -> Benchmark:
    if aids.ready is None:
        return DpgBench(protocol, aids.judge)
    return _by(_digest(aids.ready), DpgBench(protocol, answers=aids.ready))


def _by(scorer: str, benchmark: Benchmark) -> Benchmark:
    benchmark.scorer = scorer
    return benchmark


def _digest(ready: Path) -> str:
    """The name of a file, or folder of files, and what tells it from another one of that name."""
    files = sorted(ready.rglob("*.json")) if ready.is_dir() else [ready]
    try:
        content = b"".join(path.read_bytes() for path in files)
    except OSError as error:
        raise DataError(f"{ready} cannot be read ({error.strerror}): name a JSON file with --ready") from error
    return f"{ready.name} {hashlib.sha256(content).hexdigest()[:12]}"


WITH_AIDS: Mapping[str, Callable[[str, Aids], Benchmark]] = {
    "geneval": _geneval,
    "dpg": _dpg,
}
"""Benchmarks that take more than a judge."""


def find(name: str) -> tuple[type[Benchmark], str]:
    """A benchmark and its protocol, of "name" or "name:protocol". Raises ConfigError for one that is not there."""
    word, _, protocol = name.partition(":")
    if word not in BENCHMARKS:
        raise ConfigError(f"no benchmark is called {word!r}: choose from {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[word]
    if protocol and protocol not in benchmark.protocols:
        raise ConfigError(f"{word} has no protocol {protocol!r}: choose from {', '.join(benchmark.protocols)}")
    return benchmark, protocol or benchmark.protocols[0]


def make(name: str, aids: Aids) -> Benchmark:
    """A benchmark of "name" or "name:protocol". Raises ConfigError for one that is not there."""
    benchmark, protocol = find(name)
    if benchmark.name in WITH_AIDS:
        return WITH_AIDS[benchmark.name](protocol, aids)
    return benchmark(protocol, aids.judge if benchmark.needs_judge else None)


def chosen(suite: str | None, names: Sequence[str]) -> list[str]:
    """The benchmarks of a suite and those named, each once. Raises ConfigError for one that is not there."""
    if suite is not None and suite not in SUITES:
        raise ConfigError(f"no suite is called {suite!r}: choose from picturebook, {', '.join(SUITES)}")
    words = [find(name)[0].name for name in names]
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"{twice} is named twice, but has one result in a folder: run each protocol with its --output"
        )
    return [name for name in (SUITES[suite] if suite else ()) if name not in words] + list(names)
