"""The unified model: words, and image features computed once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from blip3o.batch import IGNORED, Batch, BatchPlaces
from blip3o.config import check
from blip3o.data.address import StepAddresses
from blip3o.data.mixture import Mixture
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.errors import PictureError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.chat_template import TokenizedSample
from blip3o.processing.packing import collate_packed, pack
from blip3o.train.conditions import open_conditions
from blip3o.train.features import encode_once
from blip3o.train.objectives.objective import LoadedStep, Microbatch, NamedLosses, Objective, ObjectiveConfig

BATCH_COST = 600
"""Fixed cost of a batch, in tokens: measured on a CPU at the sizes of the picture book."""


@dataclass(frozen=True, kw_only=True)
class UnifiedObjectiveConfig(ObjectiveConfig):
    """Two mixtures of tasks, of which every step has its share; a stage's batch size is that of `draw`."""

    shows_one_picture: ClassVar[bool] = False

    kind: Literal["unified"] = "unified"
    draw: dict[str, float] = field(default_factory=dict)
    """Weights of the tasks that end in a picture."""
    text: dict[str, float] = field(default_factory=dict)
    """Weights of the tasks that end in words."""
    text_batch_size: int = 0
    """Conversations of `text` in one step, beside those of `draw`."""
    text_weight: float = 1.0
    """Weight of the text loss; that of the image loss is 1."""
    pack: int = 0
    """Tokens of a row into which conversations of `text` are packed, without seeing each other; a longer one has a row
    to itself. The losses are the same. 0 is a row for each, rows of like length together."""
    features: Literal["kept", "online"] = "kept"
    """Whether the features of all pictures are computed once, before the first step, or in every step anew: slower, but
    then no features of large data need to be kept."""

    conditions: str = ""
    """The folder of `blip3o data cache --conditions` with what the frozen backbone makes of each prompt: the denoiser
    learns alone, and the backbone never runs. Empty: it runs in every step."""

    def __post_init__(self) -> None:
        mixtures = {"draw": self.draw, "text": self.text}
        weights = {"text_weight": self.text_weight, **self.draw, **self.text}
        check(
            *((value >= 0, f"{name} is {value}, expected 0 or more") for name, value in weights.items()),
            *(
                (not mixture or sum(mixture.values()) > 0, f"{name} weighs no task: give one a weight above 0")
                for name, mixture in mixtures.items()
            ),
            (bool(self.text) == bool(self.text_batch_size), "text and text_batch_size belong together"),
            (bool(self.draw or self.text), "draw and text are empty: give the stage tasks to learn"),
            (
                not (self.conditions and self.text),
                f"conditions of {self.conditions} replace the backbone, which text needs: leave out one of the two",
            ),
            (self.pack >= 0, f"pack is {self.pack}, expected 0 or more tokens"),
            (not self.pack or bool(self.text), "pack is of the conversations of text, but the stage has none"),
        )

    @property
    def tasks(self) -> Collection[str]:
        """Those of both mixtures."""
        return {*self.draw, *self.text}

    @property
    def frozen(self) -> Collection[str]:
        """What conditions were computed by."""
        return ("unified.backbone", "unified.head.queries") if self.conditions else ()

    def claims(self, batch_size: int) -> Iterator[tuple[bool, str]]:
        """A stage of words alone has a batch size of 0."""
        yield bool(self.draw) == bool(batch_size), "draw and batch_size belong together: give both or neither"

    def samples(self, batch_size: int) -> int:
        """Conversations of both mixtures."""
        return batch_size + self.text_batch_size


@dataclass(frozen=True, kw_only=True)
class ConversationBatch(Microbatch):
    """Conversations that end in a picture, or conversations that end in words."""

    batch: Batch
    places: BatchPlaces
    """Of the batch, found on the host."""
    text_weight: float
    """Of its answers."""
    target: UInt8[Tensor, "batch height width 3"] | None = None
    """The images to generate, where their features are not known yet."""
    reference: UInt8[Tensor, "referenced height width 3"] | None = None
    """The same of the newest pictures before the slots, of the rows that have one."""

    def to(self, device: torch.device) -> "ConversationBatch":
        """The same with its tensors on another device."""
        images = {name: getattr(self, name) for name in ("target", "reference")}
        moved = {name: value.to(device, non_blocking=True) for name, value in images.items() if value is not None}
        return replace(self, batch=self.batch.to(device), places=self.places.to(device), **moved)


class UnifiedObjective(Objective):
    """Cross-entropy of the words, and the head's loss of the features. Every step runs both kinds of batch that the
    stage has."""

    names = ("text", "image")
    config: UnifiedObjectiveConfig

    def __init__(self, config: UnifiedObjectiveConfig, pipeline: Pipeline, source: Source) -> None:
        super().__init__(config, pipeline, source)
        self._mixtures: dict[str, Mixture] = {}
        self._conditions = open_conditions(pipeline, Path(config.conditions)) if config.conditions else None
        if config.draw and config.features == "kept":
            encode_once(pipeline, source)

    @property
    def factors(self) -> Mapping[str, float]:
        """Words count as the config says."""
        return {"text": self.config.text_weight}

    def losses(self, batch: ConversationBatch) -> NamedLosses:
        """Those of the two that the micro-batch has."""
        losses = self.pipeline.unified(self.with_features(batch), batch.rngs, batch.places)
        named = {"text": losses.text, "image": losses.image}
        return {name: loss for name, loss in named.items() if loss is not None}

    def weights(self, batch: ConversationBatch) -> Mapping[str, float]:
        """Answers weigh the roots of their lengths, images 1."""
        return {"text": batch.text_weight} | (
            {"image": float(len(batch.addresses))} if batch.places.slot_length else {}
        )

    def load(self, step: StepAddresses, rows: int = 0) -> LoadedStep:
        """The step's conversations, those of like length together, so that little is padding."""
        batches, skipped = [], []
        for name, count in (("draw", step.count), ("text", self.config.text_batch_size)):
            samples, addresses, faults = self.tokenized(name, step.of(name, count))
            skipped += faults
            if name == "text" and self.config.pack:
                batches += self.packed(samples, addresses, rows)
                continue
            for group in alike([len(sample.tokens) for sample in samples], rows):
                batches.append(self.collate([samples[row] for row in group], [addresses[row] for row in group]))
        return LoadedStep(batches=batches, skipped=skipped)

    def packed(
        self, samples: Sequence[TokenizedSample], addresses: Sequence[str], rows: int
    ) -> Iterator[ConversationBatch]:
        """Micro-batches of at most so many packed `rows` (0: any number)."""
        full = pack([len(sample.tokens) for sample in samples], self.config.pack)
        for start in range(0, len(full), rows or max(len(full), 1)):
            some = full[start : start + (rows or len(full))]
            batch = collate_packed(self.pipeline.template, [[samples[item] for item in row] for row in some])
            yield self.placed(batch, [addresses[item] for row in some for item in row])

    def tokenized(self, name: str, part: StepAddresses) -> tuple[list[TokenizedSample], list[str], list[SampleError]]:
        """The conversations of one kind as tokens, their addresses, and what cannot be used."""
        if not part.count:
            return [], [], []
        mixture = self.mixture(name, part.run)

        def read(number: int) -> TokenizedSample | SampleError:
            try:
                sample = self.pipeline.template.encode(mixture[number])
            except SampleError as error:
                return error
            except PictureError as error:  # one that the source gives and this backbone cannot read
                return SampleError(error.reason, *mixture.place(number), str(error))
            return sample if sample.target is None else replace(sample, target=self.square(sample.target))

        samples, addresses, skipped = [], [], []
        for number, found in zip(part.numbers, self.each(read, part.numbers), strict=True):
            if isinstance(found, SampleError):
                skipped.append(found)
                continue
            samples.append(found)
            addresses.append(part.address(number))
        return samples, addresses, skipped

    def collate(self, samples: Sequence[TokenizedSample], addresses: Sequence[str]) -> ConversationBatch:
        """A micro-batch. Where the features of one picture are not known, those of none are used: all are encoded."""
        targets = [sample.target for sample in samples if sample.target is not None]
        starts = self.pipeline.config.unified.takes_reference  # else nobody asks for the features of what is read
        newest = [sample.pictures[-1] for sample in samples if starts and sample.has_slot and sample.pictures]
        images: dict[str, Tensor] = {}
        if any(picture.features is None for picture in (*targets, *newest)):
            samples = [sample.without_features() for sample in samples]
            pictures = {"target": targets, "reference": newest}
            images = {name: self.pipeline.squares(some) for name, some in pictures.items() if some}
        # padded on the left: then all rows end in their slots, where gradients begin if the backbone is frozen
        batch = self.pipeline.template.collate(samples, left=samples[0].has_slot)
        if self._conditions is not None:
            batch = replace(batch, condition=self._conditions.of(samples))
        if samples[0].has_slot and (self._conditions is not None or not self.config.text_weight):
            batch = replace(batch, labels=torch.full_like(batch.labels, IGNORED))
        return self.placed(batch, addresses, **images)

    def placed(self, batch: Batch, addresses: Sequence[str], **images: Tensor) -> ConversationBatch:
        """A micro-batch with all that is read of it on the CPU; `images`: as its fields are called."""
        places = BatchPlaces.of(batch)
        weight = float(places.answers.weights.sum())
        return ConversationBatch(addresses=addresses, batch=batch, places=places, text_weight=weight, **images)

    @torch.no_grad()
    def with_features(self, batch: ConversationBatch) -> Batch:
        """The conversations with the features of their targets and references, encoded where they were not known."""
        encoded = batch.batch
        if batch.target is None:
            return encoded
        encoded = replace(encoded, target=self.pipeline.encode(batch.target))
        if batch.reference is not None and encoded.referenced is not None and encoded.target is not None:
            features, there = self.pipeline.encode(batch.reference), encoded.referenced.view(-1, 1, 1, 1)
            reference = torch.zeros_like(encoded.target).masked_scatter(there, features)
            encoded = replace(encoded, reference=reference)
        return encoded

    def mixture(self, name: str, seed: str) -> Mixture:
        """The mixture of a kind of batch, made when it is first asked for."""
        if seed not in self._mixtures:
            weights = self.config.draw if name == "draw" else self.config.text
            self._mixtures[seed] = Mixture(self.source, weights, seed, drawing=name == "draw", part=self.part)
        return self._mixtures[seed]


def alike(lengths: Sequence[int], rows: int = 0) -> Iterator[list[int]]:
    """Conversations of these lengths, by their indices, in batches of like length, shortest first: the cheapest way to
    cut them into batches of at most so many `rows` (0: any number), where one costs its tokens, padding included, and
    `BATCH_COST`."""
    items = sorted(range(len(lengths)), key=lambda item: lengths[item])
    cheapest, cuts = [0], [0]
    for end in range(1, len(items) + 1):
        longest = lengths[items[end - 1]]
        first = max(0, end - rows) if rows else 0
        costs = [cheapest[start] + (end - start) * longest + BATCH_COST for start in range(first, end)]
        cheapest.append(min(costs))
        cuts.append(first + costs.index(cheapest[-1]))
    groups, end = [], len(items)
    while end:
        groups.append(items[cuts[end] : end])
        end = cuts[end]
    yield from reversed(groups)
