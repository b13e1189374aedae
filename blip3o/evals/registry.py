"""All benchmarks by name, and the suites and tasks that put them together."""

from collections.abc import Mapping, Sequence

from blip3o.errors import ConfigError
from blip3o.evals.benchmark import Benchmark, BenchmarkOptions
from blip3o.plugins import resolve

UNDERSTANDING: Mapping[str, str] = {
    "vqav2": "evals.understanding.vqav2:VqaV2",
    "gqa": "evals.understanding.gqa:Gqa",
    "mmbench": "evals.understanding.mmbench:Mmbench",
    "seedbench": "evals.understanding.seedbench:Seedbench",
    "pope": "evals.understanding.pope:Pope",
    "mmvet": "evals.understanding.mmvet:Mmvet",
    "mme": "evals.understanding.mme:Mme",
    "mmmu": "evals.understanding.mmmu:Mmmu",
    "realworldqa": "evals.understanding.realworldqa:RealWorldQa",
    "textvqa": "evals.understanding.textvqa:TextVqa",
}
GENERATION: Mapping[str, str] = {
    "geneval": "evals.generation.geneval_benchmark:GenEval",
    "dpg": "evals.generation.dpg:DpgBench",
    "wise": "evals.generation.wise:Wise",
}
EDITING: Mapping[str, str] = {
    "imgedit": "evals.editing.imgedit:ImgEdit",
    "gedit": "evals.editing.gedit:Gedit",
    "kris": "evals.editing.kris:Kris",
}
BENCHMARKS: Mapping[str, str] = {
    **UNDERSTANDING,
    **GENERATION,
    **EDITING,
    "picturebook": "picturebook.benchmarks.benchmark:PictureBookBenchmark",
}
"""Name -> module:Class."""
SUITES: Mapping[str, tuple[str, ...]] = {
    "picturebook": ("picturebook",),
    "understanding": tuple(UNDERSTANDING),
    "generation": tuple(GENERATION),
    "editing": tuple(EDITING),
    "all": (*UNDERSTANDING, *GENERATION, *EDITING),
}
"""Suite -> its benchmarks; "all" are those of the field, which need data."""
TASKS: Mapping[str, tuple[str, ...]] = {
    "image_understanding": SUITES["understanding"],
    "image_generation": SUITES["generation"],
    "vqa": ("vqav2", "gqa", "textvqa", "realworldqa"),
    "mm-vet": ("mmvet",),
    "gen-eval": ("geneval",),
}
"""Task words of the original documentation -> benchmarks."""


def find(name: str) -> tuple[type[Benchmark], str]:
    """A benchmark and its protocol, of "name" or "name:protocol", or of "module:Class" or "module:Class:protocol" for
    one that is not registered. Raises ConfigError for one that is not there."""
    words = name.split(":")
    if words[0] not in BENCHMARKS and len(words) == 1:
        raise ConfigError(f"no benchmark is called {name!r}: choose from {', '.join(BENCHMARKS)}, or name module:Class")
    length = 1 if words[0] in BENCHMARKS else 2
    benchmark = resolve(":".join(words[:length]), BENCHMARKS)
    if not isinstance(benchmark, type) or not issubclass(benchmark, Benchmark):
        raise ConfigError(f"{name!r} is no benchmark: expected a subclass of blip3o.evals.benchmark.Benchmark")
    protocol = ":".join(words[length:]) or benchmark.protocols[0]
    if protocol not in benchmark.protocols:
        choice = ", ".join(benchmark.protocols)
        raise ConfigError(f"{benchmark.name} has no protocol {protocol!r}: choose from {choice}")
    return benchmark, protocol


def build(name: str, options: BenchmarkOptions) -> Benchmark:
    """A benchmark by its name (`find`), with these options. Raises ConfigError for one that is not there."""
    benchmark, protocol = find(name)
    return benchmark.build(protocol, options)


def chosen(suite: str | None, names: Sequence[str]) -> list[str]:
    """The benchmarks of a suite and those named, each once. Raises ConfigError for one that is not there."""
    if suite is not None and suite not in SUITES:
        raise ConfigError(f"no suite is called {suite!r}: choose from {', '.join(SUITES)}")
    words = [find(name)[0].name for name in names]
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"{twice} is named twice, but has one result in a folder: run each protocol with its --output"
        )
    return [name for name in (SUITES[suite] if suite else ()) if name not in words] + list(names)
