"""How fast the doors open: start-up, the demo, one picture, sixteen at once, and the drawing of scenes.

    python benchmarks/speed.py --output benchmarks/speed.json

Prints a table and JSON. About a minute; nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
STARTS = 5
"""A command is started this often; the median counts."""
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
    process = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python {' '.join(words)} ended with {process.returncode}")
    return Ran(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)


def median_s(call: Callable[[], object], times: int) -> float:
    """Median seconds of a call, after one that does not count."""
    call()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def starting(*words: str) -> float:
    """Median seconds from the start of Python to its end."""
    ran(*words)
    return statistics.median(ran(*words).seconds for _ in range(STARTS))


def drawing(model_name: str) -> dict[str, float]:
    """Seconds for one picture alone, and for one of sixteen, at the model's own settings."""
    from blip3o import BLIP3o

    model = BLIP3o.load(model_name, device="cpu")
    return {
        "image_s": median_s(lambda: model.generate(PROMPT), 7),
        "image_of_16_s": median_s(lambda: model.generate([PROMPT] * 16), 3) / 16,
    }


def scenes_per_s() -> float:
    """Scenes made up and drawn in a second, on one core."""
    from blip3o.data.picturebook.draw import draw
    from blip3o.data.picturebook.world import sample_scene

    rng = random.Random("speed")
    draw(sample_scene(rng))
    start = time.perf_counter()
    for _ in range(SCENES):
        draw(sample_scene(rng))
    return SCENES / (time.perf_counter() - start)


def machine() -> str:
    """The processor, its cores, and what computes on them."""
    import torch

    names = [platform.processor() or platform.machine()]
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")] or names
    version = torch.__version__.split("+")[0]
    return f"{names[0]}, {os.cpu_count()} cores ({torch.get_num_threads()} threads), torch {version}"


def measured(model: str) -> dict[str, float | str]:
    """All numbers, by name; the demo first, since a child's peak counts from its parent's size, which torch swells."""
    with tempfile.TemporaryDirectory() as folder:
        demo = ran("-m", "blip3o", "demo", "--model", model, "--output", str(Path(folder) / "demo"))
    return {
        "import_s": starting("-c", "import blip3o"),
        "help_s": starting("-m", "blip3o", "--help"),
        "demo_s": demo.seconds,
        "demo_peak_mb": demo.peak_mb,
        **drawing(model),
        "scenes_per_s": scenes_per_s(),
        "machine": machine(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="picturebook", help="a shipped model, or a checkpoint's folder")
    parser.add_argument("--output", type=Path, help="a file for the JSON, too")
    options = parser.parse_args(arguments)
    numbers = measured(options.model)
    for name, number in numbers.items():
        print(f"{name:<16} {number if isinstance(number, str) else format(number, '10.3f')}")
    text = json.dumps({k: v if isinstance(v, str) else round(v, 4) for k, v in numbers.items()}, indent=2)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
