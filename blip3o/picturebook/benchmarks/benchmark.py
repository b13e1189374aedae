"""The picture book as a benchmark: it draws, combines, reads, captions, edits, talks and solves riddles.

It makes its questions itself, from a seed; no training draws from streams of these names. What was drawn is judged by a
detector of its own, and the ground truth is the scene.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from blip3o.errors import ConfigError
from blip3o.evals import tables
from blip3o.evals.benchmark import (
    Answer,
    Benchmark,
    BenchmarkOptions,
    Item,
    Judge,
    Metrics,
    Record,
    Response,
    Verdict,
    scored,
)
from blip3o.evals.candidate import Candidate
from blip3o.evals.proportion import Proportion, mean, proportion
from blip3o.picturebook.benchmarks import drawing, editing, reading, talking
from blip3o.picturebook.benchmarks.group import BookQuestion, Group, picture, verdict
from blip3o.picturebook.detector.scene_detector import SceneDetector
from blip3o.picturebook.detector.training import num_right
from blip3o.picturebook.world.prompts import TAGS

JUDGED_SCENES = 1000
"""Drawn scenes on which the detector itself is measured, whatever the limit."""
PAINTED = "scene"
"""The group whose pictures are also compared with true ones, as sets."""


_SIZES = [2000 * (index + 1) // len(TAGS) - 2000 * index // len(TAGS) for index in range(len(TAGS))]
_TASKS = {
    f"generation/{tag}": Group(size, partial(drawing.task, tag), drawing.draw_pictures, drawing.score_case, exact=True)
    for tag, size in zip(TAGS, _SIZES, strict=True)
}
_think = partial(drawing.draw_pictures, think=True)
GROUPS: Mapping[str, Group] = {
    **_TASKS,
    "composition": Group(400, drawing.composition, drawing.draw_pictures, drawing.score_case, exact=True),
    PAINTED: Group(400, drawing.whole_scene, drawing.draw_pictures, drawing.score_scene, exact=True),
    "riddle": Group(200, drawing.riddle, _think, drawing.score_case, exact=True),
    "vqa": Group(1000, reading.scene_question, reading.answer_questions, reading.score_words),
    "caption": Group(300, reading.caption_question, reading.caption_pictures, reading.score_caption),
    "edit": Group(300, editing.edit_question, editing.edit_pictures, editing.score_edit),
    "dialogue": Group(
        200, talking.dialogue_question, talking.hold_dialogues, talking.score_dialogue, num_images=talking.USER_TURNS
    ),
}
"""2,000 prompts in the six tasks of GenEval, and the others."""


class PictureBookBenchmark(Benchmark):
    """The held-out questions of a seed. `groups` names those that are asked ("generation" means its six tasks), None
    all. Raises ConfigError for an unknown group."""

    name = "picturebook"
    kind = "mixed"
    protocols = ("official",)
    has_data = False
    heeds = frozenset({"groups", "seed"})

    def __init__(
        self, protocol: str, judge: Judge | None = None, *, seed: int = 0, groups: Sequence[str] | None = None
    ) -> None:
        super().__init__(protocol, judge)
        self.seed = seed
        unknown = [name for name in groups or () if not any(_belongs(key, name) for key in GROUPS)]
        if unknown:
            raise ConfigError(f"no group is called {unknown[0]!r}: choose from generation, {', '.join(GROUPS)}")
        self.groups = [key for key in GROUPS if groups is None or any(_belongs(key, name) for name in groups)]

    @classmethod
    def build(cls, protocol: str, options: BenchmarkOptions) -> Benchmark:
        return cls(protocol, seed=options.seed, groups=options.groups)

    @cached_property
    def questions(self) -> dict[str, BookQuestion]:
        """Item -> its question, with all that scoring needs."""
        questions: dict[str, BookQuestion] = {}
        for name, group in GROUPS.items():
            rng = random.Random(f"evaluation/{self.seed}/{name}")
            questions |= {f"{name}/{index}": group.question(rng, index) for index in range(group.size)}
        return questions

    def items(self, folder: Path) -> list[Item]:
        return [self._item(name, question) for name, question in self.questions.items()]

    def _item(self, name: str, question: BookQuestion) -> Item:
        category, scene = name.rpartition("/")[0], question.shown
        # the picture is drawn when it is looked at, not for all 4,800 questions at once
        path = Path(self.name) / f"{name.replace('/', '-')}-shown.png"
        return Item(
            id=name,
            prompt=question.prompt,
            category=category,
            facts={"expected": question.expected},
            pictures=() if scene is None else (tables.Made(path=path, image=lambda: picture(scene)),),
            count=GROUPS[category].num_images,
        )

    def first(self, items: Sequence[Item], limit: int | None) -> Sequence[Item]:
        """The first ones of each group that is asked."""
        number = {name: GROUPS[name].size if limit is None else limit for name in self.groups}
        return [item for item in items if int(item.id.rpartition("/")[2]) < number.get(item.category, 0)]

    def batches(self, items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
        """Of one group each."""
        for _, part in groupby(items, key=lambda item: item.category):
            yield from super().batches(list(part), size)

    def ask(self, items: Sequence[Item], candidate: Candidate, seed: int) -> Sequence[Response]:
        responses: list[Response] = []
        for category, part in groupby(items, key=lambda item: item.category):
            names = [item.id for item in part]
            questions, seeds = [self.questions[name] for name in names], [f"evaluation/{seed}/{name}" for name in names]
            responses += GROUPS[category].ask(candidate, questions, seeds)
        return responses

    def score(self, item: Item, answer: Answer) -> Verdict:
        group, question = GROUPS[item.category], self.questions[item.id]
        if answer:
            return group.score(question, answer)
        return verdict(question, correct=False, exact=False if group.exact else None, note="nothing was answered")

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The proportion of right answers in each group, without the interval."""
        return {name: _right(verdicts).value for name, verdicts in _by_group(records).items()}

    def numbers(self, records: Sequence[Record]) -> dict[str, Any]:
        """A proportion for each group, with its "exact" one where things are drawn; GenEval's tasks and, if all six are
        there, their mean under "generation"."""
        groups = _by_group(records)
        numbers: dict[str, Any] = {name: _numbers(name, part) for name, part in groups.items() if "/" not in name}
        tasks = {name: part for name, part in groups.items() if "/" in name}
        generation = {name.split("/")[1]: _numbers(name, part) for name, part in tasks.items()}
        if len(tasks) == len(TAGS):
            overall = _both(*(mean(list(map(kind, tasks.values()))) for kind in (_right, _exact)))
            generation = {"overall": overall} | generation
        return ({"generation": generation} if tasks else {}) | numbers

    def report(self, records: Sequence[Record], candidate: Callable[[], Candidate]) -> dict[str, Any]:
        """Every group by kind of question, the Frechet distance of the drawn scenes, and the detector's accuracy."""
        details: dict[str, Any] = {}
        for name, verdicts in _by_group(records).items():
            if "/" not in name:
                parts = _by((str(one.details.get("part")), one) for one in verdicts)
                details[name] = {part: _numbers(name, parts[part]) for part in sorted(parts)}
        painted = [one for one in records if one.item.category == PAINTED and one.answer]
        if len(painted) > 1:
            images = [tables.opened(Path(one.answer[0])) for one in painted]
            questions = [self.questions[one.item.id] for one in painted]
            details["frechet_distance"] = drawing.distances(candidate(), images, questions)
        right = num_right(SceneDetector.load(), seed=self.seed, n=JUDGED_SCENES)
        accuracy = proportion([True] * right + [False] * (JUDGED_SCENES - right))
        return {"judge": {"accuracy": asdict(accuracy)}, "details": details}


def _belongs(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}/")


def _by_group(records: Sequence[Record]) -> dict[str, list[Verdict]]:
    return _by((item.category, verdict) for item, verdict in scored(records))


def _by(verdicts: Iterable[tuple[str, Verdict]]) -> dict[str, list[Verdict]]:
    parts: dict[str, list[Verdict]] = defaultdict(list)
    for name, one in verdicts:
        parts[name].append(one)
    return parts


def _right(verdicts: Sequence[Verdict]) -> Proportion:
    return proportion(one.score == 1 for one in verdicts)


def _exact(verdicts: Sequence[Verdict]) -> Proportion:
    """The proportion of what shows nothing but what was asked for."""
    return proportion(one.details.get("exact") is True for one in verdicts)


def _both(right: Proportion, exact: Proportion) -> dict[str, Any]:
    return asdict(right) | {"exact": asdict(exact)}


def _numbers(group: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    right = _right(verdicts)
    return _both(right, _exact(verdicts)) if GROUPS[group].exact else asdict(right)
