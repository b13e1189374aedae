"""blip3o edit: a picture changed as an instruction says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blip3o.cli.files import Gallery, check_writable, slug
from blip3o.cli.options import (
    Compatible,
    Compile,
    Count,
    Debug,
    Decoder,
    DecoderSteps,
    Device,
    Dtype,
    Guidance,
    Json,
    Memory,
    Model,
    Output,
    Quantize,
    Seed,
    Size,
    Solver,
    Steps,
    Verify,
    examples,
)
from blip3o.cli.progress import open_model, working
from blip3o.errors import OutputError

if TYPE_CHECKING:
    import PIL.Image

EXAMPLES = examples('blip3o edit dog.png "make it night"', 'blip3o edit dog.png "paint the dog blue" -o blue.png')


def edit(
    image: Annotated[Path, typer.Argument(help="The picture to change.")],
    instruction: Annotated[str, typer.Argument(help="What to change; the rest is kept.")],
    count: Count = 1,
    output: Output = None,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Guidance = None,
    solver: Solver = None,
    decoder_steps: DecoderSteps = None,
    size: Size = None,
    model: Model = "picturebook",
    device: Device = "auto",
    decoder: Decoder = None,
    dtype: Dtype = "auto",
    memory: Memory = "full",
    quantize: Quantize = None,
    compile: Compile = False,
    verify: Verify = True,
    compatible: Compatible = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Change a picture by an instruction; the result is a new file."""
    picture = _opened(image, output)
    artist = open_model(
        model,
        device,
        dtype=dtype,
        memory=memory,
        quantize=quantize,
        compile=compile,
        verify=verify,
        needs=("decoder",),
        decoder=decoder,
        compatible=compatible,
    )
    name = f"{image.stem[:40]}-{slug(instruction)}"  # a file's name has 255 bytes, a letter up to four

    def keep(index: int, changed: "PIL.Image.Image") -> None:
        changed.info["source"] = str(image)
        made.add(index, changed)

    with Gallery(output, [name] * count, min(count, 8)) as made, working("editing") as told:
        artist.edit(
            [picture] * count,
            instruction,
            seed=seed,
            steps=steps,
            guidance=guidance,
            solver=solver,
            decoder_steps=decoder_steps,
            size=size,
            progress=told,
            on_image=keep,
        )
    made.show(json)


def _opened(image: Path, output: Path | None) -> "PIL.Image.Image":
    """The picture to change, once it is known that the changed one can be written."""
    from blip3o.processing.images import open_picture

    check_writable(output)
    if output is not None and output.exists() and output.samefile(image):
        raise OutputError(f"cannot write {output}: it is the picture to change; name another file with --output")
    return open_picture(image)
