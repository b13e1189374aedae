"""blip3o edit: a picture changed as an instruction says."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blip3o.cli.batch import PromptRow, PromptsFile, carry_out, open_drawing
from blip3o.cli.files import Gallery, check_writable, slug
from blip3o.cli.options import Debug, Drawing, Json, Loading, Thinking, examples, grouped
from blip3o.cli.progress import working
from blip3o.errors import ConfigError, OutputError

if TYPE_CHECKING:
    import PIL.Image

EXAMPLES = examples(
    'blip3o edit dog.png "make it night"',
    'blip3o edit dog.png "paint the dog blue" -o blue.png',
    "blip3o edit --prompts edits.jsonl -o out",
)


@grouped()
def edit(
    image: Annotated[Path | None, typer.Argument(help="The picture to change.")] = None,
    instruction: Annotated[str | None, typer.Argument(help="What to change; the rest is kept.")] = None,
    *,
    file: PromptsFile = None,
    drawing: Drawing,
    think: Thinking = None,
    loading: Loading,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Change a picture by an instruction; the result is a new file."""
    from blip3o.processing.images import open_picture

    if (file is None) == (image is None) or (image is None) != (instruction is None):
        raise ConfigError("name a picture and what to change, or a file of both with --prompts: one of the two")
    if file is not None:
        _edit_rows(file, drawing, loading, think=think, json=json)
        return
    assert image is not None
    assert instruction is not None
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


def _edit_rows(file: Path, drawing: Drawing, loading: Loading, *, think: bool | None, json: bool) -> None:
    """Change the pictures of a file's rows."""
    from blip3o.processing.images import open_picture

    rows, batch, how = open_drawing("edit", file, drawing, loading, think=think, json=json, with_image=True)
    model = loading.open(needs=("decoder",))

    def check(row: PromptRow) -> "PIL.Image.Image":
        model.pipeline.template.check(row.prompt)
        return open_picture(row.image)

    def change(some: Sequence[PromptRow], images: Sequence[Any], told: Callable[[int, Any], None]) -> None:
        seeds = [row.seed for row in some]
        model.edit(images, [row.prompt for row in some], seed=seeds, on_image=told, **how)

    carry_out("editing", batch, rows, check, change, batch.add_picture)
