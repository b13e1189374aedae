"""Two processes on two cores against one process on one, at the same global batch: steps a second of a run.

    python benchmarks/parallel.py [--recipe CONFIG] [--stage NAME] [--steps N] [--rounds N] [--ranks N]

Each process has one thread and one core of its own (where the system can pin). Rounds alternate, and the ratio is that
of the medians, so that a machine that is busy for a while slows both. A process prints its seconds per step after the
first two; the time of starting and of opening the samples does not count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from blip3o.config import load
from blip3o.train import trainer as loop
from blip3o.train.log import TrainingProgress
from blip3o.train.parallel import joined
from blip3o.train.recipe import Recipe

WARM = 2
"""Steps that do not count."""


def work(recipe: Recipe, steps: int) -> None:
    """What a process of a run does: train, and tell the median of the seconds of a step."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ.get("LOCAL_RANK", "0")) % len(cores)]})
    loop.LOG_EVERY = 1
    seen: list[float] = []

    def observe(progress: TrainingProgress) -> None:
        if progress.losses:
            seen.append(time.perf_counter())

    with joined("cpu") as processes, tempfile.TemporaryDirectory() as folder:
        place = Path(processes.share(folder))
        stage = replace(recipe.stages[0], steps=steps + WARM)
        loop.Trainer(replace(recipe, stages=(stage,)), place, observe, processes=processes).run()
        if processes.is_main:
            taken = [after - before for before, after in zip(seen[WARM - 1 :], seen[WARM:], strict=False)]
            print(json.dumps({"step_s": statistics.median(taken)}))


def measured(ranks: int, arguments: list[str]) -> float:
    """Seconds of a step on so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    command = [sys.executable, *launcher, __file__, "--work", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])["step_s"]


def main() -> None:
    """Measure in turn, and print seconds and ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="picturebook")
    parser.add_argument("--stage", default="instruction")
    parser.add_argument("--stories", type=int, default=200, help="of the picture book, to open them fast")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        changes = [f"source.stories={options.stories}", "save_every=0", "score_every=0"]
        recipe = load(Recipe, options.recipe, changes)
        chosen = tuple(stage for stage in recipe.stages if stage.name == options.stage)
        return work(replace(recipe, stages=chosen), options.steps)
    arguments = [word for word in sys.argv[1:] if word != "--work"]
    rounds = [(measured(1, arguments), measured(options.ranks, arguments)) for _ in range(options.rounds)]
    one, many = (statistics.median(column) for column in zip(*rounds, strict=True))
    told = {"ranks": options.ranks, "step_s_alone": one, "step_s_together": many, "speedup": one / many}
    print(json.dumps({name: round(value, 4) for name, value in told.items()}))
    return None


if __name__ == "__main__":
    main()
