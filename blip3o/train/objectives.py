"""What a stage minimises: one small class per kind of stage, each turning a step's address into losses."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from blip3o.batch import Batch
from blip3o.data.mixture import draw_conversations
from blip3o.data.picturebook.book import TOLD, PictureBook
from blip3o.data.picturebook.scene import ALL_KINDS, COLORS, PLACES
from blip3o.errors import ConfigError
from blip3o.model.decoders.pixel import PixelDecoder
from blip3o.model.encoders.telling import Telling, TellingConfig
from blip3o.prompt.pictures import to_pixels
from blip3o.prompt.template import Encoded
from blip3o.train.recipe import Stage
from blip3o.weights.machine import Machine

SAID = ("nothing", *COLORS, *ALL_KINDS, "day", "night", *PLACES)
"""The words that PictureBook.told uses."""
LABELS = (*SAID[1:], "top", "left", "middle", "right", "bottom")
"""The words that PictureBook.labelled uses."""
TEMPERATURE = 0.05
"""Of the cosines between a picture's tokens and words."""

BATCH_COST = 600
"""What a batch costs beside its tokens, in tokens: measured on a CPU at the sizes of the picture book."""

Losses = dict[str, Float[Tensor, ""]]
"""Name -> a loss; `total` is what is minimised."""


def address(seed: int, stage: Stage, rank: int, step: int) -> str:
    """Where a step's randomness lives: f(run seed, rank, samples seen); resuming needs no state of a generator."""
    return f"train/{seed}/{stage.name}/{rank}/{step * (stage.batch_size + stage.text_batch_size)}"


class Objective(nn.Module, ABC):
    """The losses of a stage; a module, because some bring parameters of their own that no checkpoint keeps."""

    def __init__(self, stage: Stage, machine: Machine, book: PictureBook) -> None:
        super().__init__()
        self.stage = stage
        self.book = book
        self._machine = [machine]

    @property
    def machine(self) -> Machine:
        """The machine that learns (held so that its parameters are not counted as the objective's own)."""
        return self._machine[0]

    @property
    def device(self) -> torch.device:
        """Where the machine learns."""
        return self.machine.device

    @abstractmethod
    def losses(self, place: str) -> Losses:
        """The losses of the step at this address."""

    def finish(self) -> None:
        """What is left to do when the stage's last step is done."""


class SpaceObjective(Objective):
    """Encoder and sketcher together: features that tell what stands where, and that pictures can be painted from."""

    def __init__(self, stage: Stage, machine: Machine, book: PictureBook) -> None:
        super().__init__(stage, machine, book)
        encoder, decoder = machine.config.space.encoder, machine.space.decoder
        if encoder is None or not isinstance(decoder, PixelDecoder):
            raise ConfigError("the objective space trains an encoder with the sketcher of a pixel decoder: name both")
        self.sketch_loss = decoder.sketch_loss
        sizes = TellingConfig(vocabulary=len(SAID), places=TOLD, channels=encoder.channels, positions=encoder.positions)
        self.telling = Telling(sizes)

    def losses(self, place: str) -> Losses:
        """Sketching from noised features, and telling from clean ones."""
        rng, generator = random.Random(place), seeded(place)
        indices = [rng.randrange(len(self.book)) for _ in range(self.stage.batch_size)]
        pixels = to_pixels([self.book.picture(index) for index in indices]).to(self.device)
        features = self.machine.space.encode(pixels.contiguous(memory_format=torch.channels_last))
        noise = (torch.randn(features.shape, generator=generator) * self.stage.feature_noise).to(self.device)
        sketch = self.sketch_loss(features + noise, pixels).mean()
        tell = self.telling(
            features + noise, shares([self.book.told(index) for index in indices], SAID).to(self.device)
        )
        return {"total": sketch + self.stage.telling_weight * tell, "sketch": sketch, "telling": tell}

    def finish(self) -> None:
        """Measure the space's statistics, from here on part of it; features from before are no longer true."""
        self.book.features = None
        space = self.machine.space
        space.mean.zero_()
        space.deviation.fill_(1)
        space.measure(torch.from_numpy(encode_book(self.machine, self.book, min(len(self.book), 6000))).float())


class TowerObjective(Objective):
    """The backbone's vision tower alone, before a language model listens to it: a token of a picture points where the
    embeddings of the words point that are true of its cell.

    What is asked for in words can then be searched for in the picture by likeness.
    Source: the contrastive loss of CLIP, arXiv 2103.00020, with the words of a cell in place of a caption.
    """

    ids: Tensor

    def __init__(self, stage: Stage, machine: Machine, book: PictureBook) -> None:
        super().__init__(stage, machine, book)
        ids = torch.tensor([machine.template.words.encode(word) for word in LABELS]).squeeze(1)
        self.register_buffer("ids", ids)

    def losses(self, place: str) -> Losses:
        """Contrast of the tower's tokens with the embeddings of all words that are true of some cell."""
        rng, backbone = random.Random(place), self.machine.unified.backbone
        indices = [rng.randrange(len(self.book)) for _ in range(self.stage.batch_size)]
        patches, grid = self.machine.template.patches([self.book.picture(index) for index in indices])
        tokens = backbone.read(patches.to(self.device), grid.to(self.device))
        seen = F.normalize(tokens.unflatten(0, (len(indices), -1)).float(), dim=-1)
        words = F.normalize(backbone.embed(self.ids[None])[0].float(), dim=-1)
        true = shares([self.book.labelled(index) for index in indices], LABELS).to(self.device)
        loss = -(true * (seen @ words.T / TEMPERATURE).log_softmax(-1)).sum(-1).mean()
        return {"total": loss, "contrast": loss}


class DecoderObjective(Objective):
    """The decoder alone, on features computed once."""

    def __init__(self, stage: Stage, machine: Machine, book: PictureBook) -> None:
        super().__init__(stage, machine, book)
        encode_once(machine, book)

    def losses(self, place: str) -> Losses:
        """Painting from noised features."""
        rng, generator = random.Random(place), seeded(place)
        pictures = [self.book.picture(rng.randrange(len(self.book))) for _ in range(self.stage.batch_size)]
        features = torch.from_numpy(np.stack([picture.features for picture in pictures])).float()  # pyright: ignore
        noised = features + torch.randn(features.shape, generator=generator) * self.stage.feature_noise
        pixels = to_pixels(pictures).to(self.device)
        loss = self.machine.space.decoder.loss(noised.to(self.device), pixels, generator).mean()
        return {"total": loss, "paint": loss}


class UnifiedObjective(Objective):
    """The unified model: words, and features computed once. Every step runs both kinds of batch that the stage has."""

    def __init__(self, stage: Stage, machine: Machine, book: PictureBook) -> None:
        super().__init__(stage, machine, book)
        if stage.draw:
            encode_once(machine, book)

    def losses(self, place: str) -> Losses:
        """Cross-entropy of what is written, and the head's loss of what is imagined."""
        generator = seeded(place)
        parts = [(len(batch.tokens), self.machine.unified(batch, generator)) for batch in self.batches(place)]
        written = shared([(rows, part.text) for rows, part in parts])
        losses = {"total": self.stage.text_weight * written, "text": written}
        if not self.stage.draw:
            return losses
        image = shared([(rows, part.image) for rows, part in parts])
        return {**losses, "total": losses["total"] + image, "image": image}

    def batches(self, place: str) -> Iterator[Batch]:
        """The step's conversations, those of like length together, so that little is padding."""
        stage, template = self.stage, self.machine.template
        kinds = ((True, stage.draw, stage.batch_size), (False, stage.text, stage.text_batch_size))
        for drawing, weights, count in kinds:
            if not weights:
                continue
            talks = draw_conversations(self.book, weights, count, f"{place}/{drawing}", drawing=drawing)
            for group in alike([template.encode(talk) for talk in talks]):
                yield template.collate(group).to(self.device)


OBJECTIVES: dict[str, Callable[[Stage, Machine, PictureBook], Objective]] = {
    "space": SpaceObjective,
    "tower": TowerObjective,
    "decoder": DecoderObjective,
    "unified": UnifiedObjective,
}


def alike(encoded: list[Encoded]) -> Iterator[list[Encoded]]:
    """The conversations in batches of like length, shortest first: the cheapest way to cut them into batches, where one
    costs its tokens, padding included, and `BATCH_COST`."""
    items = sorted(encoded, key=lambda item: len(item.tokens))
    cheapest, cuts = [0], [0]
    for end in range(1, len(items) + 1):
        longest = len(items[end - 1].tokens)
        costs = [cheapest[start] + (end - start) * longest + BATCH_COST for start in range(end)]
        cheapest.append(min(costs))
        cuts.append(costs.index(cheapest[-1]))
    groups, end = [], len(items)
    while end:
        groups.append(items[cuts[end] : end])
        end = cuts[end]
    yield from reversed(groups)


def shared(parts: list[tuple[int, Float[Tensor, ""] | None]]) -> Float[Tensor, ""]:
    """The mean of the losses that there are, each weighed by its rows."""
    there = [(rows, loss) for rows, loss in parts if loss is not None]
    return torch.stack([rows * loss for rows, loss in there]).sum() / sum(rows for rows, _ in there)


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


def encode_once(machine: Machine, book: PictureBook) -> None:
    """Give the book its features, unless a stage before this one has."""
    if book.features is None:
        book.features = encode_book(machine, book)


@torch.no_grad()
def encode_book(machine: Machine, book: PictureBook, count: int | None = None) -> np.ndarray:
    """Features of the book's pictures (the first `count`), float16 [pictures, channel, rows, columns]."""
    total = len(book) if count is None else count
    parts = []
    for start in range(0, total, 500):
        pictures = [book.picture(index) for index in range(start, min(start + 500, total))]
        parts.append(machine.features(pictures).half().cpu().numpy())
    return np.concatenate(parts)
