"""The engine: rows of reading, writing and drawing that join and leave between steps.

    engine = Engine(pipeline)
    row = engine.draw(template.ask(conversation, draw=True), seed, sampling)
    while not row.done:
        engine.step()

A row depends on what it is asked and on its seed, not on its company, and can be cancelled at any step. An engine is
driven by one thread; several threads may each have one on the same pipeline.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from blip3o.flow.noise import generators
from blip3o.pipeline.drawing import Drawer, DrawingRow
from blip3o.pipeline.pipeline import Pipeline
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.pipeline.writing import Writer, WritingOptions, WritingRow
from blip3o.processing.chat_template import TokenizedSample


class Engine:
    """Takes rows at any time; each `step` is one token and one solver step of all that are under way."""

    def __init__(self, pipeline: Pipeline, *, writing_rows: int = 16) -> None:
        self.pipeline = pipeline
        self.drawer = Drawer(pipeline)
        self.writer = Writer(pipeline, writing_rows)
        self.random: Generator | None = None
        """Where the random numbers of `compatible` images come from."""

    def write(self, sample: TokenizedSample, options: WritingOptions) -> WritingRow:
        """A row that reads a conversation and writes on."""
        row = WritingRow(sample, options)
        self.writer.waiting.append(row)
        return row

    def draw(self, sample: TokenizedSample, seed: int, sampling: SamplingConfig) -> DrawingRow:
        """A row that draws into the slot of a conversation."""
        rng = generators([seed])[0]
        if sampling.compatible:
            rng = self.random = self.random or Generator(self.pipeline.device).manual_seed(seed)
        row = DrawingRow(sample, rng, sampling)
        self.drawer.waiting.append(row)
        return row

    def step(self) -> None:
        """Take a step in every row."""
        with torch.inference_mode():
            self.drawer.step()
            self.writer.step()

    def preview(self, row: DrawingRow) -> Float[Tensor, "3 height width"] | None:
        """A cheap image, in [-1, 1], of what a row under way may become. None before its first step."""
        with torch.inference_mode():
            return self.drawer.preview(row)

    def texts(self, samples: Sequence[TokenizedSample], options: WritingOptions) -> list[list[int]]:
        """What is written in each conversation."""
        rows = [self.write(sample, options) for sample in samples]
        while not all(row.done for row in rows):
            self.step()
        return [row.tokens for row in rows]

    def images(
        self, samples: Sequence[TokenizedSample], seeds: Sequence[int], sampling: SamplingConfig
    ) -> list[Float[Tensor, "3 height width"]]:
        """What is drawn in the slot of each conversation, in [-1, 1]."""
        rows = [self.draw(sample, seed, sampling) for sample, seed in zip(samples, seeds, strict=True)]
        while not all(row.done for row in rows):
            self.step()
        return [row.image for row in rows if row.image is not None]
