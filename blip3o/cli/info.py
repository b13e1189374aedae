"""blip3o info: what a model is made of, where it comes from, and which words it knows."""

from typing import Annotated, Any

import typer

from blip3o.cli.files import as_json
from blip3o.cli.options import Debug, Device, Json, examples
from blip3o.cli.progress import open_model

EXAMPLES = examples("blip3o info", "blip3o info runs/picturebook/checkpoint --json")


def info(
    model: Annotated[str, typer.Argument(help="A shipped model, or the folder of a checkpoint.")] = "picturebook",
    device: Device = "cpu",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a model is made of and which words it knows."""
    facts = open_model(model, device).info()
    from blip3o.weights.hub import find

    folder = find(model)
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
        "pictures": f"{facts['picture_size']} x {facts['picture_size']} px",
        "drawing": ", ".join(f"{key} {value}" for key, value in facts["sampling"].items()),
        **{str(key): str(value) for key, value in facts["weights"].items()},
    }
    for key, value in lines.items():
        print(f"{key:<20} {value}")
    if facts["words"] is not None:
        print(f"{'words it knows':<20} {' '.join(facts['words'])}")
