"""The config of several processes: what a run is told to need before it begins."""

from dataclasses import replace

from blip3o.train.dry_run import Outlook, dry_run
from blip3o.train.parallel import ParallelConfig
from fields.case import TINY, Case, Change


def planned(config, world):
    """Memory of a process of four; that the real ones share the model so is seen by tests/system/test_parallel.py."""
    (stage,) = (one for one in TINY.stages if one.name == "generation")
    (told,) = dry_run(replace(TINY, stages=(stage,), parallel=config), Outlook(ranks=4))["stages"]
    return told["memory"]


PLANS = (
    Case(
        ParallelConfig(),
        planned,
        {
            "shard": "full",
            "replicas": Change(4, along={"shard": "hybrid"}, given={"shard": "hybrid", "replicas": 2}),
            "offload": Change(True, given={"shard": "full"}),
        },
    ),
)
