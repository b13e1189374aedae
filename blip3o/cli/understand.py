"""blip3o understand: questions about a picture, captions, and classification by any labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from blip3o.cli.files import as_json
from blip3o.cli.options import Debug, Device, Dtype, Json, Memory, Model, Quantize, Verify, examples
from blip3o.cli.progress import open_model, working
from blip3o.errors import ConfigError

if TYPE_CHECKING:
    import PIL.Image

    import blip3o.api

EXAMPLES = examples(
    'blip3o understand dog.png "what color is the dog?"',
    "blip3o understand dog.png --task image_classification --labels dog,cat,car",
)
SHOWN_LABELS = 5


def understand(
    image: Annotated[Path, typer.Argument(help="The picture to read.")],
    question: Annotated[str | None, typer.Argument(help="What to ask about it.")] = None,
    task: Annotated[
        Literal["vqa", "caption", "image_classification"] | None,
        typer.Option(help="Default: vqa with a question, caption without."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="What it may show, with commas. Default: the kinds of the picture book.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="Another picture that the same question is about; may be given again.")
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="Caption: say where everything stands.")] = False,
    model: Model = "picturebook",
    device: Device = "auto",
    dtype: Dtype = "auto",
    memory: Memory = "full",
    quantize: Quantize = None,
    verify: Verify = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer questions about a picture, describe it, classify it."""
    from blip3o.processing.images import open_picture

    task = task or ("vqa" if question is not None else "caption" if labels is None else "image_classification")
    if (task == "vqa") != (question is not None):
        need = "needs a question: add it after the picture" if question is None else "takes no question: leave it out"
        raise ConfigError(f"task {task} {need}")
    for option, given, wanted in (
        ("--labels", labels is not None, "image_classification"),
        ("--also", bool(also), "vqa"),
        ("--long", long, "caption"),
    ):
        if given and task != wanted:
            raise ConfigError(f"task {task} takes no {option}: leave it out, or choose --task {wanted}")
    picture, others = open_picture(image), [open_picture(path) for path in also or ()]
    reader = open_model(model, device, dtype=dtype, memory=memory, quantize=quantize, verify=verify, needs=())
    found: dict[str, object] = {"image": str(image), "task": task}
    if task == "vqa":
        found |= {"question": question}
        if others:
            found |= {"also": [str(path) for path in also or ()]}
        answer = _answered(reader, [picture, *others], str(question), quiet=json)
        if json:
            print(as_json(found | {"answer": answer}))
        return
    with working("reading"):
        if task == "caption":
            found["caption"] = reader.caption([picture], long=long)[0]
        else:
            found["labels"] = _classified(reader, picture, labels)
    print(as_json(found) if json else _said(found))


def _answered(reader: "blip3o.api.BLIP3o", pictures: list["PIL.Image.Image"], question: str, *, quiet: bool) -> str:
    """The answer, shown while it is written."""
    written = []
    for piece in reader.stream(pictures, question):
        written.append(piece)
        if not quiet:
            print(piece, end="", flush=True)
    if not quiet:
        print()
    return "".join(written).strip()


def _classified(reader: "blip3o.api.BLIP3o", picture: "PIL.Image.Image", labels: str | None) -> dict[str, float]:
    from blip3o.picturebook.world.scene import ALL_KINDS

    named = ALL_KINDS if labels is None else [label.strip() for label in labels.split(",")]
    return reader.classify(picture, named)[0]


def _said(found: dict[str, object]) -> str:
    shares = found.get("labels")
    if isinstance(shares, dict):
        return "\n".join(f"{share:.3f}  {label}" for label, share in list(shares.items())[:SHOWN_LABELS])
    return str(found["caption"])
