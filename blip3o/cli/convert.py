"""blip3o convert: a published checkpoint as one of ours, or the other way round."""

from pathlib import Path
from typing import Annotated

import typer

from blip3o.cli.files import as_json, check_folder
from blip3o.cli.options import MODEL_HELP, Adapters, Debug, DecoderFolder, Json, Verify, examples
from blip3o.cli.progress import working
from blip3o.errors import OutputError

EXAMPLES = examples(
    "blip3o convert BLIP3o/BLIP3o-Model-4B models/blip3o-4b",
    "blip3o convert models/blip3o-4b models/BLIP3o-Model-4B",
    "blip3o convert picturebook models/with-stars --adapter runs/adapter/adapter",
)


def convert(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    output: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    decoder: DecoderFolder = None,
    verify: Verify = True,
    adapter: Adapters = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a published checkpoint in our layout, or one of ours in the published layout.

    The tensors stay the same, bit for bit; with adapters, these are added to them, and the
    layout is ours. Our layout is one folder with config.yaml,
    model.safetensors and the tokenizer, and holds the decoder, too.
    """
    if output.is_dir() and any(output.iterdir()):
        raise OutputError(f"{output} is not empty: name a new folder")
    check_folder(output)
    with working(f"converting {model}"):
        from blip3o.weights import adapters, checkpoint, hub
        from blip3o.weights.deferred import ON_CPU
        from blip3o.weights.published import convert

        folder = hub.find(model)
        if adapter:
            layout = "ours"
            adapters.write_merged(hub.open_model(folder, decoder=decoder, verify=verify), adapter, output)
        elif (folder / checkpoint.CONFIG).is_file():
            layout = "published"
            convert.to_published(hub.open_model(folder, decoder=decoder, verify=verify).load(ON_CPU), output)
        else:
            layout = "ours"
            convert.to_ours(folder, output, decoder=decoder, verify=verify)
    print(as_json({"folder": str(output), "layout": layout}) if json else output)
