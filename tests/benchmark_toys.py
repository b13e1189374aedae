"""A benchmark of forty questions, models that answer them, judges that grade them, and a run of these."""

import os

from blip3o.errors import JudgeError, PromptError
from blip3o.evals.benchmark import USUAL, Benchmark, Item, Verdict
from blip3o.evals.runner import BenchmarkRun, Plan

MODEL = {"name": "toy", "parameters": {"all": 1}}


class Unasked:
    """A candidate that may not be asked for what a test does not mean."""

    def _unasked(self, *_, **__):
        raise AssertionError("asked for something else")

    generate = edit = understand = caption = reply = features = info = _unasked


class Words(Unasked):
    """Answers a question with a word of its own; keeps what it was asked."""

    def __init__(self, stop_after=None, refuses=""):
        self.asked, self.stop_after, self.refuses = [], stop_after, refuses

    def understand(self, images, questions, *, max_tokens=64, batch_size=16):
        if self.refuses and any(self.refuses in question for question in questions):
            raise PromptError(f"it does not know {self.refuses}")
        for question in questions:
            self.asked.append(question)
            if len(self.asked) == self.stop_after:
                os._exit(9)
        return ["yes" if len(question) % 2 else "no" for question in questions]


class Many(Benchmark):
    """Forty questions, or pictures to draw, scored by their length."""

    name = "many"
    kind = "understanding"
    protocols = ("official",)
    mirror = "nobody/many"

    def items(self, folder):
        return [Item(id=str(number), prompt="x" * number, unit=f"u{number // 2}") for number in range(1, 41)]

    def score(self, item, answer) -> Verdict | None:
        return Verdict(score=float(len(item.prompt) % 3 == 0), parsed=str(answer))

    def aggregate(self, records):
        return {"accuracy": sum(record.verdict.score for record in records if record.verdict) / len(records)}


class Judged(Many):
    """Scored by a judge."""

    needs_judge = True

    def score(self, item, answer):
        return None if self.judge is None else Verdict(score=float(self.judge.ask(item.prompt)))


class Scripted:
    """A judge that fails for what is longer than it likes."""

    def __init__(self, name: str, longest: int = 100) -> None:
        self.name, self.longest = name, longest

    def ask(self, prompt, pictures=(), settings=USUAL) -> str:
        if len(prompt) > self.longest:
            raise JudgeError("too long")
        return "1"


def run(tmp_path, benchmark=None, candidate=None, **plan):
    benchmark = benchmark or Many("official")
    made = candidate or Words()
    planned = Plan(folder=tmp_path / "out", **plan)
    return BenchmarkRun(benchmark, benchmark.items(tmp_path), MODEL, lambda: made, planned)
