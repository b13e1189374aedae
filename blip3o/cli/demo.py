"""blip3o demo: everything the model does, in one run of half a minute."""

import time
from pathlib import Path
from typing import Annotated

import typer

from blip3o.cli.files import as_json, check_folder, write_picture
from blip3o.cli.options import Debug, Json, Loading, Seed, examples, grouped
from blip3o.files import write_text

EXAMPLES = examples("blip3o demo", "blip3o demo --seed 7 --output out/demo")


@grouped("memory", "quantize", "compile", "compatible")
def demo(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the contact sheet.")] = Path("demo"),
    seed: Seed = 0,
    loading: Loading,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """See it draw, read, edit, talk and think, in half a minute.

    Writes a contact sheet of all pictures and a transcript.
    """
    check_folder(output)
    started = time.monotonic()
    model = loading.open(needs=("decoder",))
    from blip3o.cli.demo_program import Show

    show = Show(model, seed, quiet=json)
    show.all()
    path = write_picture(show.page(), output / "contact-sheet.png")
    write_text(output / "transcript.json", as_json(show.record))
    seconds = time.monotonic() - started
    if json:
        print(as_json({"contact_sheet": str(path), "seconds": round(seconds, 1), **show.record}))
    else:
        show.close(path, seconds)
