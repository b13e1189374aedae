"""blip3o edit: a picture changed as an instruction says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blip3o.cli.files import Gallery, check_writable, slug
from blip3o.cli.options import Debug, Drawing, Json, Loading, Thinking, examples, grouped
from blip3o.cli.progress import working
from blip3o.errors import OutputError

if TYPE_CHECKING:
    import PIL.Image

EXAMPLES = examples('blip3o edit dog.png "make it night"', 'blip3o edit dog.png "paint the dog blue" -o blue.png')


@grouped()
def edit(
    image: Annotated[Path, typer.Argument(help="The picture to change.")],
    instruction: Annotated[str, typer.Argument(help="What to change; the rest is kept.")],
    *,
    drawing: Drawing,
    think: Thinking = None,
    loading: Loading,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Change a picture by an instruction; the result is a new file."""
    from blip3o.processing.images import open_picture

    output = drawing.output
    check_writable(output)
    if output is not None and output.exists() and output.samefile(image):
        raise OutputError(f"cannot write {output}: it is the picture to change; name another file with --output")
    original = open_picture(image)
    model = loading.open(needs=("decoder",))
    name = f"{image.stem[:40]}-{slug(instruction)}"  # a file's name has 255 bytes, a letter up to four

    def keep(index: int, changed: "PIL.Image.Image") -> None:
        changed.info["source"] = str(image)
        gallery.add(index, changed)

    count = drawing.count
    with Gallery(output, [name] * count, min(count, 8)) as gallery, working("editing") as progress:
        model.edit([original] * count, instruction, think=think, progress=progress, on_image=keep, **drawing.sampling)
    gallery.show(json)
