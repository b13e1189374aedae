"""Packed emoji as a source: pictures to draw and to read, and edits.

A *variant* is the same picture moved, scaled and tinted, every second one mirrored: more for the image space to learn
from than so few pictures give. What is drawn is the picture as it is. What is read changes more, and each time: it is
also turned, stretched, mixed in its colours, blurred and covered in part, but never mirrored, for left and right are in
the names.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from blip3o.config import check
from blip3o.data.rows import RowError
from blip3o.data.sample import Sample
from blip3o.data.sources.source import Source, SourceConfig
from blip3o.data.sources.webdataset import WebDataset, WebDatasetConfig
from blip3o.errors import DataError
from blip3o.processing.conversation import DESCRIBE, THINK, Conversation, Picture, Turn
from blip3o.processing.images import read_picture, square
from blip3o.processing.tokenizer import THINK_END, THINK_START
from examples.emoji.collection import LENDERS, STYLES

NAME = "what is it called?"
CATEGORY = "what kind of thing is it?"
WHICH_STYLE = "which style is it drawn in?"
"""What is asked of a picture."""
WHITE = (255, 255, 255)
CATEGORIES = ("animals and nature", "food and drink", "objects", "activities")
"""Of what a model learns: things that differ in more than a person's sex or a clock's hands."""
HANDS = 3
"""Lent styles, at least, of a concept that a model learns."""
NAMELESS, STYLELESS = 0.25, 0.15
"""Shares of what is drawn of words without its name, and without its style: so a style is learned apart from the things
that bear it, and can be given to one that lacks it."""
TURNS = 400
"""Of a cell in drawing and in reading, before the order begins anew."""


@dataclass(frozen=True, kw_only=True)
class EmojiSourceConfig(SourceConfig):
    """Where the data are, and how they are shown."""

    kind: Literal["examples.emoji.source:EmojiSource"] = "examples.emoji.source:EmojiSource"
    path: str = "data/emoji"
    """The folder that scripts/download_data.sh emoji has filled."""
    size: int = 72
    """Height and width of the pictures in px."""
    variants: int = 8
    """Of each picture, the first of which is the picture as it is."""

    def __post_init__(self) -> None:
        check(
            (bool(self.path), "path is empty: name the folder of scripts/download_data.sh emoji"),
            (self.size > 0, f"size is {self.size}, expected 1 or more px"),
            (self.variants > 0, f"variants is {self.variants}, expected 1 or more"),
        )


@dataclass(frozen=True, kw_only=True)
class EmojiRecord:
    """What is said of a picture."""

    key: str
    name: str
    category: str
    concept: str
    style: str
    tone: str
    captions: tuple[str, ...]

    def part(self, roll: float) -> str:
        """Some of what it is, by a number in [0, 1): its category and style, or its name alone; else nothing."""
        if roll < NAMELESS:
            return f"{self.category}, {self.style} style"
        return self.captions[0].rpartition(", ")[0] if roll < NAMELESS + STYLELESS else ""

    @property
    def called(self) -> str:
        """Its name, and its skin tone where it has one."""
        return f"{self.name} with {self.tone}" if self.tone else self.name


class EmojiSource(Source):
    """Sample `index` is picture `index % pictures` in variant `index // pictures`."""

    config: EmojiSourceConfig
    tasks: ClassVar[tuple[str, ...]] = ("draw", "caption", "name", "category", "style", "restyle", "retone")

    def __init__(self, config: EmojiSourceConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config)
        shown, pixels = read_pictures(Path(config.path, "training"), config.size, progress)
        learned = common(shown)
        self.records = [record for record in shown if record.concept in learned]
        self.pixels = np.stack([one for one, record in zip(pixels, shown, strict=True) if record.concept in learned])
        index_of = {record.key: index for index, record in enumerate(self.records)}
        self.edits: dict[str, list[tuple[int, str, int]]] = {"restyle": [], "retone": []}
        """Number before, instruction and number after, of the edits that change the style and of the others."""
        for before, instruction, after in read_edits(Path(config.path, "training")):
            if before not in index_of:
                continue
            edit = index_of[before], instruction, index_of[after]
            same = self.records[edit[0]].style == self.records[edit[2]].style
            self.edits["retone" if same else "restyle"].append(edit)
        self.cells = _cells(self.records)
        """The numbers of the pictures of each cell."""
        self.drawn_cells = [*self.cells, *(cell for cell in self.cells if self.records[cell[0]].style in STYLES)]
        """Those that are drawn of words: all, those of STYLES twice."""

    def __len__(self) -> int:
        return len(self.records) * self.config.variants

    def __getitem__(self, index: int) -> Sample:
        variant, number = divmod(index, len(self.records))
        record = self.records[number]
        pixels = varied(self.pixels[number], variant, f"{record.concept}/{record.tone}")
        return Sample(picture=Picture(pixels), captions=record.captions, shard=self.config.path, address=record.key)

    def length(self, task: str) -> int:
        """Each edit, and everything else so often for each cell."""
        if task in self.edits:
            return len(self.edits[task])
        return len(self.drawn_cells if task == "draw" else self.cells) * TURNS

    def texts(self) -> Iterator[str]:
        """All captions, names, categories and instructions, once."""
        for record in self.records:
            yield from (*record.captions, record.called, record.category, record.style, record.part(0.0))
        yield from (instruction for edits in self.edits.values() for _, instruction, _ in edits)
        yield from (NAME, CATEGORY, WHICH_STYLE) * 100  # as often as makes each a few tokens

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """A request and what is to be learned of it, of the cell (or of the edit) that `index` leads to."""
        if task in self.edits:
            before, instruction, after = self.edits[task][index]
            return self.drawn((self.seen(before, rng), instruction), after)
        if task == "draw":
            number = balanced(self.drawn_cells, index)
            part = self.records[number].part(rng.random())
            return self.drawn((part or rng.choice(self.records[number].captions),), number, part)
        number = balanced(self.cells, index)
        record, shown = self.records[number], self.seen(number, rng)
        question, answer = {
            "caption": (DESCRIBE, rng.choice(record.captions)),
            "name": (NAME, record.called),
            "category": (CATEGORY, record.category),
            "style": (WHICH_STYLE, record.style),
        }[task]
        return Turn("user", (shown, question)), Turn("assistant", (answer,))

    def drawn(self, request: tuple[str | Picture, ...], number: int, words: str = "") -> Conversation:
        """A request and picture `number`, before which stands in words what it is: so an edit draws what it has read in
        the style that it was told, and knows how to from all that was drawn of words. Other `words` may take the place
        of its caption."""
        thought = f"{THINK_START}{words or self.records[number].captions[0]}{THINK_END}"
        return Turn("system", (THINK,)), Turn("user", request), Turn("assistant", (thought, self.picture(number)))

    def seen(self, number: int, rng: random.Random) -> Picture:
        """Picture `number` as it is read."""
        return Picture(seen(self.pixels[number], rng))


def common(records: Sequence[EmojiRecord]) -> set[str]:
    """The concepts that are learned: of CATEGORIES, in at least HANDS lent styles."""
    hands = Counter(record.concept for record in records if record.style in LENDERS)
    return {one.concept for one in records if one.category in CATEGORIES and hands[one.concept] >= HANDS}


def read_pictures(
    folder: Path, size: int, progress: Callable[[int, int], None] | None = None
) -> tuple[list[EmojiRecord], list[np.ndarray]]:
    """The pictures of the shards in a folder, uint8 [size, size, 3], and what is said of them. Raises DataError."""
    shards = _shards(folder, "pictures")
    records, pictures = [], []
    for index in range(len(shards)):
        row = _row(shards, index)
        facts = {key: str(row[key]) for key in ("name", "category", "concept", "style", "tone")}
        key = shards.place(index)[1].rpartition("/")[2]
        records.append(EmojiRecord(key=key, captions=tuple(row["caption"]), **facts))
        pictures.append(square(read_picture(shards.open_image(index, row["image"])), size).pixels)
        if progress is not None:
            progress(index + 1, len(shards))
    return records, pictures


def read_edits(folder: Path) -> list[tuple[str, str, str]]:
    """Key before, instruction and key after, of all edits of the shards in a folder. Raises DataError."""
    shards = _shards(folder, "edits")
    rows = (_row(shards, index) for index in range(len(shards)))
    return [(row["before"], row["instruction"], row["after"]) for row in rows]


def varied(pixels: np.ndarray, variant: int, concept: str) -> np.ndarray:
    """A variant of a picture on white; 0 is the picture itself. Equal concepts get equal changes."""
    if variant == 0:
        return pixels
    rng = random.Random(f"emoji/variant/{concept}/{variant}")
    image, size = Image.fromarray(pixels), len(pixels)
    if variant % 2:
        image = ImageOps.mirror(image)
    scale, right, down = rng.uniform(0.95, 1.25), rng.uniform(-0.07, 0.07), rng.uniform(-0.07, 0.07)
    offsets = [(1 - scale) * size / 2 + shift * size for shift in (right, down)]
    matrix = (scale, 0, offsets[0], 0, scale, offsets[1])
    image = image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=WHITE)
    tint = np.array([rng.uniform(0.75, 1.1) for _ in range(3)])
    return (255 - (255 - np.asarray(image).astype(np.float32)) * tint).clip(0, 255).astype(np.uint8)


def seen(pixels: np.ndarray, rng: random.Random) -> np.ndarray:
    """A picture on white as it may look elsewhere: moved, scaled, stretched and turned, blurred, its colours mixed, a
    part of it covered. uint8 [height, width, 3]."""
    image, size = Image.fromarray(pixels), len(pixels)
    angle, scale, stretch = rng.uniform(-0.26, 0.26), rng.uniform(0.75, 1.25), rng.uniform(0.85, 1.18)
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = scale * turned * np.array([[stretch], [1 / stretch]])
    offsets = size / 2 - matrix.sum(1) * size / 2 + [rng.uniform(-0.07, 0.07) * size for _ in range(2)]
    values = [*matrix[0], offsets[0], *matrix[1], offsets[1]]
    image = image.transform((size, size), Image.Transform.AFFINE, values, Image.Resampling.BILINEAR, fillcolor=WHITE)
    if rng.random() < 0.3:  # what styles differ in most, a reader should not lean on
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    ink = 255 - np.asarray(image).astype(np.float32)
    mixing = np.eye(3) + [[rng.gauss(0, 0.12) for _ in range(3)] for _ in range(3)]
    if rng.random() < 0.15:
        mixing = np.ones((3, 3))  # grey
    if rng.random() < 0.8:
        ink = ink @ (mixing / mixing.sum(0)).astype(np.float32)
    if rng.random() < 0.2:
        ink -= ink % 2 ** rng.randint(4, 6)  # fewer shades
    if rng.random() < 0.3:
        height, width = (rng.randint(size // 9, size // 3) for _ in range(2))
        top, left = rng.randrange(size - height), rng.randrange(size - width)
        ink[top : top + height, left : left + width] = 0
    return (255 - ink * rng.uniform(0.75, 1.2)).clip(0, 255).astype(np.uint8)


def balanced(cells: Sequence[Sequence[int]], index: int) -> int:
    """The number of a picture, in an order in which all cells are as frequent.

    A cell with skin tones has six pictures and would else have six times the weight. Half are without a tone."""
    turn, place = divmod(index, len(cells))
    plain, *toned = cells[place]
    return toned[turn // 2 % len(toned)] if toned and turn % 2 else plain


def _cells(records: Sequence[EmojiRecord]) -> list[list[int]]:
    """The numbers of the pictures of each cell, the one without a skin tone first."""
    cells: dict[tuple[str, str], list[int]] = {}
    for number in sorted(range(len(records)), key=lambda number: records[number].tone):
        cells.setdefault((records[number].concept, records[number].style), []).append(number)
    return list(cells.values())


def _shards(folder: Path, kind: str) -> WebDataset:
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist: run scripts/download_data.sh emoji {folder.parent}")
    return WebDataset(WebDatasetConfig(path=f"{folder}/{kind}-*.tar"))


def _row(shards: WebDataset, index: int) -> dict:
    try:
        return dict(shards.row(index))
    except RowError as error:
        raise DataError(f"{shards.place(index)[1]}: {error.reason} {error.detail}: pack the data anew") from None
