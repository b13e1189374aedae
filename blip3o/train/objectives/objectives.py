"""What a stage minimises: one small class per kind of stage, each turning the samples of a step into losses."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from blip3o.batch import Batch
from blip3o.data.mixture import draw_conversation
from blip3o.errors import ConfigError
from blip3o.flow.noise import draw_noise
from blip3o.model.decoders.pixel import PixelDecoder
from blip3o.model.encoders.dense_caption_loss import DenseCaptionConfig, DenseCaptionLoss
from blip3o.model.loss import WeightedLoss
from blip3o.picturebook.source import TOLD, PictureBook
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, PLACES
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.images import to_pixels
from blip3o.train.recipe import Stage

SAID = ("nothing", *COLORS, *ALL_KINDS, "day", "night", *PLACES)
"""The words that PictureBook.told uses."""
LABELS = (*SAID[1:], "top", "left", "middle", "right", "bottom")
"""The words that PictureBook.labelled uses."""
TEMPERATURE = 0.05
"""Of the cosines between a picture's tokens and words."""

BATCH_COST = 600
"""What a batch costs beside its tokens, in tokens: measured on a CPU at the sizes of the picture book."""

Losses = dict[str, WeightedLoss]
"""Name -> a loss of the samples of a step, which is divided when all of them are there."""


def addresses(place: str, step: int, count: int) -> list[str]:
    """Where the randomness of each of a step's `count` samples lives: `place` (the run's seed and the stage) and the
    sample's number in the stage. Neither the step nor the batch a sample is in changes it, and no state is kept."""
    return [f"{place}/{step * count + index}" for index in range(count)]


class Objective(nn.Module, ABC):
    """The losses of a stage; a module, because some bring parameters of their own that no checkpoint keeps."""

    def __init__(self, stage: Stage, pipeline: Pipeline, book: PictureBook) -> None:
        super().__init__()
        self.stage = stage
        self.book = book
        self._machine = [pipeline]

    @property
    def pipeline(self) -> Pipeline:
        """The machine that learns (held so that its parameters are not counted as the objective's own)."""
        return self._machine[0]

    @property
    def device(self) -> torch.device:
        """Where the machine learns."""
        return self.pipeline.device

    @abstractmethod
    def losses(self, place: str, step: int) -> Losses:
        """The losses of the samples of a step; `place` is that of the run and stage (`addresses`)."""

    @property
    def factors(self) -> Mapping[str, float]:
        """What a loss is multiplied by in what is minimised, where that is not 1."""
        return {}

    def total(self, losses: Losses) -> Float[Tensor, ""]:
        """What is minimised."""
        return torch.stack([self.factors.get(name, 1.0) * loss.mean() for name, loss in losses.items()]).sum()

    def drawn(self, place: str, step: int) -> tuple[list[int], list[Generator]]:
        """The pictures of a step, by their numbers in the book, and a generator for each."""
        places = addresses(place, step, self.stage.batch_size)
        return [random.Random(one).randrange(len(self.book)) for one in places], [seeded(one) for one in places]

    def finish(self) -> None:
        """What is left to do when the stage's last step is done."""


class SpaceObjective(Objective):
    """Encoder and sketcher together: features that tell what stands where, and that pictures can be painted from."""

    def __init__(self, stage: Stage, pipeline: Pipeline, book: PictureBook) -> None:
        super().__init__(stage, pipeline, book)
        encoder, decoder = pipeline.config.space.encoder, pipeline.space.decoder
        if encoder is None or not isinstance(decoder, PixelDecoder):
            raise ConfigError("the objective space trains an encoder with the sketcher of a pixel decoder: name both")
        self.sketch_loss = decoder.sketch_loss
        sizes = DenseCaptionConfig(
            vocabulary=len(SAID), places=TOLD, channels=encoder.channels, positions=encoder.positions
        )
        self.telling = DenseCaptionLoss(sizes)

    @property
    def factors(self) -> Mapping[str, float]:
        """Telling counts as the stage says."""
        return {"telling": self.stage.telling_weight}

    def losses(self, place: str, step: int) -> Losses:
        """Sketching and telling, both from noised features."""
        indices, rngs = self.drawn(place, step)
        pixels = to_pixels([self.book.picture(index) for index in indices]).to(self.device)
        features = self.pipeline.space.encode(pixels.contiguous(memory_format=torch.channels_last))
        noised = features + self.stage.feature_noise * draw_noise(features.shape[1:], rngs).to(self.device)
        said = shares([self.book.told(index) for index in indices], SAID).to(self.device)
        return {"sketch": self.sketch_loss(noised, pixels), "telling": self.telling(noised, said)}

    def finish(self) -> None:
        """Measure the space's statistics, from here on part of it; features from before are no longer true."""
        self.book.features = None
        space = self.pipeline.space
        space.mean.zero_()
        space.deviation.fill_(1)
        space.measure(torch.from_numpy(encode_book(self.pipeline, self.book, min(len(self.book), 6000))).float())


class TowerObjective(Objective):
    """The backbone's vision tower alone, before a language model listens to it: a token of a picture points where the
    embeddings of the words point that are true of its cell.

    What is asked for in words can then be searched for in the picture by likeness.
    Source: the contrastive loss of CLIP, arXiv 2103.00020, with the words of a cell in place of a caption.
    """

    ids: Tensor

    def __init__(self, stage: Stage, pipeline: Pipeline, book: PictureBook) -> None:
        super().__init__(stage, pipeline, book)
        ids = torch.tensor([pipeline.template.words.encode(word) for word in LABELS]).squeeze(1)
        self.register_buffer("ids", ids)

    def losses(self, place: str, step: int) -> Losses:
        """Contrast of the tower's tokens with the embeddings of all words that are true of some cell."""
        backbone = self.pipeline.unified.backbone
        indices, _ = self.drawn(place, step)
        pixel_values, image_grid_thw = self.pipeline.template.pixel_values(
            [self.book.picture(index) for index in indices]
        )
        tokens = backbone.encode_images(pixel_values.to(self.device), image_grid_thw.to(self.device))
        seen = F.normalize(tokens.unflatten(0, (len(indices), -1)).float(), dim=-1)
        words = F.normalize(backbone.embed(self.ids[None])[0].float(), dim=-1)
        true = shares([self.book.labelled(index) for index in indices], LABELS).to(self.device)
        losses = -(true * (seen @ words.T / TEMPERATURE).log_softmax(-1)).sum(-1).mean(-1)
        return {"contrast": WeightedLoss.of_rows(losses)}


class DecoderObjective(Objective):
    """The decoder alone, on features computed once."""

    def __init__(self, stage: Stage, pipeline: Pipeline, book: PictureBook) -> None:
        super().__init__(stage, pipeline, book)
        encode_once(pipeline, book)

    def losses(self, place: str, step: int) -> Losses:
        """Painting from noised features."""
        indices, rngs = self.drawn(place, step)
        pictures = [self.book.picture(index) for index in indices]
        features = torch.from_numpy(np.stack([picture.features for picture in pictures])).float()  # pyright: ignore
        noised = features + self.stage.feature_noise * draw_noise(features.shape[1:], rngs)
        pixels = to_pixels(pictures).to(self.device)
        return {"paint": self.pipeline.space.decoder.loss(noised.to(self.device), pixels, rngs)}


class UnifiedObjective(Objective):
    """The unified model: words, and features computed once. Every step runs both kinds of batch that the stage has."""

    def __init__(self, stage: Stage, pipeline: Pipeline, book: PictureBook) -> None:
        super().__init__(stage, pipeline, book)
        if stage.draw:
            encode_once(pipeline, book)

    @property
    def factors(self) -> Mapping[str, float]:
        """Words count as the stage says."""
        return {"text": self.stage.text_weight}

    def losses(self, place: str, step: int) -> Losses:
        """Cross-entropy of what is written, and the head's loss of what is imagined."""
        parts = [self.pipeline.unified(batch, rngs) for batch, rngs in self.batches(place, step)]
        found = {"text": [part.text for part in parts], "image": [part.image for part in parts]}
        there = {name: [loss for loss in losses if loss is not None] for name, losses in found.items()}
        return {name: reduce(add, losses) for name, losses in there.items() if losses}

    def batches(self, place: str, step: int) -> Iterator[tuple[Batch, list[Generator]]]:
        """The step's conversations, those of like length together, so that little is padding, and their generators."""
        stage, template = self.stage, self.pipeline.template
        kinds = (("draw", stage.draw, stage.batch_size), ("text", stage.text, stage.text_batch_size))
        for kind, weights, count in kinds:
            places = addresses(f"{place}/{kind}", step, count)
            talks = [draw_conversation(self.book, weights, one, drawing=kind == "draw") for one in places]
            encoded, rngs = [template.encode(talk) for talk in talks], [seeded(one) for one in places]
            for rows in alike([len(item.tokens) for item in encoded]):
                yield template.collate([encoded[row] for row in rows]).to(self.device), [rngs[row] for row in rows]


OBJECTIVES: dict[str, Callable[[Stage, Pipeline, PictureBook], Objective]] = {
    "space": SpaceObjective,
    "tower": TowerObjective,
    "decoder": DecoderObjective,
    "unified": UnifiedObjective,
}


def alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Conversations of these lengths, by their indices, in batches of like length, shortest first: the cheapest way to
    cut them into batches, where one costs its tokens, padding included, and `BATCH_COST`."""
    items = sorted(range(len(lengths)), key=lambda item: lengths[item])
    cheapest, cuts = [0], [0]
    for end in range(1, len(items) + 1):
        longest = lengths[items[end - 1]]
        costs = [cheapest[start] + (end - start) * longest + BATCH_COST for start in range(end)]
        cheapest.append(min(costs))
        cuts.append(costs.index(cheapest[-1]))
    groups, end = [], len(items)
    while end:
        groups.append(items[cuts[end] : end])
        end = cuts[end]
    yield from reversed(groups)


def shares(texts: list[list[str]], vocabulary: tuple[str, ...]) -> Float[Tensor, "batch place vocabulary"]:
    """The share of each word in these texts, as many in each row."""
    index_of = {word: index for index, word in enumerate(vocabulary)}
    held = torch.zeros(len(texts), len(texts[0]), len(vocabulary))
    for row, told in enumerate(texts):
        for place, text in enumerate(told):
            words = text.split()
            held[row, place, [index_of[word] for word in words]] = 1 / len(words)
    return held


def seeded(place: str) -> Generator:
    """The torch generator of an address."""
    return torch.Generator().manual_seed(random.Random(place).getrandbits(62))


def encode_once(pipeline: Pipeline, book: PictureBook) -> None:
    """Give the book its features, unless a stage before this one has."""
    if book.features is None:
        book.features = encode_book(pipeline, book)


@torch.no_grad()
def encode_book(pipeline: Pipeline, book: PictureBook, count: int | None = None) -> np.ndarray:
    """Features of the book's pictures (the first `count`), float16 [pictures, channel, rows, columns]."""
    total = len(book) if count is None else count
    parts = []
    for start in range(0, total, 500):
        pictures = [book.picture(index) for index in range(start, min(start + 500, total))]
        parts.append(pipeline.features(pictures).half().cpu().numpy())
    return np.concatenate(parts)
