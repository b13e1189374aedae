"""blip3o data: a look at what the models learn from."""

import random
from typing import Annotated, Literal

import typer

from blip3o.cli.contact_sheet import sheet
from blip3o.cli.files import Gallery, as_json, check_writable
from blip3o.cli.options import Debug, Json, Output, Seed, examples

EXAMPLES = examples("blip3o data preview picturebook", "blip3o data preview picturebook --seed 3 -n 12 -o scenes.png")

app = typer.Typer(help="Look at what the models learn from.", no_args_is_help=False)


@app.callback()
def _data() -> None:
    """Look at what the models learn from."""


@app.command(epilog=EXAMPLES)
def preview(
    source: Annotated[Literal["picturebook"], typer.Argument(help="The data set.")] = "picturebook",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=600, help="How many scenes.")] = 24,
    output: Output = None,
    seed: Seed = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a contact sheet of scenes, each with its caption."""
    from PIL import Image

    from blip3o.picturebook.world.captions import caption
    from blip3o.picturebook.world.draw import draw
    from blip3o.picturebook.world.stories import sample_scene

    check_writable(output)
    rng = random.Random(f"preview/{seed}")
    scenes = [sample_scene(rng) for _ in range(count)]
    page = sheet([("", [(Image.fromarray(draw(scene)), caption(scene)) for scene in scenes])])
    page.info |= {"source": source, "seed": seed}
    with Gallery(output, [source], columns=1) as gallery:
        gallery.add(0, page)
    (path,) = gallery.paths
    print(as_json({"path": str(path), "captions": [caption(scene) for scene in scenes]}) if json else path)
