"""blip3o generate: pictures from words."""

from pathlib import Path
from typing import Annotated

import typer

from blip3o.cli.files import as_json, check_writable, slug, write_pictures
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
    compatible: Compatible = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw pictures from words.

    Each picture carries its prompt, seed, model and version. A folder gets a
    file for each, and a grid of several; names that exist are not taken again.
    A file named with --output is replaced.
    """
    check_writable(output)
    artist = open_model(
        model,
        device,
        dtype=dtype,
        memory=memory,
        quantize=quantize,
        compile=compile,
        needs=("decoder",),
        decoder=decoder,
        compatible=compatible,
    )
    asked = [prompt for prompt in prompts for _ in range(count)]
    with working("drawing") as told:
        images = artist.generate(
            asked,
            seed=[seed + index for _ in prompts for index in range(count)],
            steps=steps,
            guidance=guidance,
            solver=solver,
            decoder_steps=decoder_steps,
            size=size,
            think=think,
            progress=told,
        )
    paths = write_pictures(images, list(map(slug, asked)), output, count if count > 1 else min(len(asked), 8))
    if json:
        print(as_json([{"path": str(path), **image.info} for path, image in zip(paths, images, strict=True)]))
    else:
        _show(paths, [image.info.get("reasoning", "") for image in images] if think else [])


def _show(paths: list[Path], thoughts: list[str]) -> None:
    for thought in thoughts:
        print(f"thought: {thought}")
    for path in dict.fromkeys(paths):
        print(path)
