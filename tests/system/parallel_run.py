"""A process of a run of several, started by a launcher or alone: trains small runs and writes what happened in each.

`python parallel_run.py JOBS.json`: a list of jobs, each with `folder`, `stage` (of tests/tiny.yaml), `parallel` (a
config), and, where they are given, `changes` of the stage, `until` (the step at which all stop) and `kill` (a rank,
which ends by SIGKILL at that step). Beside each folder appears FOLDER.json: losses and ids of the samples by step.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from blip3o.config import from_dict, load
from blip3o.train import trainer as loop
from blip3o.train.objectives.unified import UnifiedObjective
from blip3o.train.parallel import ParallelConfig, joined
from blip3o.train.recipe import Recipe

TINY = load(Recipe, Path(__file__).parents[1] / "tiny.yaml")


class Recorded:
    """The addresses of the samples that this process loads, by step."""

    def __init__(self, kill):
        self.steps, self.kill, self.load = {}, kill, UnifiedObjective.load

    def __call__(self, objective, step, rows=0):
        loaded = self.load(objective, step, rows)
        self.steps[step.step] = [address for batch in loaded.batches for address in batch.addresses]
        if self.kill == [step.rank, step.step]:
            os.kill(os.getpid(), signal.SIGKILL)
        return loaded


def carry_out(job, processes):
    (stage,) = (one for one in TINY.stages if one.name == job["stage"])
    stage = replace(stage, **job.get("changes", {}))
    parallel = from_dict(ParallelConfig, job["parallel"])
    recipe = replace(TINY, stages=(stage,), parallel=parallel, save_every=job.get("save_every", 0))
    recorded = Recorded(job.get("kill"))
    setattr(UnifiedObjective, "load", lambda *arguments: recorded(*arguments))  # noqa: B010 - a test's patch
    losses, processes.stopping = {}, False

    def observe(progress):
        if progress.losses:
            losses[progress.step - 1] = progress.losses
            processes.stopping = progress.step == job.get("until")

    trainer = loop.Trainer(recipe, Path(job["folder"]), observe, processes=processes)
    try:
        trainer.run()
        trainer.publish()
    except KeyboardInterrupt:
        pass
    finally:
        UnifiedObjective.load = recorded.load
    steps = processes.gather(recorded.steps)
    ids = {step: sorted(one for part in steps for one in part.get(step, ())) for step in losses}
    if processes.is_main:
        Path(job["folder"] + ".json").write_text(json.dumps({"losses": losses, "ids": ids}))
    processes.wait()


if __name__ == "__main__":
    loop.LOG_EVERY = 1
    with joined("cpu") as processes:
        for job in json.loads(Path(sys.argv[1]).read_text()):
            carry_out(job, processes)
