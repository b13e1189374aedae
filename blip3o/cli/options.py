"""The options that several verbs share, each defined once, and how a verb stops."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from blip3o.cli.progress import open_model
from blip3o.config import BOUNDS, number
from blip3o.errors import ConfigError
from blip3o.model.layers.sampling import SolverName

if TYPE_CHECKING:
    from blip3o.api import BLIP3o

MODEL_HELP = "A shipped model, a checkpoint's folder, or a published BLIP3-o: its folder or its id on the Hub."
DecoderFolder = Annotated[
    Path | None,
    typer.Option(help="The folder of a published model's decoder. Default: diffusion-decoder in the model's folder."),
]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Refuse a checkpoint that changed since it was saved.")
]
Adapters = Annotated[
    list[str] | None,
    typer.Option(help="An adapter's folder or id, with a share where that is not 1: FOLDER:0.5; repeatable."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]


def _number(name: str, text: str, *flags: str) -> Any:
    """An option for a number within its `BOUNDS`, whose help is `text`."""

    def checked(value: int | float | None) -> int | float | None:
        return None if value is None else number(name, value)

    least, most = BOUNDS[name]
    return typer.Option(*flags, callback=checked, metavar=f"{least:.0f}..{most:.0f}", help=text)


Seed = Annotated[int, _number("seed", "The same seed gives the same result; item k, from 0, gets seed + k.")]
Thinking = Annotated[
    bool | None,
    typer.Option("--think/--no-think", help="Let the model reason in words before it draws; by default as it is made."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="A .png or .jpg file, or a folder. Default: the current folder, a new name."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
"""Every verb takes it; `blip3o.cli.app.run` acts on it."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Which model is opened, and how: the arguments of `BLIP3o.load`."""

    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)] = "picturebook"
    device: Device = "auto"
    decoder: DecoderFolder = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Of the weights; auto: float32 on a CPU and for a small model, else bfloat16."),
    ] = "auto"
    memory: Annotated[
        Literal["full", "balanced", "low"],
        typer.Option(
            help="What is on the device at a time: all, one part, one layer; `blip3o info` tells how much it is."
        ),
    ] = "full"
    quantize: Annotated[
        Literal["int8", "nf4"] | None,
        typer.Option(help="Round the matrices of the blocks to 8 or 4 bits (pip install 'blip3o\\[quantize]')."),
    ] = None
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the networks that draw: slow at first, then faster.")
    ] = False
    verify: Verify = True
    adapter: Adapters = None
    merge: Annotated[
        bool,
        typer.Option("--merge/--no-merge", help="Add adapters to the weights, or let them work beside them, slower."),
    ] = True
    compatible: Annotated[
        bool,
        typer.Option(
            "--compatible", help="Draw from random numbers as the published code does; see docs/published.md."
        ),
    ] = False

    def open(self, needs: Collection[Literal["encoder", "decoder"]] | None) -> "BLIP3o":
        """The model with the parts that it `needs`, as for `BLIP3o.load`; shows that it takes a moment."""
        how = {key: value for key, value in vars(self).items() if key not in ("model", "adapter")}
        return open_model(self.model, needs=needs, adapters=self.adapters, **how)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(self.adapter or ())


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How many pictures are drawn, where to, and what is changed of the model's own way to draw."""

    count: Annotated[
        int, _number("count", "Pictures of each; of all that are made, picture k gets seed + k.", "--count", "-n")
    ] = 1
    output: Output = None
    seed: Seed = 0
    steps: Annotated[int | None, _number("steps", "Solver steps; default: the model's own.")] = None
    guidance: Annotated[float | None, _number("guidance", "How closely to follow the words; 1 is none.")] = None
    solver: Annotated[SolverName | None, typer.Option(help="Of the flow; default: the model's own.")] = None
    decoder_steps: Annotated[
        int | None, _number("decoder_steps", "Steps from features to the picture; default: the model's own.")
    ] = None
    best_of: Annotated[
        int | None, _number("best_of", "Candidates of each, of which the model keeps the one that it reads as asked.")
    ] = None
    size: Annotated[int | None, _number("size", "Height and width in px; default: the model's own.")] = None

    @property
    def sampling(self) -> dict[str, Any]:
        """The seed and the `SamplingOptions`, as `BLIP3o.generate` and `BLIP3o.edit` take them."""
        return {key: value for key, value in vars(self).items() if key not in ("count", "output")}


def grouped(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A verb whose parameters may be dataclasses of options, such as `Loading`: each of their fields becomes an option.

    Fields that are `left_out` are no options of this verb, and keep their defaults.
    """

    def expanded(parameter: Parameter) -> list[Parameter]:
        if not is_dataclass(parameter.annotation):
            return [parameter]
        return [
            Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
            for field in fields(parameter.annotation)
            if field.name not in left_out
        ]

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        arguments = signature(verb)
        groups = [parameter for parameter in arguments.parameters.values() if is_dataclass(parameter.annotation)]

        @wraps(verb)
        def parsed(**values: Any) -> None:
            for group in groups:
                values[group.name] = group.annotation(**{one.name: values.pop(one.name) for one in expanded(group)})
            verb(**values)

        options = [one for parameter in arguments.parameters.values() for one in expanded(parameter)]
        parsed.__dict__["__signature__"] = arguments.replace(parameters=options)  # what typer reads
        return parsed

    return decorate


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
