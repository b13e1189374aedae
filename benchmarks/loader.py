"""How fast samples are loaded from WebDataset shards of JPEGs, beside Pillow alone, and what memory many of them take.

    python benchmarks/loader.py --workers 2 --output benchmarks/loader.json

Ours: an objective's own `load` through data/loader.py, from the tar files on the disk to micro-batches of images.
Pillow alone: as many threads decode the same JPEGs, which lie in memory, and resize them the same way. Both take turns,
and the medians are compared. The memory is that of the process after each tenth of many small samples.
"""

import argparse
import json
import random
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

from blip3o.data.address import StepAddresses
from blip3o.data.loader import StepLoader
from blip3o.data.sources.webdataset import WebDataset, WebDatasetConfig
from blip3o.processing.images import square, stacked
from blip3o.train.objectives.objective import LoadedStep, NamedLosses, Objective
from blip3o.weights.placement.device import resident_bytes

SHARDS = 4
PHOTO = (640, 480)
"""Width and height of a JPEG, in px."""
SMALL = (64, 64)


class Reading(Objective):
    """An objective that is loaded and never learns."""

    names = ("none",)

    def losses(self, batch: object) -> NamedLosses:
        raise NotImplementedError


def jpegs(count: int, size: tuple[int, int]) -> list[bytes]:
    """Pictures with edges, slopes and grain, as JPEGs of the quality that cameras write."""
    rng, made = random.Random(0), []
    for index in range(count):
        grain = np.random.default_rng(index).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
        slope = Image.linear_gradient("L").rotate(rng.randrange(360)).resize(size).convert("RGB")
        blocks = Image.effect_noise((16, 12), 120).convert("RGB").resize(size, Image.Resampling.NEAREST)
        mixed = Image.blend(Image.blend(slope, blocks, 0.4), Image.fromarray(grain), 0.2)
        file = BytesIO()
        mixed.filter(ImageFilter.GaussianBlur(1)).save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def write_shards(folder: Path, pictures: list[bytes], count: int) -> str:
    """So many samples in shards, the pictures over and over; gives the pattern of the shards."""
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for index in range(shard, count, SHARDS):
                for suffix, content in (("jpg", pictures[index % len(pictures)]), ("txt", f"picture {index}".encode())):
                    member = tarfile.TarInfo(f"{index:06d}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))
    return f"{folder}/{{0..{SHARDS - 1}}}.tar"


def ours(shards: str, size: int, batch_size: int, workers: int) -> Callable[[int], StepLoader[LoadedStep]]:
    """Gives a loader of so many steps."""
    squares = lambda some: stacked([square(one, size) for one in some])  # noqa: E731
    pipeline: Any = SimpleNamespace(space=SimpleNamespace(size=size), squares=squares)
    objective = Reading(None, pipeline, WebDataset(WebDatasetConfig(path=shards)))

    def loader(steps: int) -> StepLoader[LoadedStep]:
        load = lambda step: objective.load(StepAddresses("benchmark", step, batch_size))  # noqa: E731
        loader = StepLoader(load, 0, steps, workers)
        objective.each = loader.each
        return loader

    return loader


def rate_of_ours(loader: StepLoader[LoadedStep], steps: int) -> float:
    """Samples a second."""
    since, count = time.perf_counter(), 0
    for _ in range(steps):
        count += sum(len(batch.addresses) for batch in next(loader).batches)
    took = time.perf_counter() - since
    loader.close()
    return count / took


def rate_of_pillow(pictures: list[bytes], size: int, count: int, workers: int) -> float:
    """Samples a second."""

    def read(index: int) -> np.ndarray:
        with Image.open(BytesIO(pictures[index % len(pictures)])) as picture:
            rgb = picture.convert("RGB")
        return np.asarray(ImageOps.fit(rgb, (size, size), Image.Resampling.BICUBIC))

    with ThreadPoolExecutor(workers) as pool:
        since = time.perf_counter()
        done = sum(1 for _ in pool.map(read, range(count)))
        return done / (time.perf_counter() - since)


def speed(arguments: argparse.Namespace) -> dict[str, float]:
    """Samples a second of both, and the share."""
    pictures = jpegs(arguments.pictures, PHOTO)
    steps, rates = arguments.steps, {"ours": [], "pillow": []}
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), pictures, 8 * len(pictures))
        make = ours(shards, arguments.size, arguments.batch, arguments.workers)
        for _ in range(arguments.rounds):
            rates["ours"].append(rate_of_ours(make(steps), steps))
            count = steps * arguments.batch
            rates["pillow"].append(rate_of_pillow(pictures, arguments.size, count, arguments.workers))
    found = {name: round(statistics.median(some), 1) for name, some in rates.items()}
    shares = [one / other for one, other in zip(rates["ours"], rates["pillow"], strict=True)]
    return found | {"share": round(statistics.median(shares), 3)}


def memory(arguments: argparse.Namespace) -> list[int]:
    """MB that the process holds after each tenth of the samples."""
    held, steps = [], arguments.samples // 256
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), jpegs(64, SMALL), arguments.samples)
        loader = ours(shards, SMALL[0], 256, arguments.workers)(steps)
        for step in range(steps):
            next(loader)
            if (step + 1) * 10 // steps > step * 10 // steps:
                held.append(round(resident_bytes() / 1e6))
        loader.close()
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=256, help="px of the target space")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=100_000, help="whose memory is looked at; 0: none")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, object] = {"workers": arguments.workers, "samples_per_s": speed(arguments)}
    if arguments.samples:
        results["memory_mb"] = memory(arguments)
    text = json.dumps(results, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
