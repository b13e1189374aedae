"""Packed emoji as a source: pictures to draw and to read, and edits, each in several variants.

A *variant* is the same picture moved, scaled and tinted, every second one mirrored: more to learn from than so few
pictures give. Both pictures of an edit have the same variant, for it changes both alike. What is drawn of words is the
picture as it is, and what is read is never mirrored, for left and right are in the names.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image, ImageOps

from blip3o.config import check
from blip3o.data.rows import RowError
from blip3o.data.sample import Sample
from blip3o.data.sources.source import DESCRIBE, Source, SourceConfig
from blip3o.data.sources.webdataset import WebDataset, WebDatasetConfig
from blip3o.errors import DataError
from blip3o.processing.conversation import Conversation, Picture, Turn
from blip3o.processing.images import read_picture, square
from examples.emoji.collection import STYLES

NAME = "what is it called?"
CATEGORY = "what kind of thing is it?"
WHICH_STYLE = "which style is it drawn in?"
"""What is asked of a picture."""
WHITE = (255, 255, 255)


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

    @property
    def called(self) -> str:
        """Its name, and its skin tone where it has one."""
        return f"{self.name} with {self.tone}" if self.tone else self.name


class EmojiSource(Source):
    """Sample `index` is picture `index % pictures` in variant `index // pictures`."""

    config: EmojiSourceConfig
    tasks: ClassVar[tuple[str, ...]] = ("draw", "caption", "name", "category", "style", "edit")

    def __init__(self, config: EmojiSourceConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config)
        self.records, pixels = read_pictures(Path(config.path, "training"), config.size, progress)
        self.pixels = np.stack(pixels)
        self.given = len(self.records)
        """Pictures that lie on the disk; those after them were filled in (objectives.py)."""
        index_of = {record.key: index for index, record in enumerate(self.records)}
        self.edits = [
            (index_of[before], instruction, index_of[after])
            for before, instruction, after in read_edits(Path(config.path, "training"))
        ]

    def __len__(self) -> int:
        return len(self.records) * self.config.variants

    def __getitem__(self, index: int) -> Sample:
        variant, number = divmod(index, len(self.records))
        record = self.records[number]
        pixels = varied(self.pixels[number], variant, f"{record.concept}/{record.tone}")
        return Sample(picture=Picture(pixels), captions=record.captions, shard=self.config.path, address=record.key)

    def texts(self) -> Iterator[str]:
        """All captions, names, categories and instructions, once."""
        for record in self.records:
            yield from (*record.captions, record.called, record.category, record.style)
        yield from (instruction for _, instruction, _ in self.edits)
        yield from (NAME, CATEGORY, WHICH_STYLE) * 100  # as often as makes each a few tokens

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """A request and what is to be learned of it, of the picture (or of an edit) that `index` leads to."""
        number = index % len(self.records)
        record = self.records[number]
        if task == "edit":
            before, instruction, after = self.edits[index % len(self.edits)]
            variant = rng.randrange(self.config.variants)
            return _turns((self.varied_picture(before, variant), instruction), self.varied_picture(after, variant))
        if task == "draw":
            return _turns((rng.choice(record.captions),), self.varied_picture(number, 0))
        shown = self.readable(number + rng.randrange(self.config.variants) * len(self.records))
        question, answer = {
            "caption": (DESCRIBE, rng.choice(record.captions)),
            "name": (NAME, record.called),
            "category": (CATEGORY, record.category),
            "style": (WHICH_STYLE, record.style),
        }[task]
        return _turns((shown, question), answer)

    def record(self, index: int) -> EmojiRecord:
        """What is said of sample `index`."""
        return self.records[index % len(self.records)]

    def readable(self, index: int) -> Picture:
        """The picture of sample `index`, in the variant before where that is mirrored."""
        variant, number = divmod(index, len(self.records))
        return self.varied_picture(number, variant - variant % 2)

    def gaps(self) -> list[tuple[int, str]]:
        """The given pictures that lack a style, by their numbers, each with that style."""
        given = self.records[: self.given]
        there = {(record.concept, record.tone, record.style) for record in given}
        return [
            (number, style)
            for number, record in enumerate(given)
            for style in STYLES
            if (record.concept, record.tone, style) not in there
        ]

    def fill(self, gaps: Sequence[tuple[int, str]], pictures: Sequence[np.ndarray]) -> None:
        """Add a picture for each gap, in place of those that were added before."""
        given = self.records[: self.given]
        self.records = given + [_restyled(given[number], style) for number, style in gaps]
        self.pixels = np.concatenate([self.pixels[: self.given], *(picture[None] for picture in pictures)])
        self.features = None

    def varied_picture(self, number: int, variant: int) -> Picture:
        """Picture `number` in a variant, with its features where they are encoded."""
        return self.picture(number + variant * len(self.records))


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
        pictures.append(square(read_picture(row["image"]), size).pixels)
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


def _restyled(record: EmojiRecord, style: str) -> EmojiRecord:
    """The record of the same thing in another style."""
    captions = tuple(caption.replace(f"{record.style} style", f"{style} style") for caption in record.captions)
    return replace(record, key=record.key.replace(record.style, style), style=style, captions=captions)


def _turns(request: tuple[str | Picture, ...], answer: str | Picture) -> Conversation:
    return Turn("user", request), Turn("assistant", (answer,))


def _shards(folder: Path, kind: str) -> WebDataset:
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist: run scripts/download_data.sh emoji {folder.parent}")
    return WebDataset(WebDatasetConfig(path=f"{folder}/{kind}-*.tar"))


def _row(shards: WebDataset, index: int) -> dict:
    try:
        return dict(shards.row(index))
    except RowError as error:
        raise DataError(f"{shards.place(index)[1]}: {error.reason} {error.detail}: pack the data anew") from None
