"""blip3o demo: everything the model does, in one run of half a minute."""

import time
from pathlib import Path
from typing import Annotated

import typer

from blip3o.cli.files import as_json, check_folder, write_picture
from blip3o.cli.options import Debug, Decoder, Device, Dtype, Json, Model, Seed, Verify, examples
from blip3o.cli.progress import open_model
from blip3o.files import write_text

EXAMPLES = examples("blip3o demo", "blip3o demo --seed 7 --output out/demo")


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the contact sheet.")] = Path("demo"),
    seed: Seed = 0,
    model: Model = "picturebook",
    device: Device = "auto",
    decoder: Decoder = None,
    dtype: Dtype = "auto",
    verify: Verify = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """See it draw, read, edit, talk and think, in half a minute.

    Writes a contact sheet of all pictures and a transcript.
    """
    check_folder(output)
    started = time.monotonic()
    artist = open_model(model, device, dtype=dtype, needs=("decoder",), decoder=decoder, verify=verify)
    from blip3o.cli.demo_program import Show

    show = Show(artist, seed, quiet=json)
    show.all()
    path = write_picture(show.page(), output / "contact-sheet.png")
    write_text(output / "transcript.json", as_json(show.record))
    seconds = time.monotonic() - started
    if json:
        print(as_json({"contact_sheet": str(path), "seconds": round(seconds, 1), **show.record}))
    else:
        show.close(path, seconds)
