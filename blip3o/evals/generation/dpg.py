"""DPG-Bench: does a picture show all that a long prompt tells? (Hu and others, arXiv 2403.05135).

1065 prompts, each with questions about single facts; a question hangs on others (its parents) and counts only where
they are answered yes. Follows `dpg_bench/compute_dpg_bench.py` of https://github.com/TencentQQGYLab/ELLA, whose numbers
come from mPLUG-large: a judge answers here, or mPLUG's answers come from a JSON file:

    {"midjourney3": [{"1": "yes", "2": "no"}, {...}, {...}, {...}], ...}     (item: for each picture, question: answer)
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, BenchmarkOptions, Item, Judge, JudgeCall, Metrics, Record, Verdict
from blip3o.evals.generation.detections import opened

SYSTEM = "Look at the picture and answer the question with one word in small letters, yes or no."
"""For judges that would rather talk; mPLUG is asked the bare question."""


class DpgQuestion(NamedTuple):
    """One fact. `parents`: the numbers of the questions it hangs on; `kind`: "entity - whole (dog)" or the like."""

    number: int
    text: str
    parents: tuple[int, ...]
    kind: str


DpgQuestions = Mapping[int, DpgQuestion]
"""Number -> question, in the order of the file."""


@dataclass(frozen=True, kw_only=True)
class DpgProtocol:
    """What a protocol makes of the file of questions and of an answer."""

    drop_first: bool
    """Whether the first row is lost, as the official reader loses it."""
    replace: bool
    """Whether rows of an item that stand apart from its earlier ones replace them instead of joining them."""
    forgiving: bool
    """Whether what cannot be judged is left out of the numbers, and of the pictures of an item only the last one tells
    what kinds of facts are right; otherwise the one counts 0, and the others tell as well."""
    says_yes: Callable[[str], bool]


PROTOCOLS = {
    "official": DpgProtocol(drop_first=True, replace=True, forgiving=True, says_yes=lambda answer: answer == "yes"),
    "fixed": DpgProtocol(
        drop_first=False,
        replace=False,
        forgiving=False,
        says_yes=lambda answer: answer.strip(" .\n").lower() == "yes",
    ),
}


def questions_of(rows: Iterable[Mapping[str, Any]], rules: DpgProtocol) -> dict[str, dict[int, DpgQuestion]]:
    """Item -> its questions, from the rows of `dpg_bench.csv`."""
    items: dict[str, dict[int, DpgQuestion]] = {}
    previous = None
    for index, row in enumerate(rows):
        if index == 0 and rules.drop_first:
            continue
        item, number = str(row["item_id"]), int(row["proposition_id"])
        if item not in items or (rules.replace and item != previous):
            items[item] = {}
        parents = tuple(int(one) for one in str(row["dependency"]).split(",") if int(one))
        items[item][number] = DpgQuestion(number, row["question_natural_language"], parents, row["tuple"])
        previous = item
    return items


def counted(questions: DpgQuestions, yes: Mapping[int, bool]) -> float:
    """The share of the questions that count as answered yes, 0 to 1.

    In the order of the file a question is set to no where a parent is at no by then, or has no answer but comes later.
    Raises LookupError for a parent that is no question of the item.
    """
    counts = dict(yes)
    for question in questions.values():
        for parent in question.parents:
            if parent not in counts:
                raise LookupError(f"question {question.number} hangs on question {parent}, which does not exist")
            if not counts[parent]:
                counts[question.number] = False
                break
    return sum(counts.values()) / len(counts)


class Answered(NamedTuple):
    """What the questions say of the pictures of an item. `facts`: kind and unzeroed answer, of the last picture by the
    official rule, else of all."""

    pictures: list[float]
    facts: list[tuple[str, bool]]

    @property
    def average(self) -> float:
        """The item's score, 0 to 1."""
        return sum(self.pictures) / len(self.pictures)


def answered(questions: DpgQuestions, answers: Sequence[Mapping[int, str]], rules: DpgProtocol) -> Answered:
    """From the answers about each picture to an item's score.

    Raises LookupError for an item that the official script skips: there is nothing to ask, or a parent is missing;
    DataError where an answer is.
    """
    if not questions or not answers:
        raise LookupError(f"{len(questions)} questions about {len(answers)} pictures: there is nothing to ask")
    scores: list[float] = []
    facts: list[tuple[str, bool]] = []
    for index, given in enumerate(answers):
        missing = questions.keys() - given.keys()
        if missing:
            raise DataError(f"picture {index} has no answer to question {min(missing)}: ask it again")
        yes = {number: rules.says_yes(given[number]) for number in questions}
        scores.append(counted(questions, yes))
        told = [(questions[number].kind, value) for number, value in yes.items()]
        facts = told if rules.forgiving else facts + told
    return Answered(scores, facts)


def kind_of(text: str) -> tuple[str, str]:
    """The broad and the detailed category of a fact: "entity" and "entity - whole" of "entity - whole (dog)"."""
    detailed = text.split("(")[0].strip()
    return detailed.split("-")[0].strip(), detailed


class DpgSummary(NamedTuple):
    """Percent: of all items, by broad category, and by detailed one."""

    score: float
    broad: Metrics
    detailed: Metrics


def reported(items: Sequence[Answered]) -> DpgSummary:
    """The numbers of items; nan where there are none."""
    broad: dict[str, list[float]] = {}
    detailed: dict[str, list[float]] = {}
    for kind, yes in (fact for item in items for fact in item.facts):
        for groups, name in zip((broad, detailed), kind_of(kind), strict=True):
            groups.setdefault(name, []).append(float(yes))
    shares = ({name: _percent(groups[name]) for name in sorted(groups)} for groups in (broad, detailed))
    return DpgSummary(_percent([item.average for item in items]), *shares)


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values) if values else float("nan")


def crop(picture: Image.Image, box: tuple[int, int, int, int] | None) -> Image.Image:
    """A part of a picture in px (left, top, right, bottom); None is all of it."""
    return picture if box is None else picture.crop(box)


def tiles(side: int) -> tuple[tuple[int, int, int, int], ...]:
    """The parts of a grid of four pictures with sides of `side` px, row by row."""
    return tuple((x, y, x + side, y + side) for y in (0, side) for x in (0, side))


class DpgBench(Benchmark):
    """Reads `dpg_bench.csv` and `prompts/<item>.txt`.

    "official" loses the first row of the table, and with it an item whose other questions hang on that one; "fixed"
    does not, and forgives a judge a capital or a full stop. With `grid`, an answer is one picture of four in a square.
    """

    name = "dpg"
    kind = "generation"
    protocols = tuple(PROTOCOLS)
    needs_judge = True
    heeds = frozenset({"ready"})

    def __init__(
        self,
        protocol: str,
        judge: Judge | None = None,
        *,
        answers: Path | Mapping[str, Any] | None = None,
        grid: bool = False,
    ) -> None:
        super().__init__(protocol, judge)
        self._rules, self._grid = PROTOCOLS[protocol], grid
        ready = tables.read_json(answers) if isinstance(answers, Path) else answers
        if ready is not None and not isinstance(ready, Mapping):
            raise DataError(f"{answers} is no object: expected item -> for each picture, question -> answer")
        self._answers: Mapping[str, Any] | None = ready

    @classmethod
    def build(cls, protocol: str, options: BenchmarkOptions) -> Benchmark:
        if options.ready is None:
            return cls(protocol, options.judge)
        benchmark = cls(protocol, answers=options.ready)
        benchmark.scorer = options.ready_name
        return benchmark

    def items(self, folder: Path) -> list[Item]:
        path = tables.need(folder, "DPG-Bench", "dpg_bench.csv")
        prompts = tables.need(folder, "DPG-Bench's prompts", "prompts/*.txt").parent
        rows = tables.read_table(path)
        for row in rows[:1]:
            for name in ("item_id", "proposition_id", "dependency", "tuple", "question_natural_language"):
                tables.column(row, path, name)
        try:
            table, whole = (questions_of(rows, rules) for rules in (self._rules, PROTOCOLS["fixed"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} has a row that is no question ({error}): copy it again") from error
        texts = {one.stem: tables.read_text(one).strip() for one in sorted(prompts.glob("*.txt"))}
        _check(path, prompts, whole, texts.keys())
        asked = {name: {"questions": [list(question) for question in table.get(name, {}).values()]} for name in texts}
        return [
            Item(id=name, prompt=text, category=name.rstrip("0123456789"), facts=asked[name], count=4)
            for name, text in texts.items()
        ]

    def score(self, item: Item, answer: Answer) -> Verdict | None:
        """The mean over the pictures of the share of questions that count as answered yes.

        What the official script skips is scored 0, marked, and by "official" left out of the metrics. Raises DataError
        for a picture that cannot be read, or of which there are not all answers.
        """
        if self.judge is None and self._answers is None:
            return None
        questions = {row[0]: DpgQuestion(row[0], row[1], tuple(row[2]), row[3]) for row in item.facts["questions"]}
        answers = self._asked(questions, answer) if self._answers is None else self._given(item.id, self._answers)
        try:
            found = answered(questions, answers, self._rules)
        except LookupError as error:
            if self._rules.forgiving or not questions:
                return Verdict(score=0.0, details={"left_out": str(error)})
            found = Answered([0.0] * item.count, [(one.kind, False) for one in questions.values()] * item.count)
        facts = [[kind, yes] for kind, yes in found.facts]
        return Verdict(score=found.average, parsed=found.pictures, details={"facts": facts})

    def _asked(self, questions: DpgQuestions, answer: Answer) -> list[dict[int, str]]:
        assert self.judge is not None
        settings = JudgeCall(system=SYSTEM, max_tokens=16, think=False)
        judge, pictures = self.judge, [part for path in answer for part in self._parts(Path(path))]
        return [
            {number: judge.ask(one.text, [picture], settings=settings) for number, one in questions.items()}
            for picture in pictures
        ]

    def _parts(self, path: Path) -> list[Image.Image]:
        picture = opened(path)
        return [crop(picture, box) for box in (tiles(picture.width // 2) if self._grid else (None,))]

    def _given(self, item: str, ready: Mapping[str, Any]) -> list[dict[int, str]]:
        if item not in ready:
            raise DataError(f"the answers hold nothing of item {item}: expected a list, an entry for each picture")
        try:
            return [{int(number): str(text) for number, text in picture.items()} for picture in ready[item]]
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(f"the answers of item {item} are no list of objects, question -> answer") from error

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The mean of the items in percent, as published; then of the last picture's unzeroed answers, by category."""
        verdicts = [record.verdict for record in records if record.verdict is not None]
        items = [
            Answered(one.parsed, [(kind, yes) for kind, yes in one.details["facts"]])
            for one in verdicts
            if "left_out" not in one.details
        ]
        found = reported(items)
        return (
            {"dpg": found.score}
            | {f"category/{name}": value for name, value in found.broad.items()}
            | {f"detail/{name}": value for name, value in found.detailed.items()}
        )


def _check(path: Path, prompts: Path, table: Mapping[str, DpgQuestions], names: Collection[str]) -> None:
    """Raises DataError where questions and prompts are not of the same items, or a parent is missing."""
    for name in table.keys() - set(names):
        raise DataError(f"{prompts} holds no {name}.txt, of which {path} asks: put all prompts there")
    for name in set(names) - table.keys():
        raise DataError(f"{path} asks nothing of {name}, which has a prompt: copy the table again")
    for name, questions in table.items():
        strange = {parent for question in questions.values() for parent in question.parents} - questions.keys()
        if strange:
            raise DataError(f"{path}: a question of {name} hangs on question {min(strange)}, which does not exist")
