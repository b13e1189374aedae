"""All benchmarks by name, and the suites and tasks that put them together."""

from collections.abc import Mapping, Sequence

from blip3o.errors import ConfigError
from blip3o.evals.benchmark import Benchmark, Judge
from blip3o.evals.understanding.pope import Pope

BENCHMARKS: Mapping[str, type[Benchmark]] = {benchmark.name: benchmark for benchmark in (Pope,)}
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


def find(name: str) -> tuple[type[Benchmark], str]:
    """A benchmark and its protocol, of "name" or "name:protocol". Raises ConfigError for one that is not there."""
    word, _, protocol = name.partition(":")
    if word not in BENCHMARKS:
        raise ConfigError(f"no benchmark is called {word!r}: choose from {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[word]
    if protocol and protocol not in benchmark.protocols:
        raise ConfigError(f"{word} has no protocol {protocol!r}: choose from {', '.join(benchmark.protocols)}")
    return benchmark, protocol or benchmark.protocols[0]


def make(name: str, judge: Judge | None = None) -> Benchmark:
    """A benchmark of "name" or "name:protocol", with its judge where it takes one."""
    benchmark, protocol = find(name)
    return benchmark(protocol, judge if benchmark.needs_judge else None)


def chosen(suite: str | None, names: Sequence[str]) -> list[str]:
    """The benchmarks of a suite and those named, each once. Raises ConfigError for one that is not there."""
    if suite is not None and suite not in SUITES:
        raise ConfigError(f"no suite is called {suite!r}: choose from picturebook, {', '.join(SUITES)}")
    for name in names:
        find(name)
    return list(dict.fromkeys((*(SUITES[suite] if suite else ()), *names)))
