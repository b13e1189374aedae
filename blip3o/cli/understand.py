"""blip3o understand: questions about a picture, captions, and classification by any labels."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from blip3o.cli.batch import BatchFolder, PromptRow, PromptsFile, carry_out, read_rows
from blip3o.cli.files import as_json
from blip3o.cli.options import Debug, Json, Loading, examples, grouped
from blip3o.cli.progress import working
from blip3o.errors import ConfigError

if TYPE_CHECKING:
    import PIL.Image

    from blip3o.api import BLIP3o

EXAMPLES = examples(
    'blip3o understand dog.png "what color is the dog?"',
    "blip3o understand dog.png --task image_classification --labels dog,cat,car",
    "blip3o understand --prompts questions.jsonl -o answers",
)
SHOWN_LABELS = 5


@grouped("decoder", "compile", "compatible")
def understand(
    image: Annotated[Path | None, typer.Argument(help="The picture to read.")] = None,
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
    *,
    file: PromptsFile = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="With --prompts: the folder.")] = None,
    long: Annotated[bool, typer.Option("--long", help="Caption: say where everything stands.")] = False,
    loading: Loading,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer questions about a picture, describe it, classify it."""
    from blip3o.processing.images import open_picture

    if (file is None) == (image is None):
        raise ConfigError("name a picture, or a file of pictures and questions with --prompts: one of the two")
    if file is not None:
        _understand_rows(file, output, loading, others=bool(task or labels or also or long or json))
        return
    assert image is not None
    if output is not None:
        raise ConfigError("--output has an effect only with --prompts: leave it out")
    task = task or ("vqa" if question is not None else "caption" if labels is None else "image_classification")
    if (task == "vqa") != (question is not None):
        need = "needs a question: add it after the picture" if question is None else "takes no question: leave it out"
        raise ConfigError(f"task {task} {need}")
    for option, is_given, wanted in (
        ("--labels", labels is not None, "image_classification"),
        ("--also", bool(also), "vqa"),
        ("--long", long, "caption"),
    ):
        if is_given and task != wanted:
            raise ConfigError(f"task {task} takes no {option}: leave it out, or choose --task {wanted}")
    pictures = [open_picture(path) for path in (image, *(also or ()))]
    reader = loading.open(needs=())
    record: dict[str, object] = {"image": str(image), "task": task}
    if question is not None:
        record |= {"question": question} | ({"also": list(map(str, also))} if also else {})
        record["answer"] = _stream(reader, pictures, question, quiet=json)
    else:
        with working("reading"):
            if task == "caption":
                record["caption"] = reader.caption(pictures, long=long)[0]
            else:
                record["labels"] = _classify(reader, pictures[0], labels)
    if json:
        print(as_json(record))
    elif question is None:
        print(_as_text(record))


def _understand_rows(file: Path, output: Path | None, loading: Loading, *, others: bool) -> None:
    """Answer the questions of a file's rows."""
    from blip3o.processing.images import open_picture

    if others:
        raise ConfigError("--prompts goes with --output and the options of loading alone: leave the others out")
    rows = read_rows(file, with_image=True)
    batch = BatchFolder(output, {"verb": "understand", "prompts": file, "model": loading.model})
    reader = loading.open(needs=())

    def check(row: PromptRow) -> "PIL.Image.Image":
        reader.pipeline.template.check(row.prompt)
        return open_picture(row.image)

    def read(some: Sequence[PromptRow], images: Sequence[Any], told: Callable[[int, Any], None]) -> None:
        for index, answer in enumerate(reader.understand(images, [row.prompt for row in some])):
            told(index, answer)

    carry_out("reading", batch, rows, check, read, lambda row, answer: batch.add(row, answer=answer))


def _stream(reader: "BLIP3o", pictures: list["PIL.Image.Image"], question: str, *, quiet: bool) -> str:
    """The answer, shown while it is written."""
    pieces: list[str] = []
    for piece in reader.stream(pictures, question):
        pieces.append(piece)
        if not quiet:
            print(piece, end="", flush=True)
    if not quiet:
        print()
    return "".join(pieces).strip()


def _classify(reader: "BLIP3o", picture: "PIL.Image.Image", labels: str | None) -> dict[str, float]:
    from blip3o.picturebook.world.scene import ALL_KINDS

    return reader.classify(picture, ALL_KINDS if labels is None else [label.strip() for label in labels.split(",")])[0]


def _as_text(record: dict[str, object]) -> str:
    labels = record.get("labels")
    if isinstance(labels, dict):
        return "\n".join(f"{probability:.3f}  {label}" for label, probability in list(labels.items())[:SHOWN_LABELS])
    return str(record["caption"])
