"""A contact sheet of held-out cells: what training shows, the real picture, and what a model makes of it. None is
picked: the cells lie evenly among all, and the seeds are those of the benchmark.

    python -m examples.emoji.sheet data/emoji runs/emoji/checkpoint docs/pictures/emoji.png
"""

import argparse
from pathlib import Path

from PIL import Image

from blip3o.api import BLIP3o
from blip3o.cli.contact_sheet import Tile, sheet
from blip3o.cli.files import write_picture
from blip3o.errors import UserError
from blip3o.evals.candidate import Candidate
from examples.emoji.benchmark import HeldOutEmoji
from examples.emoji.source import EmojiRecord

COLUMNS = ("the other style, known", "real, held out", "drawn of words", "changed")
DRAWN = ("draw", "edit")
"""The groups of the benchmark in the last columns."""


def tiles(benchmark: HeldOutEmoji, records: list[EmojiRecord], candidate: Candidate, seed: int = 0) -> list[Tile]:
    """A row of COLUMNS for each cell, with what the judge says under what was drawn."""
    drawn = {}
    for group in DRAWN:
        items = [benchmark.item(group, record) for record in records]
        answers = [answer[0] for answer in benchmark.ask(items, candidate, seed)]
        drawn[group] = [answer for answer in answers if isinstance(answer, Image.Image)]
    row: list[Tile] = []
    for number, record in enumerate(records):
        row.append((Image.fromarray(benchmark.other(record)), COLUMNS[0]))
        row.append((Image.fromarray(benchmark.pixels[record.key]), record.captions[0]))
        for group, title in zip(DRAWN, COLUMNS[2:], strict=True):
            image = drawn[group][number]
            seen = benchmark.recogniser.look([image], [(record.concept, record.style)])[0]
            row.append((image, f"{title}: {seen.style}, rank {seen.rank}"))
    return row


def main() -> None:
    """Draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of scripts/download_data.sh emoji, with a judge")
    parser.add_argument("model", help="a checkpoint's folder")
    parser.add_argument("output", type=Path, help="the picture to write")
    parser.add_argument("--cells", type=int, default=12, help="rows of the sheet")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        benchmark = HeldOutEmoji("held-out")
        benchmark.items(options.data)
        step = max(1, len(benchmark.hidden) // max(1, options.cells))
        chosen = benchmark.hidden[::step][: options.cells]
        page = sheet([("", tiles(benchmark, chosen, BLIP3o.load(options.model), options.seed))], len(COLUMNS))
        print(write_picture(page, options.output))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
