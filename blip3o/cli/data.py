"""blip3o data: a look at what the models learn from, before they do."""

import os
import random
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blip3o.cli.contact_sheet import sheet
from blip3o.cli.files import Gallery, as_json, check_folder, check_writable
from blip3o.cli.options import Debug, Json, Output, Seed, Stopped, examples
from blip3o.cli.progress import counting, working
from blip3o.train.lock import FolderLock

if TYPE_CHECKING:
    from blip3o.cli.contact_sheet import Tile
    from blip3o.data.check import DataReport

EXAMPLES = examples(
    "blip3o data preview picturebook --seed 3 -n 12 -o scenes.png",
    "blip3o data preview my-pictures",
    "blip3o data check my-pictures",
    "blip3o data check my-pictures --output report.html",
    "blip3o data check 'shards/{00000..00099}.tar' --json",
    "blip3o data pack my-pictures --output shards --shard-size 500MB",
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


Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="How many read at a time; default: one for each core.")
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write; a new one, or one to go on with.")]
Where = Annotated[str, typer.Argument(help="picturebook, a folder of images, a .jsonl file, or shards (.tar).")]


@app.command(epilog=EXAMPLES)
def preview(
    source: Where = BOOK,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=600, help="How many pictures.")] = 24,
    output: Output = None,
    seed: Seed = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a contact sheet of pictures, each with its caption.

    They are drawn at random by the seed; what cannot be read is left out.
    """
    check_writable(output)
    with working(f"reading {source}"):
        tiles = _scenes(count, seed) if source == BOOK else _samples(source, count, seed)
    page = sheet([("", tiles)])
    page.info |= {"source": source, "seed": seed}
    with Gallery(output, [source], columns=1) as gallery:
        gallery.add(0, page)
    (path,) = gallery.paths
    print(as_json({"path": str(path), "captions": [caption for _, caption in tiles]}) if json else path)


@app.command(epilog=EXAMPLES)
def check(
    source: Where,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A page with pictures to write, too: its name ends in .html.")
    ] = None,
    processes: Processes = None,
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


def _scenes(count: int, seed: int) -> list["Tile"]:
    from PIL import Image

    from blip3o.picturebook.world.captions import caption
    from blip3o.picturebook.world.draw import draw
    from blip3o.picturebook.world.stories import sample_scene

    rng = random.Random(f"preview/{seed}")
    scenes = [sample_scene(rng) for _ in range(count)]
    return [(Image.fromarray(draw(scene)), caption(scene)) for scene in scenes]


def _samples(path: str, count: int, seed: int) -> list["Tile"]:
    """Pictures of a source in random order; of conversations the last one, with what is said last."""
    from PIL import Image

    from blip3o.data.opening import source_at
    from blip3o.data.sample import SampleError
    from blip3o.errors import DataError

    source = source_at(path)
    tiles: list[Tile] = []
    for index in random.Random(f"preview/{seed}").sample(range(len(source)), len(source)):
        try:
            sample = source[index]
        except SampleError:
            continue
        parts = [part for turn in sample.conversation for part in turn.content]
        texts = [*sample.captions[:1], *(part for part in reversed(parts) if isinstance(part, str))]
        if sample.pictures:
            tiles.append((Image.fromarray(sample.pictures[-1].pixels), texts[0] if texts else ""))
        if len(tiles) == count:
            break
    if not tiles:
        raise DataError(f"{path} holds no sample with a picture that can be read: see `blip3o data check {path}`")
    return tiles


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
