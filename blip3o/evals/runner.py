"""Asks a model the items of a benchmark, in batches, over several processes, and after a kill only what is missing."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from blip3o.errors import ConfigError, DataError, JudgeError, JudgeRefusalError, PictureError, PromptError, UserError
from blip3o.evals.benchmark import Answer, Benchmark, Item, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.evals.results import Answers, Identity, Line, append, digest, keep_picture, line_of, result_of
from blip3o.evals.saved_results import answer_of
from blip3o.evals.tables import Made, opened
from blip3o.evals.understanding.prompts import LETTER, SHORT

RunProgress = Callable[[str, int, int, float | None], None]
"""Hears of the benchmark, its items done, its items in all, and the mean score so far."""
BARE = "+bare"
"""What a protocol is marked with whose instructions were left out."""
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a benchmark is run."""

    folder: Path
    """For the results."""
    limit: int | None = None
    """Only the first items, of a benchmark in groups those of each; the result is then marked as not complete."""
    batch: int = 16
    seed: int = 0
    bare: bool = False
    """Leave out the instruction after a question, for a model that does not know its words."""
    restart: bool = False
    """Forget the answers of an earlier run."""
    concurrency: int = 8
    """Answers that a judge is asked about at a time."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit is {self.limit}: expected 1 or more items")


class BenchmarkRun:
    """One benchmark, one model, one folder of results."""

    def __init__(
        self,
        benchmark: Benchmark,
        items: Sequence[Item],
        model: Mapping[str, Any],
        candidate: Callable[[], Candidate],
        plan: Plan,
    ) -> None:
        self.benchmark, self.plan, self.model = benchmark, plan, dict(model)
        self.items = [_bare(item) if plan.bare else item for item in _checked(benchmark, items)]
        self.bare = any(mine.prompt != own.prompt for mine, own in zip(self.items, items, strict=True))
        self.candidate = candidate
        """Gives the model; called only where something is left to ask."""
        self.answers = Answers(plan.folder, benchmark.name)
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))

    @cached_property
    def identity(self) -> Identity:
        """Whose numbers they will be."""
        return Identity(
            benchmark=self.benchmark.name,
            protocol=self.benchmark.protocol + (BARE if self.bare else ""),
            model=self.model,
            seed=self.plan.seed,
            digest=digest(self.items),
        )

    def go(self, progress: RunProgress = lambda name, done, total, mean: None) -> dict[str, Any]:
        """Ask and score what is not yet there, and write the result, also of a part where it is stopped.

        Of several processes only the first gives and writes a result, when all are done.
        """
        if self.plan.restart and self.world > 1:
            raise ConfigError("restart is for one process: remove the results, or name another --output")
        if self.plan.restart:
            self.answers.forget()
        self.answers.check(self.identity)
        self.answers.unmark(self.rank)  # else the first process would take an earlier run's mark for this one's
        lines = self.answers.read()
        if self.rank == 0:  # written before anything is asked, so that a killed run says whose answers lie there
            self._write(lines, numbers=False)
        chosen = self.benchmark.first(self.items, self.plan.limit)
        try:
            self._work(chosen[self.rank :: self.world], lines, progress)
        except BaseException:
            if self.rank == 0:
                self._write(self.answers.read(), numbers=False)
            raise
        if self.rank > 0:
            self.answers.mark(self.rank)
            return {}
        while not self.answers.marked(range(1, self.world)):
            time.sleep(POLL_S)
        lines = self.answers.read()
        self.answers.finish([lines[item.id] for item in self.items if item.id in lines])
        return self._write(lines, numbers=True)

    def _work(self, mine: Sequence[Item], lines: dict[str, Line], progress: RunProgress) -> None:
        """Score again what is to be, ask what is missing; every line goes to the file of this process at once."""
        path = self.answers.part(self.rank)
        self._rescore([item for item in mine if item.id in lines], lines, path)
        scores = [lines[item.id]["score"] for item in mine if item.id in lines]
        left = [item for item in mine if item.id not in lines]
        for chunk in self.benchmark.batches(left, self.plan.batch):
            answered = self._answered_lines(chunk)
            append(path, answered)
            scores += [line["score"] for line in answered]
            numbers = [score for score in scores if score is not None]
            progress(self.benchmark.name, len(scores), len(mine), sum(numbers) / len(numbers) if numbers else None)

    def _write(self, lines: Mapping[str, Line], *, numbers: bool) -> dict[str, Any]:
        candidate = self.candidate if numbers else None
        result = result_of(self.benchmark, self.identity, self.items, lines, self.plan.folder, candidate)
        self.answers.write_result(result)
        return result

    # --- one batch --------------------------------------------------------------------------------------------------

    def _answered_lines(self, chunk: Sequence[Item]) -> list[Line]:
        answers, notes = zip(*self._answered(chunk), strict=True)
        return self._scored(list(zip(chunk, answers, notes, strict=True)))

    def _answered(self, chunk: Sequence[Item]) -> list[tuple[Answer, dict[str, str]]]:
        """An answer for each item; what a model cannot be asked is answered by nothing, with the reason."""
        try:
            responses = self.benchmark.ask(chunk, self.candidate(), self.plan.seed)
        except (PromptError, PictureError) as error:
            if len(chunk) == 1:
                return [(self._nothing, {"refused": str(error)})]
            middle = len(chunk) // 2  # halved until what is refused stands alone: the others of its batch are answered
            return self._answered(chunk[:middle]) + self._answered(chunk[middle:])
        return [(self._kept(item, response), {}) for item, response in zip(chunk, responses, strict=True)]

    @property
    def _nothing(self) -> "str | tuple[()]":
        """A missing answer."""
        return "" if self.benchmark.kind == "understanding" else ()

    def _kept(self, item: Item, response: Response) -> Answer:
        """The answer, its pictures and those that the benchmark made for the item in files."""
        for picture in item.pictures:
            if isinstance(picture, Made):
                keep_picture(opened(picture), self.plan.folder / picture.path)
        if isinstance(response, str):
            return response
        folder, names = self.plan.folder / self.benchmark.name, iter(_files(item))
        return tuple(part if isinstance(part, str) else keep_picture(part, folder / next(names)) for part in response)

    # --- scoring ----------------------------------------------------------------------------------------------------

    def _scored(self, answers: Sequence[tuple[Item, Answer, dict[str, str]]]) -> list[Line]:
        """The lines of answers, each with what is noted of it; a judge is asked about several at a time."""

        def scored(answered: tuple[Item, Answer, dict[str, str]]) -> Line:
            item, answer, notes = answered
            verdict, more = self._verdict(item, answer)
            return line_of(item, answer, verdict, notes | more, self.plan.folder)

        with ThreadPoolExecutor(self.plan.concurrency if self.benchmark.judge is not None else 1) as pool:
            return list(pool.map(scored, answers))

    def _verdict(self, item: Item, answer: Answer) -> tuple[Verdict | None, dict[str, str]]:
        scorer = {} if self.benchmark.scorer is None else {"judge": self.benchmark.scorer}
        try:
            return self.benchmark.score(item, answer), scorer
        except (JudgeRefusalError, PictureError) as error:
            return self.benchmark.score(item, self._nothing), scorer | {"unscored": str(error)}
        except (JudgeError, DataError) as error:
            return None, scorer | {"not_scored": str(error)}

    def _rescore(self, items: Sequence[Item], lines: dict[str, Line], path: Path) -> None:
        """Score answers again that have no score yet, or none of this judge's own; without a judge scores stay."""
        stale = [item for item in items if self._is_stale(lines[item.id])]
        for chunk in self.benchmark.batches(stale, self.plan.batch):
            old = [(item, lines[item.id]) for item in chunk]
            refused = [{"refused": line["refused"]} if "refused" in line else {} for _, line in old]
            answers = [answer_of(line, self.plan.folder) for _, line in old]
            again = self._scored(list(zip(chunk, answers, refused, strict=True)))
            append(path, again)
            lines |= {line["id"]: line for line in again}

    def _is_stale(self, line: Line) -> bool:
        scorer = self.benchmark.scorer
        return line["score"] is None or (
            scorer is not None and ("unscored" in line or scorer != line.get("judge", scorer))
        )


def read(benchmark: Benchmark, folder: Path) -> list[Item]:
    """The items of a data set in a folder. Raises DataError, also for files of a form that is not the benchmark's."""
    try:
        return benchmark.items(folder)
    except UserError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        raise DataError(
            f"{folder} holds files that are not of {benchmark.name}'s form ({reason}): copy them again"
        ) from error


def _checked(benchmark: Benchmark, items: Sequence[Item]) -> Sequence[Item]:
    if not items:
        raise DataError(f"{benchmark.name} has no items in this folder: is it another split or data set?")
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise DataError(f"{benchmark.name} has two items {item.id!r}: are two copies of the data in one folder?")
        seen.add(item.id)
    names = [name for item in items for name in _files(item)] if benchmark.kind != "understanding" else []
    if len(set(names)) < len(names):
        raise DataError(f"{benchmark.name} has items whose pictures would bear one name: are two copies in one folder?")
    return items


def _files(item: Item) -> tuple[str, ...]:
    """The names of the pictures drawn of an item."""
    own = [f"{item.id}-{index}" if item.count > 1 else item.id for index in range(item.count)]
    return item.files or tuple(f"{name.replace('/', '-')}.png" for name in own)


def _bare(item: Item) -> Item:
    return replace(item, prompt=item.prompt.removesuffix(SHORT).removesuffix(LETTER))
