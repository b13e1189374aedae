"""blip3o generate: pictures from words."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from blip3o.cli.batch import PromptRow, PromptsFile, carry_out, open_drawing
from blip3o.cli.files import Gallery, check_writable, slug
from blip3o.cli.options import Debug, Drawing, Json, Loading, Thinking, examples, grouped
from blip3o.cli.progress import working
from blip3o.errors import ConfigError

EXAMPLES = examples(
    'blip3o generate "a red dog on a beach at night"',
    'blip3o generate "two cats" "a castle" -n 4 -o out',
    "blip3o generate --prompts prompts.jsonl -o out",
)


@grouped()
def generate(
    prompts: Annotated[
        list[str] | None, typer.Argument(help="What to draw; several prompts make several pictures.")
    ] = None,
    *,
    file: PromptsFile = None,
    drawing: Drawing,
    think: Thinking = None,
    loading: Loading,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw pictures from words.

    Each picture carries its prompt, seed, model and version, and is written as
    soon as it is there. A folder gets a file for each, and a grid of several;
    names that exist are not taken again. A file named with --output is replaced.
    """
    if (file is None) == (not prompts):
        raise ConfigError("name prompts, or a file of them with --prompts: one of the two")
    if file is not None:
        _generate_rows(file, drawing, loading, think=think, json=json)
        return
    assert prompts is not None
    check_writable(drawing.output)
    model = loading.open(needs=("decoder",))
    texts = [prompt for prompt in prompts for _ in range(drawing.count)]
    columns = drawing.count if drawing.count > 1 else min(len(texts), 8)
    with Gallery(drawing.output, [slug(text) for text in texts], columns) as gallery, working("drawing") as progress:
        model.generate(texts, think=think, progress=progress, on_image=gallery.add, **drawing.sampling)
    for image in gallery.images if think and not json else ():
        print(f"thought: {image.info.get('reasoning', '')}")
    gallery.show(json)


def _generate_rows(file: Path, drawing: Drawing, loading: Loading, *, think: bool | None, json: bool) -> None:
    """Draw the prompts of a file."""
    rows, batch, how = open_drawing("generate", file, drawing, loading, think=think, json=json)
    model = loading.open(needs=("decoder",))

    def draw(some: Sequence[PromptRow], _: Sequence[Any], told: Callable[[int, Any], None]) -> None:
        model.generate([row.prompt for row in some], seed=[row.seed for row in some], on_image=told, **how)

    carry_out("drawing", batch, rows, lambda row: model.pipeline.template.check(row.prompt), draw, batch.add_picture)
