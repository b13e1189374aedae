"""Rows of writing: answers that join and leave between tokens, each with its own limits and its own chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from blip3o.config import check
from blip3o.flow.noise import draw_uniform, generators
from blip3o.model.unified import TextState
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.chat_template import TokenizedSample


@dataclass(frozen=True, kw_only=True)
class WritingOptions:
    """How an answer is written."""

    max_tokens: int
    stops: tuple[int, ...] = ()
    """The tokens that end it, of which it keeps the one that did."""
    temperature: float = 0.0
    """0 takes the likeliest token, 1 draws by the model's own probabilities."""
    top_p: float = 1.0
    """The likeliest tokens that together are at least as probable are drawn from (arXiv 1904.09751)."""
    seed: int = 0

    def __post_init__(self) -> None:
        check(
            (self.max_tokens > 0, f"max_tokens is {self.max_tokens}, expected 1 or more"),
            (self.temperature >= 0, f"temperature is {self.temperature}, expected 0 or more"),
            (0 < self.top_p <= 1, f"top_p is {self.top_p}, expected more than 0 and at most 1"),
        )


class WritingRow:
    """An answer that is being written."""

    def __init__(self, sample: TokenizedSample, options: WritingOptions) -> None:
        self.sample = sample
        self.options = options
        self.rng = generators([options.seed])[0]
        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []
        """Of each token, as the model gives them at temperature 1."""
        self.cancelled = False
        """Set, the row leaves before the next token."""

    @property
    def done(self) -> bool:
        """Whether there is no more to come."""
        stopped = bool(self.tokens) and self.tokens[-1] in self.options.stops
        return self.cancelled or stopped or len(self.tokens) >= self.options.max_tokens


class Writer:
    """At most `capacity` rows write at once; those that wait take the places of those that are done."""

    def __init__(self, pipeline: Pipeline, capacity: int) -> None:
        self.pipeline = pipeline
        self.capacity = capacity
        self.waiting: list[WritingRow] = []
        self.rows: list[WritingRow] = []
        self.state: TextState | None = None

    @property
    def busy(self) -> bool:
        """Whether there is a row that is not done."""
        return not all(row.done for row in (*self.rows, *self.waiting))

    def step(self) -> None:
        """One more token in every row."""
        self.waiting = [row for row in self.waiting if not row.done]
        live = [index for index, row in enumerate(self.rows) if not row.done]
        self._advance(live)
        room = self.capacity - len(live)
        joining, self.waiting = self.waiting[:room], self.waiting[room:]
        if joining:
            self._join(joining)
        if self.state is not None:
            self._choose(self.state)

    def _advance(self, live: Sequence[int]) -> None:
        """Read the tokens written last; rows that are done stay in the batch until others wait for their places."""
        unified, state = self.pipeline.unified, self.state
        if state is None or not live:
            self.rows, self.state = [], None
            return
        if self.waiting and len(live) < len(self.rows):
            self.rows, state = [self.rows[index] for index in live], unified.select_text(state, live)
        tokens = torch.tensor([row.tokens[-1] for row in self.rows], device=self.pipeline.device)
        going = torch.tensor([not row.done for row in self.rows], device=self.pipeline.device)
        self.state = unified.step_text(state, tokens, going)

    def _join(self, rows: list[WritingRow]) -> None:
        batch = self.pipeline.template.collate([row.sample for row in rows], left=True)
        state = self.pipeline.unified.start_text(batch.to(self.pipeline.device))
        self.state = state if self.state is None else self.pipeline.unified.join_text(self.state, state)
        self.rows = [*self.rows, *rows]

    def _choose(self, state: TextState) -> None:
        tokens = state.logits.argmax(-1)
        for index, row in enumerate(self.rows):
            if row.options.temperature and not row.done:
                chances = (state.logits[index].float() / row.options.temperature).softmax(-1)
                tokens[index] = draw_token(chances, row.options.top_p, draw_uniform([row.rng]).to(chances))
        logs = state.logits.float().log_softmax(-1).gather(1, tokens[:, None])[:, 0]
        for row, token, log in zip(self.rows, tokens.tolist(), logs.tolist(), strict=True):
            if not row.done:
                row.tokens.append(token)
                row.log_probabilities.append(log)


def draw_token(chances: Float[Tensor, " vocabulary"], top_p: float, uniform: Float[Tensor, " 1"]) -> Int[Tensor, ""]:
    """One of the likeliest tokens, at the place that a number from [0, 1) points to on their line of chances."""
    ranked, order = chances.sort(descending=True)
    ends = ranked.cumsum(0)
    kept = int((ends - ranked < top_p).sum())
    place = torch.searchsorted(ends[:kept], uniform * ends[kept - 1], right=True).clamp(max=kept - 1)
    return order[place[0]]
