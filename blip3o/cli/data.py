"""blip3o data: a look at what the models learn from, before they do."""

import os
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blip3o.cli.contact_sheet import sheet
from blip3o.cli.files import Gallery, as_json, check_folder, check_writable, slug
from blip3o.cli.options import MODEL_HELP, Debug, Device, Json, Output, Seed, Stopped, examples
from blip3o.cli.progress import counting, working
from blip3o.errors import ConfigError
from blip3o.train.lock import FolderLock

if TYPE_CHECKING:
    from blip3o.cli.contact_sheet import Section
    from blip3o.data.check import DataReport
    from blip3o.data.sources.source import Source
    from blip3o.train.recipe import Recipe

EXAMPLES = examples(
    "blip3o data preview picturebook --seed 3 -n 12 -o scenes.png",
    "blip3o data preview my-pictures --config folder",
    "blip3o data check my-pictures",
    "blip3o data check my-pictures --output report.html",
    "blip3o data check 'shards/{00000..00099}.tar' --json",
    "blip3o data pack my-pictures --output shards --shard-size 500MB",
    "blip3o data cache my-pictures --model picturebook --output features",
)
BOOK = "picturebook"
SHOWN = 10
"""Duplicates and languages that are listed; all of them are in --json."""
MOST_ALIKE = 4
"""Pictures that are named of a group that looks alike."""

app = typer.Typer(help="Look at what the models learn from.", no_args_is_help=False)


@app.callback()
def _data() -> None:
    """Look at what the models learn from."""


ReadingProcesses = Annotated[
    int | None, typer.Option("--processes", min=1, help="How many read at a time; default: one for each core.")
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write; a new one, or one to go on with.")]
RecipeName = Annotated[
    str | None, typer.Option(help="A recipe whose source is taken; a path takes the place of its own.")
]
MaybeWhere = Annotated[str | None, typer.Argument(help="A folder of images, a .jsonl file, or shards (.tar).")]
Where = Annotated[str, typer.Argument(help="A folder of images, a .jsonl file, or shards (.tar).")]


@app.command(epilog=EXAMPLES)
def preview(
    source: Annotated[
        str | None, typer.Argument(help="A folder of images, a .jsonl file, or shards (.tar). Default: picturebook.")
    ] = None,
    config: RecipeName = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=600, help="How many samples.")] = 24,
    output: Output = None,
    seed: Seed = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a contact sheet of pictures and conversations.

    They are drawn at random by the seed; what cannot be read is left out. With
    --config: of each stage the first samples that it learns from.
    """
    check_writable(output)
    name = source or config or BOOK
    with working(f"reading {name}"):
        sections = _previewed(source, config, count, seed)
    page = sheet(sections)
    page.info |= {"source": name, "seed": seed}
    with Gallery(output, [slug(Path(name).name)], columns=1) as gallery:  # never beside what it shows
        gallery.add(0, page)
    (path,) = gallery.paths
    captions = [caption for _, tiles in sections for _, caption in tiles]
    print(as_json({"path": str(path), "captions": captions}) if json else path)


def _previewed(source: str | None, config: str | None, count: int, seed: int) -> list["Section"]:
    """The sections of the sheet: of a path one without a title, of a recipe one for each stage and kind of batch."""
    from blip3o.cli.preview import check_shown, samples, scenes, stages

    if config is None and source in (None, BOOK):
        return [("", scenes(count, seed))]
    opened = _opened(source, config)
    sections: list[Section] = []
    if config is None:
        sections.append(("", samples(opened, count, seed)))
    else:
        sections += stages(_recipe(source, config), opened, count)
    check_shown(sections, source or config or "")
    return sections


@app.command(epilog=EXAMPLES)
def check(
    source: Where,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A page with pictures to write, too: its name ends in .html.")
    ] = None,
    processes: ReadingProcesses = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Read everything once: sizes, languages, duplicates, what training will skip and why.

    Exits 1 where something would be skipped.
    """
    if output is not None:
        _check_page(output)
    with counting(f"reading {source}") as progress:
        from blip3o.data.check import check_source
        from blip3o.data.opening import source_at

        opened = source_at(source)
        report = check_source(opened, progress, processes or os.cpu_count() or 1)
    if output is not None:
        from blip3o.data.report import write_page

        with working("writing the page"):
            write_page(opened, source, report, output)
    print(as_json(asdict(report)) if json else "\n".join(_lines(report)))
    if report.skipped:
        raise typer.Exit(1)


def _check_page(output: Path) -> None:
    """Raise OutputError for a page that cannot be written, before everything is read."""
    from blip3o.data.report import check_page

    check_page(output)
    check_folder(output.parent)


@app.command(epilog=EXAMPLES)
def pack(
    source: Where,
    output: Folder,
    shard_size: Annotated[
        str, typer.Option(help="When a shard is full: samples such as 10000, or bytes such as 500MB.")
    ] = "500MB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write data as WebDataset shards.

    Picture files go in as they are. What cannot be trained on is left out and
    listed in samples_skipped.jsonl. The same command goes on after a stop.
    """
    check_folder(output)
    with counting(f"packing {source}") as progress:
        from blip3o.data.opening import source_at
        from blip3o.data.pack import ShardSize, pack

        size, lock = ShardSize.read(shard_size), FolderLock(output)
        try:
            opened = source_at(source)
            with lock:
                packing = pack(opened, output, size, progress)
        except KeyboardInterrupt:
            raise Stopped(f"stopped: {output} holds the shards that are whole; the same command goes on") from None
    facts = {"folder": str(output), "shards": len(packing.shardlist), "samples": packing.packed}
    if json:
        print(as_json({**facts, "skipped": packing.skipped}))
        return
    print(f"{packing.packed} of {packing.samples} samples in {len(packing.shardlist)} shards: {output}")
    for reason, number in packing.skipped.items():
        print(f"left out: {number} x {reason}")


@app.command(epilog=EXAMPLES)
def cache(
    output: Folder,
    source: MaybeWhere = None,
    config: RecipeName = None,
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)] = "picturebook",
    device: Device = "auto",
    conditions: Annotated[
        bool,
        typer.Option("--conditions", help="What the model's backbone makes of each prompt, in place of features."),
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compute the features of all pictures once, for `blip3o train features=FOLDER`.

    They are those of the model's encoder; training with them never runs it. With
    --conditions: for a stage whose objective has `conditions: FOLDER`, where the
    denoiser learns alone. The same command goes on after a stop.
    """
    check_folder(output)
    with counting(f"encoding {source or config}") as progress, FolderLock(output):
        from blip3o.cli.lean import open_transformers

        open_transformers()
        from blip3o.api import BLIP3o
        from blip3o.train.conditions import cache_conditions
        from blip3o.train.features import cache_features

        opened = _opened(source, config)
        pipeline = BLIP3o.load(model, device=device, needs=() if conditions else ("encoder",)).pipeline
        try:
            store = (cache_conditions if conditions else cache_features)(pipeline, opened, output, progress)
        except KeyboardInterrupt:
            raise Stopped(f"stopped: {output} holds the parts that are whole; the same command goes on") from None
    facts = {"folder": str(output), "samples": len(store), "bytes": store.dtype.itemsize * prod(store.shape)}
    held = f"conditions of {len(store)} prompts" if conditions else f"features of {len(store)} pictures"
    print(as_json(facts) if json else f"{held}, {facts['bytes']:,} bytes: {output}")


def _recipe(source: str | None, config: str) -> "Recipe":
    """A recipe, with data of another path where that is given."""
    from blip3o.config import load
    from blip3o.train.recipe import Recipe

    return load(Recipe, config, [] if source is None else [f"source.path={source}"])


def _opened(source: str | None, config: str | None) -> "Source":
    """The data at a path, or those of a recipe."""
    from blip3o.data.opening import source_at
    from blip3o.data.sources import SOURCES
    from blip3o.data.sources.source import Source
    from blip3o.plugins import build

    if config is not None:
        return build(_recipe(source, config).source, SOURCES, Source)
    if source is None:
        raise ConfigError("no data named: give a path, or a recipe with --config")
    return source_at(source)


def _lines(report: "DataReport") -> list[str]:
    """The report for a terminal."""
    lines = [f"{report.usable} of {report.samples} samples can be trained on"]
    if report.conversations:
        lines.append(f"{report.conversations} of them are conversations or edits")
    for name, spread in (("width", report.width), ("height", report.height), ("caption", report.caption)):
        if spread is not None:
            unit = "characters" if name == "caption" else "px"
            lines.append(f"{name}: {spread.least} to {spread.most} {unit}, median {spread.median}")
    if report.languages:
        texts = sum(report.languages.values())
        shares = [f"{language} {count / texts:.0%}" for language, count in list(report.languages.items())[:SHOWN]]
        lines.append(f"languages: {', '.join(shares)}")
    for reason, shards in report.skipped.items():
        lines.append(
            f"skipped: {sum(shards.values())} x {reason} ({', '.join(f'{n} in {s}' for s, n in shards.items())})"
        )
        lines += [f"  {example}" for example in report.examples[reason]]
    if report.duplicates:
        lines.append(f"{len(report.duplicates)} pictures are the same as an earlier one")
        lines += [f"  {address} = {earlier}" for address, earlier in report.duplicates[:SHOWN]]
    if report.near_duplicates:
        lines.append(f"{len(report.near_duplicates)} groups of pictures look alike")
        lines += [f"  {' ~ '.join(group[:MOST_ALIKE])}" for group in report.near_duplicates[:SHOWN]]
    return lines
