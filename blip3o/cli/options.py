"""The options that several verbs share, and how a verb stops."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from blip3o.config import BOUNDS, number
from blip3o.errors import ConfigError

MODEL_HELP = "A shipped model, a checkpoint's folder, or a published BLIP3-o: its folder or its id on the Hub."
Model = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Of the weights; auto: float32 on a CPU and for a small model, else bfloat16."),
]
Decoder = Annotated[
    Path | None,
    typer.Option(help="The folder of a published model's decoder. Default: diffusion-decoder in the model's folder."),
]
Memory = Annotated[
    Literal["full", "balanced", "low"],
    typer.Option(help="What is on the device at a time: all, one part, one layer; `blip3o info` tells how much it is."),
]
Quantize = Annotated[
    Literal["int8", "nf4"] | None,
    typer.Option(help="Round the matrices of the blocks to 8 or 4 bits (pip install 'blip3o\\[quantize]')."),
]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the networks that draw: slow at first, then faster.")]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Refuse a checkpoint that changed since it was saved.")
]
Compatible = Annotated[
    bool,
    typer.Option("--compatible", help="Draw from random numbers as the published code does; see docs/published.md."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]


def _number(name: str, text: str, *flags: str) -> Any:
    """An option for a number within its `BOUNDS`, whose help is `text`."""

    def checked(value: int | float | None) -> int | float | None:
        return None if value is None else number(name, value)

    least, most = BOUNDS[name]
    return typer.Option(*flags, callback=checked, metavar=f"{least:.0f}..{most:.0f}", help=text)


Seed = Annotated[int, _number("seed", "The same seed gives the same result; item k, from 0, gets seed + k.")]
Steps = Annotated[int | None, _number("steps", "Solver steps; default: the model's own.")]
Guidance = Annotated[float | None, _number("guidance", "How closely to follow the words; 1 is none.")]
DecoderSteps = Annotated[
    int | None, _number("decoder_steps", "Steps from features to the picture; default: the model's own.")
]
Size = Annotated[int | None, _number("size", "Height and width in px; default: the model's own.")]
Count = Annotated[
    int, _number("count", "Pictures of each; of all that are made, picture k gets seed + k.", "--count", "-n")
]
Solver = Annotated[
    Literal["euler", "heun", "multistep"] | None, typer.Option(help="Of the flow; default: the model's own.")
]
Think = Annotated[bool, typer.Option("--think", help="Let the model reason in words before it draws.")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="A .png or .jpg file, or a folder. Default: the current folder, a new name."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
"""Every verb takes it; `blip3o.cli.app.run` acts on it."""


class Stopped(Exception):  # noqa: N818 - no error: the user pressed Ctrl-C
    """Ctrl-C, with a line that says how things stand."""


def refuse_idle(context: typer.Context, effects: Mapping[str, tuple[str, bool]]) -> None:
    """Raise ConfigError for an option that was given and has no effect.

    `effects`: the option's name in Python -> where it has one, in words, and whether that is so here.
    """
    for option in context.command.params:
        where, here = effects.get(str(option.name), ("", True))
        source = context.get_parameter_source(str(option.name))
        if not here and source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"{option.opts[0]} has an effect only {where}: leave it out")


def examples(*commands: str) -> str:
    """Commands to show at the end of a verb's help, one a line."""
    return "\n\n".join(["Examples:", *(f"  {command}" for command in commands)])
