"""blip3o generate: pictures from words."""

from typing import Annotated

import typer

from blip3o.cli.files import Gallery, check_writable, slug
from blip3o.cli.options import Debug, Drawing, Json, Loading, Thinking, examples, grouped
from blip3o.cli.progress import working

EXAMPLES = examples(
    'blip3o generate "a red dog on a beach at night"', 'blip3o generate "two cats" "a castle" -n 4 -o out'
)


@grouped()
def generate(
    prompts: Annotated[list[str], typer.Argument(help="What to draw; several prompts make several pictures.")],
    *,
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
    check_writable(drawing.output)
    model = loading.open(needs=("decoder",))
    texts = [prompt for prompt in prompts for _ in range(drawing.count)]
    columns = drawing.count if drawing.count > 1 else min(len(texts), 8)
    with Gallery(drawing.output, [slug(text) for text in texts], columns) as gallery, working("drawing") as progress:
        model.generate(texts, think=think, progress=progress, on_image=gallery.add, **drawing.sampling)
    for image in gallery.images if think and not json else ():
        print(f"thought: {image.info.get('reasoning', '')}")
    gallery.show(json)
