"""blip3o train --dry-run: what a run will take, before it begins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blip3o.cli.files import as_json
from blip3o.cli.options import Json
from blip3o.cli.progress import working
from blip3o.errors import ConfigError

if TYPE_CHECKING:
    import blip3o.train.recipe

UNITS = {"": 1, "B": 1, "MB": 10**6, "GB": 10**9, "TB": 10**12}
KINDS = ("weights", "gradients", "optimizer", "average", "activations", "buffers")


@dataclass(frozen=True, kw_only=True)
class DryRunOptions:
    """What a dry run is told of the machines."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what the run takes of memory, time and disk.")
    ] = False
    ranks: Annotated[int, typer.Option(min=1, help="Of a dry run: processes, each with a device of its own.")] = 1
    memory: Annotated[str, typer.Option(help="Of a dry run: memory of a device, such as 80GB; less is refused.")] = ""
    rate: Annotated[
        float, typer.Option(min=0.0, help="Of a dry run: TFLOP/s that a device reaches: its peak by its share.")
    ] = 0.0
    prompt_tokens: Annotated[
        int, typer.Option(min=1, help="Of a dry run: tokens of a conversation before its picture.")
    ] = 96
    text_tokens: Annotated[
        int, typer.Option(min=4, help="Of a dry run: tokens of a conversation that ends in words.")
    ] = 256
    json: Json = False

    def check(self, **of_runs: bool) -> None:
        """Raise ConfigError for options that say something of a dry run where there is none, and the other way round.

        `of_runs`: an option of runs -> whether it was given.
        """
        start = DryRunOptions()
        of_plans = {
            field.name.replace("_", "-"): getattr(self, field.name) != getattr(start, field.name)
            for field in fields(self)
        }
        where, given = ("without", of_runs) if self.dry_run else ("with", of_plans)
        idle = next((name for name, there in given.items() if there), None)
        if idle is not None:
            raise ConfigError(f"--{idle} has an effect only {where} --dry-run: leave it out")


def tell(recipe: "blip3o.train.recipe.Recipe", options: DryRunOptions) -> None:
    """Print what a run takes. Raises ConfigError for one that does not fit."""
    memory_bytes = size_bytes(options.memory)
    with working("building the run of shapes alone"):
        from blip3o.train.dry_run import Outlook, check_fits, dry_run

        outlook = Outlook(
            ranks=options.ranks,
            memory_bytes=memory_bytes,
            flops_per_s=1e12 * options.rate,
            prompt_tokens=options.prompt_tokens,
            text_tokens=options.text_tokens,
        )
        told = dry_run(recipe, outlook)
    if options.json:
        print(as_json(told))
    else:
        _show(told)
    check_fits(told, outlook)


def size_bytes(text: str) -> int:
    """The bytes that "80GB" says; 0 for "". Raises ConfigError for what is no size."""
    match = re.fullmatch(r"([\d.]*\d|)\s*([KMGT]?B|)", text.strip().upper())
    if match is None or match[2] not in UNITS or match[1].count(".") > 1:
        raise ConfigError(f"--memory is {text!r}, expected a size such as 80GB or 640MB")
    return round(float(match[1] or 0) * UNITS[match[2]])


def readable(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _show(told: Mapping[str, Any]) -> None:
    source = told["source"]
    here = "" if source["here"] else ", which is not on this machine: a run would stop here"
    size = "" if source["bytes"] is None else f", {readable(source['bytes'])}"
    print(f"{told['recipe']}: {told['parameters']:,} parameters, {told['ranks']} x one device, shard {told['shard']}")
    print(f"source {source['kind']} {source['path']}{size}{here}".replace("  ", " "))
    for stage in told["stages"]:
        _show_stage(stage)
    hours = "unknown without --rate" if told["hours"] is None else f"{told['hours']:.2f}"
    print(f"\nhours in all: {hours}; disk: {readable(told['disk_bytes'])}")


def _show_stage(stage: Mapping[str, Any]) -> None:
    memory = stage["memory"]
    print(f"\nstage {stage['stage']}: {stage['steps']:,} steps")
    print(f"  {'part':<16}{'parameters':>16}{'trained':>16}{'frozen':>16}")
    for part, counts in stage["parts"].items():
        print(f"  {part:<16}" + "".join(f"{counts[kind]:>16,}" for kind in ("parameters", "trained", "frozen")))
    print("  memory of a process: " + ", ".join(f"{kind} {readable(memory[kind])}" for kind in KINDS))
    host = f", on the host {readable(memory['host'])}" if memory["host"] else ""
    print(
        f"  on its device {readable(memory['device'])}{host}; activations with checkpointing "
        f"{readable(memory['checkpointed'])}"
    )
    if stage["flops_per_step"]:
        hours = "" if stage["hours"] is None else f", {stage['hours']:.2f} hours"
        print(f"  a step: {stage['tokens_per_step']:,} tokens, {stage['flops_per_step'] / 1e12:.4g} TFLOP{hours}")
