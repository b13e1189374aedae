"""blip3o train: a recipe carried out, with scores on the way, to be stopped and gone on with at any time."""

import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blip3o.cli.dry_run import DryRunOptions, tell
from blip3o.cli.files import check_folder, places
from blip3o.cli.options import Debug, Device, Stopped, examples, grouped
from blip3o.cli.progress import working
from blip3o.errors import ConfigError
from blip3o.train.lock import LOCK, FolderLock

if TYPE_CHECKING:
    import blip3o.train.parallel
    import blip3o.train.recipe
    import blip3o.train.trainer

EXAMPLES = examples(
    "blip3o train --config picturebook",
    "blip3o train --config picturebook --stage encoder --output runs/mine stages.encoder.steps=100",
    "blip3o train --config picturebook --dry-run --ranks 8 --memory 80GB parallel.shard=full",
    "torchrun --nproc-per-node 2 -m blip3o train --config picturebook --device cpu",
)
TELL_EVERY_S = 30.0
"""Between two lines where stderr is no terminal."""


@grouped()
def train(
    context: typer.Context,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes of the recipe, such as source.stories=100.")
    ] = None,
    config: Annotated[str, typer.Option(help="A shipped recipe, or a YAML file.")] = "picturebook",
    stage: Annotated[str | None, typer.Option(help="Only this stage; those before it must be done.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The run's folder; default: runs/NAME.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Default: the recipe's own.")] = None,
    device: Device = "auto",
    restart: Annotated[bool, typer.Option("--restart", help="Put an earlier run aside and begin anew.")] = False,
    debug: Debug = False,
    *,
    plan: DryRunOptions,
) -> None:
    """Train a model by a recipe, and go on where it stopped.

    Ctrl-C keeps the state: the same command goes on from there. The run's
    folder gets log.jsonl, samples and scores, the weights after each stage,
    and in the end a checkpoint, which every other verb takes as --model.

    Started by torchrun, several processes train as one.
    """
    plan.check(context)
    if plan.dry_run:
        with working("opening the workshop"):
            from blip3o.config import load
            from blip3o.train.recipe import Recipe

            recipe = load(Recipe, config, _overrides(overrides or [], seed))
        return tell(recipe, plan)
    with working("opening the workshop"):
        from blip3o.train.parallel import joined
    with joined(device) as processes, ExitStack() as held:
        with working("opening the workshop"):
            from blip3o.config import load
            from blip3o.train.recipe import Recipe

            recipe = load(Recipe, config, _overrides(overrides or [], seed))
            folder = Path("runs") / recipe.name if output is None else output
            _check(recipe, stage, folder)
            lock = FolderLock(folder)

        def open_folder() -> None:
            held.enter_context(lock)
            if restart:
                _put_aside(folder)
            _check_same_model(recipe, folder)

        processes.on_main(open_folder)
        place = _carry_out(recipe, lock, stage, device, processes)
        if processes.is_main:
            print(place)
        return None


def _carry_out(
    recipe: "blip3o.train.recipe.Recipe",
    lock: FolderLock,
    stage: str | None,
    device: str,
    processes: "blip3o.train.parallel.Processes",
) -> Path:
    """Train, showing how it goes; the checkpoint's folder."""
    with working("opening the workshop"):
        from blip3o.cli.train_progress import Watch, score_in
        from blip3o.config import dump
        from blip3o.train.trainer import Trainer

        processes.on_main(partial(dump, recipe, lock.folder / "recipe.yaml"))
    with Watch(TELL_EVERY_S) as watch:
        try:
            trainer = Trainer(recipe, lock, watch.see, device=device, tell=watch.say, processes=processes)
            trainer.score = score_in(trainer, watch)
            trainer.run(stage)
        except KeyboardInterrupt:
            raise Stopped(f"stopped: {lock.folder} holds the state; the same command goes on from there") from None
    return trainer.publish()


def _overrides(overrides: list[str], seed: int | None) -> list[str]:
    """The changes of the recipe, the seed among them. Raises ConfigError where it is given twice."""
    if seed is None:
        return overrides
    twice = next((one for one in overrides if one.partition("=")[0].strip() == "seed"), None)
    if twice is not None:
        raise ConfigError(f"the seed is given twice, as --seed {seed} and as {twice}: leave one out")
    return [*overrides, f"seed={seed}"]


def _check(recipe: "blip3o.train.recipe.Recipe", stage: str | None, folder: Path) -> None:
    names = [one.name for one in recipe.stages]
    if stage is not None and stage not in names:
        raise ConfigError(f"the recipe has no stage {stage!r}: choose one of {', '.join(names)}")
    check_folder(folder)


def _put_aside(folder: Path) -> None:
    """Move what an earlier run left into a folder beside this one, so that nothing is lost; the lock stays."""
    left = [path for path in folder.iterdir() if path.name != LOCK]
    if left:
        place = folder.absolute()
        dated = place.with_name(f"{place.name}.{time.strftime('%Y%m%d-%H%M%S')}")
        aside = next(free for free in places(dated) if not free.exists())
        aside.mkdir()
        for path in left:
            path.rename(aside / path.name)
        print(f"the earlier run is now {aside}", file=sys.stderr)


def _check_same_model(recipe: "blip3o.train.recipe.Recipe", folder: Path) -> None:
    """Raise ConfigError where the folder holds the run of another model or seed, which cannot be gone on with."""
    from blip3o.config import load
    from blip3o.train.recipe import Recipe

    if not (folder / "recipe.yaml").is_file():
        return
    earlier = load(Recipe, folder / "recipe.yaml")
    done = {path.name for path in (folder / "stages").glob("*")}
    changed = [stage.name for stage in earlier.stages if stage.name in done and stage not in recipe.stages]
    if changed:
        raise ConfigError(
            f"{folder} holds stage {changed[0]} as another recipe trained it: name another --output, or begin anew "
            "with --restart"
        )
    if (earlier.model, earlier.seed, earlier.source) != (recipe.model, recipe.seed, recipe.source):
        raise ConfigError(
            f"{folder} holds a run of another model, seed or source: name another --output, or begin with --restart"
        )
