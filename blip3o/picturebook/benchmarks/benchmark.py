"""The picture book as a benchmark: it draws, combines, reads, captions, edits, talks and solves riddles.

It makes its questions itself, from a seed; no training draws from streams of these names. What was drawn is judged by a
detector of its own, and the ground truth is the scene.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from blip3o.errors import ConfigError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, BenchmarkOptions, Item, Judge, Metrics, Record, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.evals.proportion import Proportion, mean, proportion
from blip3o.picturebook.benchmarks import drawing, editing, reading, talking
from blip3o.picturebook.benchmarks.group import Group, picture, verdict
from blip3o.picturebook.detector.scene_detector import SceneDetector
from blip3o.picturebook.detector.training import num_right
from blip3o.picturebook.world.prompts import TAGS

JUDGED_SCENES = 1000
"""Drawn scenes on which the detector itself is measured, whatever the limit."""
PAINTED = "scene"
"""The group whose pictures are also compared with true ones, as sets."""

_SIZES = [2000 * (index + 1) // len(TAGS) - 2000 * index // len(TAGS) for index in range(len(TAGS))]
GROUPS: Mapping[str, Group[Any]] = {
    **{f"generation/{tag}": drawing.task(size, tag) for tag, size in zip(TAGS, _SIZES, strict=True)},
    "composition": drawing.composition(400),
    PAINTED: drawing.WholeScenes(400),
    "riddle": drawing.riddles(200),
    "vqa": reading.SceneQuestions(1000),
    "caption": reading.Captions(300),
    "edit": editing.Edits(300),
    "dialogue": talking.Dialogues(200),
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
    def questions(self) -> dict[str, Any]:
        """Item -> its question, with all that scoring needs."""
        made: dict[str, Any] = {}
        for name, group in GROUPS.items():
            rng = random.Random(f"evaluation/{self.seed}/{name}")
            made |= {f"{name}/{index}": group.question(rng, index) for index in range(group.size)}
        return made

    def items(self, folder: Path) -> list[Item]:
        return [self._item(name, question) for name, question in self.questions.items()]

    def _item(self, name: str, question: Any) -> Item:
        category = name.rpartition("/")[0]
        group = GROUPS[category]
        words, scene = group.wording(question), group.shown(question)
        path = Path(self.name) / f"{name.replace('/', '-')}-shown.png"
        return Item(
            id=name,
            prompt=words.prompt,
            category=category,
            facts={"expected": words.expected},
            pictures=() if scene is None else (tables.Made(path=path, image=lambda: picture(scene)),),
            count=group.num_images,
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
        part, exact = group.wording(question).part, False if group.exact else None
        return verdict(part, correct=False, exact=exact, note="nothing was answered")

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The proportion of right answers in each group, without the interval."""
        return {name: _right(part).value for name, part in _by(records, lambda one: one.item.category).items()}

    def numbers(self, records: Sequence[Record]) -> dict[str, Any]:
        """A proportion for each group, with its "exact" one where things are drawn; GenEval's tasks and, if all six are
        there, their mean under "generation"."""
        groups = _by(records, lambda one: one.item.category)
        numbers: dict[str, Any] = {name: _numbers(part) for name, part in groups.items() if "/" not in name}
        six = [part for name, part in groups.items() if "/" in name]
        if not six:
            return numbers
        overall = _both(mean(list(map(_right, six))), mean(list(map(_exact, six)))) if len(six) == len(TAGS) else None
        tasks = {name.split("/")[1]: _numbers(part) for name, part in groups.items() if "/" in name}
        return {"generation": ({} if overall is None else {"overall": overall}) | tasks} | numbers

    def report(self, records: Sequence[Record], candidate: Callable[[], Candidate]) -> dict[str, Any]:
        """Every group by kind of question, the Frechet distance of the drawn scenes, and the detector's accuracy."""
        details: dict[str, Any] = {}
        for name, group in _by(records, lambda one: one.item.category).items():
            if "/" not in name:
                parts = _by(group, _part)
                details[name] = {part: _numbers(parts[part]) for part in sorted(parts)}
        painted = [one for one in records if one.item.category == PAINTED and one.answer]
        if len(painted) > 1:
            images = [tables.opened(Path(one.answer[0])) for one in painted]
            pairs = [self.questions[one.item.id] for one in painted]
            details["frechet_distance"] = drawing.distances(candidate(), images, pairs)
        right = num_right(SceneDetector.load(), seed=self.seed, n=JUDGED_SCENES)
        accuracy = proportion([True] * right + [False] * (JUDGED_SCENES - right))
        return {"judge": {"accuracy": accuracy.as_json()}, "details": details}


def _belongs(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}/")


def _by(records: Sequence[Record], key: Callable[[Record], str]) -> dict[str, list[Record]]:
    parts: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        parts[key(record)].append(record)
    return parts


def _detail(record: Record, name: str) -> Any:
    return None if record.verdict is None else record.verdict.details.get(name)


def _part(record: Record) -> str:
    return str(_detail(record, "part"))


def _right(records: Sequence[Record]) -> Proportion:
    return proportion(one.verdict is not None and one.verdict.score == 1 for one in records)


def _exact(records: Sequence[Record]) -> Proportion:
    """The proportion of what shows nothing but what was asked for."""
    return proportion(_detail(one, "exact") is True for one in records)


def _both(right: Proportion, exact: Proportion) -> dict[str, Any]:
    return right.as_json() | {"exact": exact.as_json()}


def _numbers(records: Sequence[Record]) -> dict[str, Any]:
    drawn = GROUPS[records[0].item.category].exact
    return _both(_right(records), _exact(records)) if drawn else _right(records).as_json()
