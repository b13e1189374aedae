"""Rows of drawing: images that join and leave between solver steps, each with its own prompt, seed and sampling.

With a number of rows a matrix product changes the order in which it adds. So what is drawn at once (a pass) always has
as many rows (`SamplingConfig.rows`), filled up with copies, and each prompt runs by itself: an image is the same to the
last bit in any company.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from jaxtyping import Float
from torch import Generator, Tensor

from blip3o.flow.noise import generators
from blip3o.model.heads.head import HeadState
from blip3o.model.unified import ImageRequests
from blip3o.pipeline.pipeline import Pipeline
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.processing.chat_template import TokenizedSample

NULLS = 8
"""Ways of sampling of which null features are kept."""
PassKey = tuple[int, str, bool]
"""What images of one pass share: its number of rows (0 for any), the solver, and whether there is guidance."""


class DrawingRow:
    """An image that is being drawn."""

    def __init__(self, sample: TokenizedSample, rng: Generator, sampling: SamplingConfig) -> None:
        self.sample = sample
        self.rng = rng
        self.sampling = sampling
        self.image: Float[Tensor, "3 height width"] | None = None
        """In [-1, 1], when it is done."""
        self.cancelled = False
        """Set, the row leaves before the next step."""

    @property
    def done(self) -> bool:
        """Whether there is no more to come."""
        return self.cancelled or self.image is not None

    @property
    def key(self) -> PassKey:
        """Which pass it takes part in."""
        sampling = self.sampling
        return 1 if sampling.compatible else sampling.rows, sampling.solver, sampling.guidance != 1


@dataclass(kw_only=True)
class Pass:
    """Images that take their steps together."""

    rows: list[DrawingRow]
    state: HeadState
    """Of the rows, and after them of copies that fill the pass up."""


class Drawer:
    """Draws what waits, as many at once as a pass has rows."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.waiting: list[DrawingRow] = []
        self.passes: dict[PassKey, Pass] = {}
        self.nulls: dict[SamplingConfig, Float[Tensor, "1 channel height width"]] = {}
        """Features of an empty prompt, that a decoder's guidance leads away from; by how they are sampled, the newest
        NULLS of them."""

    def step(self) -> None:
        """One solver step of every image; those that arrive are decoded."""
        self.waiting = [row for row in self.waiting if not row.done]
        for key in {**self.passes, **dict.fromkeys(row.key for row in self.waiting)}:
            self._admit(key)
        for key, one in list(self.passes.items()):
            one.state = self.pipeline.unified.head.step(one.state)
            self._decode(one, key[0])
            if all(row.done for row in one.rows):
                del self.passes[key]

    def remaining(self, row: DrawingRow) -> int | None:
        """Solver steps that a row under way has to take; None where it waits, or is done."""
        for one in self.passes.values():
            if row in one.rows and not row.done:
                return one.state.remaining[one.rows.index(row)]
        return None

    def preview(self, row: DrawingRow) -> Float[Tensor, "3 height width"] | None:
        """What a row under way would be, were it to go on straight: decoded in one step. None before the first."""
        for one in self.passes.values():
            if row in one.rows:
                features = one.state.select([one.rows.index(row)]).sampler.estimate()
                null, size = self._null(row), row.sampling.size
                return self.pipeline.space.decoder.decode(features, generators([0]), steps=1, null=null, size=size)[0]
        return None

    def _admit(self, key: PassKey) -> None:
        """Let rows that are done or cancelled out of a pass, and those that wait in."""
        before = self.passes.pop(key, None)
        live = [] if before is None else [index for index, row in enumerate(before.rows) if not row.done]
        fitting = [row for row in self.waiting if row.key == key]
        joining = fitting[: key[0] - len(live)] if key[0] else fitting
        self.waiting = [row for row in self.waiting if row not in joining]
        if before is not None and live and not joining and (key[0] or len(live) == len(before.rows)):
            self.passes[key] = before
        elif before is not None and live:
            rows, state = [before.rows[index] for index in live], before.state.select(live)
            if joining:
                state = state.join(self._start(joining, key[0]).select(range(len(joining))))
            rows += joining
            self.passes[key] = Pass(rows=rows, state=state.select(_filled(range(len(rows)), key[0])))
        elif joining:
            self.passes[key] = Pass(rows=joining, state=self._start(joining, key[0]))

    def _start(self, rows: Sequence[DrawingRow], count: int) -> HeadState:
        filled = [rows[index] for index in _filled(range(len(rows)), count)]
        rngs = [row.rng for row in rows] + generators([0] * (len(filled) - len(rows)))
        requests = self._requests([row.sample for row in filled], apart=count > 0)
        return self.pipeline.unified.start_features(requests, rngs, [row.sampling for row in filled])

    def _requests(self, samples: Sequence[TokenizedSample], *, apart: bool) -> list[ImageRequests]:
        """The images of these conversations, of which equal ones run once; each by itself or all together."""
        known: list[TokenizedSample] = []
        places = [_place(sample, known) for sample in samples]
        groups = [[sample] for sample in known] if apart else [known]
        batches = [self.pipeline.template.collate(group, left=True).to(self.pipeline.device) for group in groups]
        if apart:
            return [ImageRequests(batch=batches[place], rows=[0], apart=True) for place in places]
        return [ImageRequests(batch=batches[0], rows=places)]

    def _decode(self, one: Pass, count: int) -> None:
        """The images of rows that arrived; those that are decoded alike in passes of as many."""
        features, remaining = one.state.sampler.x, one.state.remaining
        arrived = [index for index, row in enumerate(one.rows) if not row.done and not remaining[index]]
        arrived.sort(key=lambda index: _decoding(one.rows[index]))
        for _, group in groupby(arrived, key=lambda index: _decoding(one.rows[index])):
            indices = list(group)
            rows = [one.rows[index] for index in indices]
            filled = _filled(indices, count)
            rngs = [row.rng for row in rows] + generators([0] * (len(filled) - len(rows)))
            sampling, null = rows[0].sampling, self._null(rows[0])
            images = self.pipeline.space.decoder.decode(
                features[filled], rngs, steps=sampling.decoder_steps, null=null, size=sampling.size
            )
            for row, image in zip(rows, images, strict=False):
                row.image = image

    def _null(self, row: DrawingRow) -> Float[Tensor, "1 channel height width"] | None:
        """They have a seed of their own; published code takes their noise from the stream of the first image."""
        if not self.pipeline.space.decoder.guided:
            return None
        how = replace(row.sampling, decoder_steps=1, size=None, best_of=1)
        if how not in self.nulls:
            rngs = [row.rng] if row.sampling.compatible else generators([0])
            requests = self._requests([self.pipeline.template.nothing()], apart=True)
            self.nulls[how] = self.pipeline.unified.sample_features(requests, rngs, row.sampling)
            if len(self.nulls) > NULLS:
                del self.nulls[next(iter(self.nulls))]
        return self.nulls[how]


def _decoding(row: DrawingRow) -> tuple[int, int]:
    """What images that are decoded together share."""
    return row.sampling.decoder_steps, row.sampling.size or 0


def _filled(indices: Sequence[int], count: int) -> list[int]:
    """The indices, and the first of them again until there are `count`."""
    return [*indices, *[indices[0]] * (count - len(indices))]


def _place(sample: TokenizedSample, known: list[TokenizedSample]) -> int:
    """Where an equal conversation stands among the known ones; it is put there where none does."""
    for place, other in enumerate(known):
        if sample is other or (sample.tokens == other.tokens and not (sample.pictures or other.pictures)):
            return place
    known.append(sample)
    return len(known) - 1
