"""blip3o info: what a model is made of, where it comes from, and which words it knows."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from blip3o.cli.files import as_json
from blip3o.cli.options import MODEL_HELP, Debug, DecoderFolder, Json, Verify, examples
from blip3o.cli.progress import working
from blip3o.picturebook.vocabulary import grouped

EXAMPLES = examples("blip3o info", "blip3o info runs/picturebook/checkpoint --json", "blip3o info runs/adapter/adapter")


def info(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)] = "picturebook",
    decoder: DecoderFolder = None,
    verify: Verify = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a model is made of, what memory it takes and which words it knows; or what an adapter is for.

    No tensor is read for it, only the headers of the files; nor is a model
    fetched that lies on the Hub.
    """
    with working(f"looking into {model}"):
        from blip3o.weights import folders, outline

        if folders.is_adapter(Path(model)):
            facts = outline.adapter(Path(model))
            print(as_json(facts) if json else "\n".join(f"{key:<20} {_told(value)}" for key, value in facts.items()))
            return
        if (here := folders.local(model)) is not None:
            place = nullcontext(here)
        else:
            from blip3o.weights.hub import outlined  # opens the library of the Hub

            place = outlined(model)
        with place as folder:
            facts = outline.read(folder, decoder, verify=verify)
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    facts |= {"folder": str(folder) if folder.exists() else f"{model} on the Hub", "size_on_disk": size}
    facts["word_groups"] = None if facts["words"] is None else grouped(facts["words"])
    if json:
        print(as_json(facts))
    else:
        _show(facts)


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _show(facts: dict[str, Any]) -> None:
    lines = {
        "model": facts["name"],
        "folder": facts["folder"],
        "size on disk": f"{facts['size_on_disk'] / 1e6:.1f} MB",
        "parameters": f"{facts['parameters']:,}",
        **{f"  {part}": f"{count:,}" for part, count in facts["parts"].items()},
        "weights": ", ".join(f"{_size(size)} in {dtype}" for dtype, size in facts["bytes"].items()),
        "memory to draw with": "".join(f"{memory:>10}" for memory in facts["peak"]["float32"]),
        **{
            f"  {kind}": "".join(f"{_size(size):>10}" for size in sizes.values())
            for kind, sizes in facts["peak"].items()
        },
        "pictures": f"{facts['picture_size']} x {facts['picture_size']} px",
        "drawing": ", ".join(f"{key} {value}" for key, value in facts["sampling"].items()),
        **{str(key): str(value) for key, value in facts["weights"].items()},
    }
    for key, value in lines.items():
        print(f"{key:<20} {value}")
    for group, words in (facts["word_groups"] or {}).items():
        print(f"{f'words: {group}':<20} {' '.join(words)}")
