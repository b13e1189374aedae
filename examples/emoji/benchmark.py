"""The held-out cells as a benchmark: emoji drawn, restyled and read in a style in which no training data show them.

    blip3o evaluate --benchmark examples.emoji.benchmark:HeldOutEmoji --data data/emoji --model runs/emoji/checkpoint

A drawn picture counts where the judge finds the style that was asked for, and the right real picture among the ten
nearest of that style (`judge.py`). Beside it stands what two pictures would score that need no model: the same thing in
the other style (*copy*), and the training picture of the asked style that is nearest to that one (*neighbour*).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Response, Verdict, item_seed, means, scored
from blip3o.evals.candidate import Candidate
from examples.emoji.collection import STYLES, small
from examples.emoji.judge import WEIGHTS, EmojiJudge, Sighting
from examples.emoji.pack import RESTYLE
from examples.emoji.source import CATEGORY, NAME, WHICH_STYLE, EmojiRecord, common, read_pictures

GROUPS = ("draw", "edit", "name", "category", "style", "known name")
"""What is asked of each cell: a picture of its caption, the other style's picture changed, and three questions about
the real picture; and the names of as many pictures that training has shown."""
QUESTIONS = {"name": NAME, "category": CATEGORY, "style": WHICH_STYLE, "known name": NAME}
NEAR = 10
"""Real pictures of the asked style, of which one must be the right one."""
SIZE = 72
"""Pixels at which pictures are compared with those of the training data."""


class HeldOutEmoji(Benchmark):
    """Six questions for each held-out cell."""

    name = "emoji"
    kind = "mixed"
    protocols = ("held-out",)
    max_tokens = 24

    def items(self, folder: Path) -> list[Item]:
        self.folder = folder
        self.scorer = WEIGHTS
        return [
            self.item(group, record)
            for group in GROUPS
            for record in (self.known if group == "known name" else self.hidden)
        ]

    def item(self, group: str, record: EmojiRecord) -> Item:
        """One question."""
        prompts = {"edit": RESTYLE[0].format(style=record.style), **QUESTIONS}
        prompt = prompts.get(group, record.captions[0])
        answers = {NAME: record.called, CATEGORY: record.category, WHICH_STYLE: record.style}
        shown = {"edit": self.other(record), "draw": None}.get(group, self.pixels[record.key])
        path = Path(self.name) / f"{group}-{record.key}.png"
        return Item(
            id=f"{group}/{record.key}",
            prompt=prompt,
            category=group,
            facts={"concept": record.concept, "style": record.style, "expected": answers.get(prompt, "")},
            pictures=() if shown is None else (tables.Made(path=path, image=lambda: Image.fromarray(shown)),),
            unit=record.key,
        )

    def first(self, items: Sequence[Item], limit: int | None) -> Sequence[Item]:
        """The first ones of each group."""
        return [item for _, part in groupby(items, key=lambda item: item.category) for item in [*part][:limit]]

    def batches(self, items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
        """Of one group each."""
        for _, part in groupby(items, key=lambda item: item.category):
            yield from super().batches([*part], size)

    def ask(self, items: Sequence[Item], candidate: Candidate, seed: int) -> Sequence[Response]:
        group, prompts = items[0].category, [item.prompt for item in items]
        seeds = [item_seed(seed, item.id, 0) for item in items]
        if group == "draw":
            return [[image] for image in candidate.generate(prompts, seed=seeds)]
        pictures = [tables.opened(item.pictures[0]) for item in items]
        if group == "edit":
            return [[image] for image in candidate.edit(pictures, prompts, seed=seeds)]
        return candidate.understand(pictures, prompts, max_tokens=self.max_tokens)

    def score(self, item: Item, answer: Answer) -> Verdict:
        if item.facts["expected"]:
            said = answer if isinstance(answer, str) else ""
            return Verdict(score=float(said.strip().lower() == item.facts["expected"]), parsed=said)
        if not answer:
            return Verdict(score=0.0, details={"style": "", "rank": len(self.recogniser.concepts), "distance": None})
        image = tables.opened(Path(answer[0]))
        sighting = self.recogniser.look([image], [(item.facts["concept"], item.facts["style"])])[0]
        return Verdict(
            score=counts(sighting, item.facts["style"]),
            parsed=sighting.nearest,
            details={"style": sighting.style, "rank": sighting.rank, "distance": self.distance(image)},
        )

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Shares of right answers by group; of drawn pictures also of the parts of what is right."""
        values: list[tuple[str, float]] = []
        for item, verdict in scored(records):
            values.append((item.category, verdict.score))
            if not item.facts["expected"]:
                rank = verdict.details["rank"]
                values += [
                    (f"{item.category}/recall@1", float(rank == 1)),
                    (f"{item.category}/recall@{NEAR}", float(rank <= NEAR)),
                    (f"{item.category}/style", float(verdict.details["style"] == item.facts["style"])),
                ]
        return means(values)

    def report(self, records: Sequence[Record], candidate: Callable[[], Candidate]) -> dict[str, Any]:
        """What pictures score that need no model, how far from the training pictures the drawn ones are, and the
        judge's own exam."""
        cells = {item.unit for item, _ in scored(records)}
        hidden = [record for record in self.hidden if record.key in cells]
        others = [Image.fromarray(self.other(record)) for record in hidden]
        baselines = {
            "copy": self._baseline(hidden, others),
            "neighbour": self._baseline(hidden, self._neighbours(hidden, others)),
        }
        drawn: dict[str, list[float]] = {
            "real": [self.distance(Image.fromarray(self.pixels[record.key])) for record in hidden]
        }
        for item, verdict in scored(records):
            if verdict.details.get("distance") is not None:
                drawn.setdefault(item.category, []).append(verdict.details["distance"])
        distances = {name: float(np.mean(values)) for name, values in drawn.items()}
        return {"baselines": baselines, "distance_to_training": distances, "judge": self.recogniser.scores}

    def _baseline(self, hidden: Sequence[EmojiRecord], images: Sequence[Image.Image]) -> Metrics:
        sightings = self.recogniser.look(images, [(record.concept, record.style) for record in hidden])
        values: list[tuple[str, float]] = []
        for record, seen in zip(hidden, sightings, strict=True):
            values += [
                ("right", counts(seen, record.style)),
                ("recall@1", float(seen.rank == 1)),
                (f"recall@{NEAR}", float(seen.rank <= NEAR)),
                ("style", float(seen.style == record.style)),
            ]
        return means(values)

    def _neighbours(self, hidden: Sequence[EmojiRecord], others: Sequence[Image.Image]) -> list[Image.Image]:
        """Of each cell, the training picture of its style that the judge finds nearest to the other style's picture."""
        embeddings, _ = self.recogniser.embed(others)
        found = []
        for record, embedding in zip(hidden, embeddings, strict=True):
            known = [one for one in self.shown if one.style == record.style and not one.tone]
            real = self.recogniser.real[STYLES.index(record.style)]
            likeness = [real[self.recogniser.index_of[one.concept]] @ embedding for one in known]
            found.append(Image.fromarray(self.pixels[known[int(np.argmax(likeness))].key]))
        return found

    def distance(self, image: Image.Image) -> float:
        """Root of the mean squared difference to the nearest training picture, 0 to 255, at COMPARED px."""
        return float(np.sqrt(((self._training - small(image)) ** 2).mean(1).min()))

    def other(self, record: EmojiRecord) -> np.ndarray:
        """The picture of the same concept in the other style, which the training data show."""
        [style] = {*STYLES} - {record.style}
        return self.pixels[record.key.replace(record.style, style)]

    @cached_property
    def recogniser(self) -> EmojiJudge:
        """The judge of the data folder."""
        return EmojiJudge.load(self.folder)

    @property
    def hidden(self) -> list[EmojiRecord]:
        """The held-out cells, sorted."""
        return self._read[1]

    @property
    def known(self) -> list[EmojiRecord]:
        """As many pictures of the training data, spread over all."""
        learned = common(self.shown)
        plain = [one for one in self.shown if not one.tone and one.style in STYLES and one.concept in learned]
        plain.sort(key=lambda one: one.key)
        return plain[:: max(1, len(plain) // len(self.hidden))][: len(self.hidden)]

    @property
    def shown(self) -> list[EmojiRecord]:
        """The pictures of the training data."""
        return self._read[0]

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        """Key -> picture, of both."""
        return self._read[2]

    @cached_property
    def _read(self) -> tuple[list[EmojiRecord], list[EmojiRecord], dict[str, np.ndarray]]:
        shown, shown_pixels = read_pictures(self.folder / "training", SIZE)
        hidden, hidden_pixels = read_pictures(self.folder / "held-out", SIZE)
        pixels = {record.key: one for record, one in zip([*shown, *hidden], shown_pixels + hidden_pixels, strict=True)}
        learned = common(shown)
        asked = [one for one in hidden if not one.tone and one.concept in learned]
        return shown, sorted(asked, key=lambda one: one.key), pixels

    @cached_property
    def _training(self) -> np.ndarray:
        """All training pictures [picture, value], small."""
        return np.stack([small(Image.fromarray(self.pixels[record.key])) for record in self.shown])


def counts(sighting: Sighting, style: str) -> float:
    """1 where the style is right and the real picture among the NEAR nearest, else 0."""
    return float(sighting.style == style and sighting.rank <= NEAR)
