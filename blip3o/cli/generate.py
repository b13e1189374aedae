"""blip3o generate: pictures from words."""

from typing import Annotated

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
    Think,
    Verify,
    examples,
)
from blip3o.cli.progress import open_model, working

EXAMPLES = examples(
    'blip3o generate "a red dog on a beach at night"', 'blip3o generate "two cats" "a castle" -n 4 -o out'
)


def generate(
    prompts: Annotated[list[str], typer.Argument(help="What to draw; several prompts make several pictures.")],
    count: Count = 1,
    output: Output = None,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Guidance = None,
    solver: Solver = None,
    decoder_steps: DecoderSteps = None,
    size: Size = None,
    think: Think = False,
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
    """Draw pictures from words.

    Each picture carries its prompt, seed, model and version, and is written as
    soon as it is there. A folder gets a file for each, and a grid of several;
    names that exist are not taken again. A file named with --output is replaced.
    """
    check_writable(output)
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
    asked = [prompt for prompt in prompts for _ in range(count)]
    columns = count if count > 1 else min(len(asked), 8)
    with Gallery(output, [slug(prompt) for prompt in asked], columns) as made, working("drawing") as told:
        artist.generate(
            asked,
            seed=seed,
            steps=steps,
            guidance=guidance,
            solver=solver,
            decoder_steps=decoder_steps,
            size=size,
            think=think,
            progress=told,
            on_image=made.add,
        )
    for image in made.images if think and not json else ():
        print(f"thought: {image.info.get('reasoning', '')}")
    made.show(json)
