"""How fast the doors open: whole commands, the demo, one picture, sixteen at once, loading, and the drawing of scenes.

    python benchmarks/speed.py --output benchmarks/speed.json

Prints a table (median, least, most) and JSON. About three minutes; nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
STARTS, DEMOS = 5, 3
"""A command is started this often, the demo less often; the median counts."""
SCENES = 20_000
PROMPT = "a photo of a red dog"


class Ran(NamedTuple):
    """A process that has ended: wall-clock seconds and the most memory it held."""

    seconds: float
    peak_mb: float


def ran(*words: str) -> Ran:
    """Run Python with these arguments, silently. Raises RuntimeError where it fails."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python {' '.join(words)} ended with {process.returncode}")
    return Ran(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Seconds of each of some calls, after one that does not count."""
    call()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def starting(*words: str) -> list[float]:
    """Seconds from the start of Python to its end, each time."""
    ran(*words)
    return [ran(*words).seconds for _ in range(STARTS)]


def commands(model: str) -> dict[str, list[float]]:
    """Seconds of whole commands, as a user waits for them; `chat` until it can hear its first line."""
    with tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder) / "dog.png")
        drawn = starting("-m", "blip3o", "generate", PROMPT, "--model", model, "--output", picture)
        asked = ("-m", "blip3o", "understand", picture, "what color is the dog?", "--model", model)
        chat = ("-m", "blip3o", "chat", "--model", model, "--output", folder)
        return {
            "generate_s": drawn,
            "understand_s": starting(*asked),
            "info_s": starting("-m", "blip3o", "info", model),
            "chat_s": starting(*chat),  # whose input ends at once
        }


def drawing(model_name: str) -> dict[str, list[float]]:
    """Seconds for one picture alone, and for one of sixteen, at the model's own settings."""
    from blip3o import BLIP3o

    model = BLIP3o.load(model_name, device="cpu")
    return {
        "image_s": timed(lambda: model.generate(PROMPT), 7),
        "image_of_16_s": [taken / 16 for taken in timed(lambda: model.generate([PROMPT] * 16), 3)],
    }


def loading(size: int = 1024, count: int = 24) -> dict[str, list[float]]:
    """How much longer a network takes to load than its file to be read, each time."""
    from safetensors.torch import save_file
    from torch import nn, randn

    from blip3o.weights.safetensors_files import Shards, hollow

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "model.safetensors"
        save_file({f"{index}.weight": randn(size, size) for index in range(count)}, path)

        def load() -> None:
            with hollow():
                network = nn.Sequential(*(nn.Linear(size, size, bias=False) for _ in range(count)))
            Shards.find(folder).fill(network, lambda name: name)

        pairs = zip(timed(load, STARTS), timed(path.read_bytes, STARTS), strict=True)
        return {"load_ratio": [ours / plain for ours, plain in pairs]}


def scenes_per_s() -> list[float]:
    """Scenes made up and drawn in a second, on one core, in each of some rounds: new processes, in which no sprite has
    been drawn yet."""
    script = (
        "import random\n"
        "from blip3o.picturebook.world.draw import draw\n"
        "from blip3o.picturebook.world.stories import sample_scene\n"
        "rng = random.Random('speed')\n"
        f"for _ in range({SCENES}): draw(sample_scene(rng))"
    )
    return [SCENES / ran("-c", script).seconds for _ in range(3)]


def machine() -> str:
    """The processor, its cores, and what computes on them."""
    import torch

    names = [platform.processor() or platform.machine()]
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")] or names
    version = torch.__version__.split("+")[0]
    return f"{names[0]}, {os.cpu_count()} cores ({torch.get_num_threads()} threads), torch {version}"


def measured(model: str) -> dict[str, dict[str, float] | str]:
    """All numbers with their spread, by name; the processes first, since a child's peak counts from its parent's size,
    which torch swells."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("-m", "blip3o", "demo", "--model", model, "--output", str(Path(folder) / "demo"))
        demos = [ran(*words) for _ in range(DEMOS)]
    rounds = {
        "import_s": starting("-c", "import blip3o"),
        "help_s": starting("-m", "blip3o", "--help"),
        **commands(model),
        "demo_s": [demo.seconds for demo in demos],
        "demo_peak_mb": [demo.peak_mb for demo in demos],
        **drawing(model),
        **loading(),
        "scenes_per_s": scenes_per_s(),
    }
    return {**{name: spread(numbers) for name, numbers in rounds.items()}, "machine": machine()}


def spread(numbers: Sequence[float]) -> dict[str, float]:
    """The median of some rounds, and the least and the most."""
    found = {"value": statistics.median(numbers), "low": min(numbers), "high": max(numbers)}
    return {name: round(number, 4) for name, number in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="picturebook", help="a shipped model, or a checkpoint's folder")
    parser.add_argument("--output", type=Path, help="a file for the JSON, too")
    options = parser.parse_args(arguments)
    numbers = measured(options.model)
    for name, number in numbers.items():
        shown = number if isinstance(number, str) else "".join(f"{value:10.3f}" for value in number.values())
        print(f"{name:<16} {shown}")
    text = json.dumps(numbers, indent=2)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
