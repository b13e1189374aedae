"""The unified model: words, and image features computed once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Literal

import torch
from torch import Generator

from blip3o.batch import Batch
from blip3o.config import check
from blip3o.data.address import StepAddresses
from blip3o.data.mixture import Mixture
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.chat_template import TokenizedSample
from blip3o.train.objectives.objective import NamedLosses, Objective, ObjectiveConfig, encode_once

BATCH_COST = 600
"""Fixed cost of a batch, in tokens: measured on a CPU at the sizes of the picture book."""


@dataclass(frozen=True, kw_only=True)
class UnifiedObjectiveConfig(ObjectiveConfig):
    """Two mixtures of tasks, of which every step has its share; a stage's batch size is that of `draw`."""

    kind: Literal["unified"] = "unified"
    draw: dict[str, float] = field(default_factory=dict)
    """Weights of the tasks that end in a picture."""
    text: dict[str, float] = field(default_factory=dict)
    """Weights of the tasks that end in words."""
    text_batch_size: int = 0
    """Conversations of `text` in one step, beside those of `draw`."""
    text_weight: float = 1.0
    """Weight of the text loss; that of the image loss is 1."""

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
        )

    @property
    def tasks(self) -> Collection[str]:
        """Those of both mixtures."""
        return {*self.draw, *self.text}

    def claims(self, batch_size: int) -> Iterator[tuple[bool, str]]:
        """A stage of words alone has a batch size of 0."""
        yield bool(self.draw) == bool(batch_size), "draw and batch_size belong together: give both or neither"

    def samples(self, batch_size: int) -> int:
        """Conversations of both mixtures."""
        return batch_size + self.text_batch_size


class UnifiedObjective(Objective):
    """Cross-entropy of the words, and the head's loss of the features. Every step runs both kinds of batch that the
    stage has."""

    config: UnifiedObjectiveConfig

    def __init__(self, config: UnifiedObjectiveConfig, pipeline: Pipeline, source: Source) -> None:
        super().__init__(config, pipeline, source)
        self._mixtures: dict[str, Mixture] = {}
        if config.draw:
            encode_once(pipeline, source)

    @property
    def factors(self) -> Mapping[str, float]:
        """Words count as the config says."""
        return {"text": self.config.text_weight}

    def losses(self, step: StepAddresses) -> NamedLosses:
        """Both losses, each summed over the batches of the step before it is divided by its weight."""
        outputs = [self.pipeline.unified(batch, rngs) for batch, rngs in self.batches(step)]
        parts = {"text": [output.text for output in outputs], "image": [output.image for output in outputs]}
        present = {name: [loss for loss in losses if loss is not None] for name, losses in parts.items()}
        return {name: reduce(add, losses) for name, losses in present.items() if losses}

    def batches(self, step: StepAddresses) -> Iterator[tuple[Batch, list[Generator]]]:
        """The step's conversations, those of like length together, so that little is padding, and their generators."""
        template = self.pipeline.template
        for name, count in (("draw", step.count), ("text", self.config.text_batch_size)):
            part = step.of(name, count)
            samples, rngs = self.tokenized(name, part)
            if name == "draw":
                samples = self.encoded(samples)
            for rows in alike([len(sample.tokens) for sample in samples]):
                yield template.collate([samples[row] for row in rows]).to(self.device), [rngs[row] for row in rows]

    def tokenized(self, name: str, part: StepAddresses) -> tuple[list[TokenizedSample], list[Generator]]:
        """The conversations of one kind as tokens, and a generator for each. What cannot be used is skipped."""
        samples, rngs = [], []
        for number in part.numbers:
            try:
                samples.append(self.pipeline.template.encode(self.mixture(name, part.run)[number]))
            except SampleError as error:
                self.skipped.append(error)
                continue
            rngs.append(part.generator(number))
        return samples, rngs

    @torch.no_grad()
    def encoded(self, samples: list[TokenizedSample]) -> list[TokenizedSample]:
        """The samples with the features of their targets and references, where these are not known yet."""
        pictures = [picture for sample in samples for picture in (sample.target, *sample.pictures[-1:]) if picture]
        unknown = [picture for picture in pictures if picture.features is None]
        if not unknown:
            return samples
        features = self.pipeline.features(unknown)
        known = {id(picture): replace(picture, features=one) for picture, one in zip(unknown, features, strict=True)}
        return [
            replace(
                sample,
                target=known.get(id(sample.target), sample.target),
                pictures=[known.get(id(picture), picture) for picture in sample.pictures],
            )
            for sample in samples
        ]

    def mixture(self, name: str, seed: str) -> Mixture:
        """The mixture of a kind of batch, made when it is first asked for."""
        if seed not in self._mixtures:
            weights = self.config.draw if name == "draw" else self.config.text
            self._mixtures[seed] = Mixture(self.source, weights, seed, drawing=name == "draw")
        return self._mixtures[seed]


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
