"""blip3o info: what a model is made of, where it comes from, and which words it knows."""

from typing import Annotated, Any

import typer

from blip3o.cli.files import as_json
from blip3o.cli.options import MODEL_HELP, Debug, Decoder, Json, examples
from blip3o.cli.progress import working

EXAMPLES = examples("blip3o info", "blip3o info runs/picturebook/checkpoint --json")


def info(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)] = "picturebook",
    decoder: Decoder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a model is made of, what memory it takes and which words it knows.

    No tensor is read for it, only the headers of the files.
    """
    with working(f"looking into {model}"):
        from blip3o.api import BLIP3o
        from blip3o.weights import hub

        facts = BLIP3o(*hub.sketch(model, decoder=decoder)).info()
        folder = hub.find(model)
    facts |= {"folder": str(folder), "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())}
    if json:
        print(as_json(facts))
    else:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    lines = {
        "model": facts["name"],
        "folder": facts["folder"],
        "size on disk": f"{facts['bytes'] / 1e6:.1f} MB",
        "parameters": f"{facts['parameters']:,}",
        **{f"  {part}": f"{count:,}" for part, count in facts["parts"].items()},
        "memory": ", ".join(f"{size / 1e9:.2f} GB in {dtype}" for dtype, size in facts["memory"].items()),
        "pictures": f"{facts['picture_size']} x {facts['picture_size']} px",
        "drawing": ", ".join(f"{key} {value}" for key, value in facts["sampling"].items()),
        **{str(key): str(value) for key, value in facts["weights"].items()},
    }
    for key, value in lines.items():
        print(f"{key:<20} {value}")
    if facts["words"] is not None:
        print(f"{'words it knows':<20} {' '.join(facts['words'])}")
