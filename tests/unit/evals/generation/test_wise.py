"""WISE: its prompts by two protocols, the judge's words from the user's copy, and the numbers."""

import json
import math

import pytest
from benchmark_data import wise as data
from benchmark_data import write_picture

from blip3o.errors import DataError, JudgeRefusalError
from blip3o.evals.benchmark import USUAL, Record
from blip3o.evals.generation.wise import Wise

FULL = {"legacy": "Consistency: 2\nRealism: 2\nAesthetic Quality: 2", "verified": "Score: 1"}
NONE = {"legacy": "0\n0\n0", "verified": "0"}


class Says:
    """A judge with a reply for each attempt, the last one for all later ones."""

    name = "a judge of a test"

    def __init__(self, *replies):
        self.replies, self.asked = replies, []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append(
            (settings.system, prompt, len(pictures), settings.temperature, settings.max_tokens, settings.think)
        )
        return self.replies[min(settings.attempt, len(self.replies) - 1)]


@pytest.fixture
def drawn(tmp_path):
    write_picture(tmp_path / "drawn.png")
    return (tmp_path / "drawn.png",)


def read(folder, protocol, *replies):
    data.write(folder / "copy")
    benchmark = Wise(protocol, Says(*replies) if replies else None)
    return benchmark, benchmark.items(folder / "copy")


def numbers(benchmark, items, drawn):
    records = [Record(item=item, answer=drawn, verdict=benchmark.score(item, drawn)) for item in items]
    return benchmark.aggregate(records)


def test_both_formats_hold_the_same_prompts(tmp_path):
    data.write(tmp_path / "copy")
    data.write_mirror(tmp_path / "mirror")
    items = Wise("legacy").items(tmp_path / "copy")
    assert items == Wise("legacy").items(tmp_path / "mirror")
    assert [item.category for item in items] == [
        *("CULTURE", "CULTURE", "TIME", "TIME", "SPACE", "BIOLOGY", "PHYSICS", "CHEMISTRY")
    ]
    assert items[0].prompt == "What is number 1?"
    json.dumps([dict(item.facts) for item in items])


@pytest.mark.parametrize("protocol", Wise.protocols)
def test_the_best_replies_are_full_marks_and_the_worst_are_none(tmp_path, drawn, protocol):
    benchmark, items = read(tmp_path, protocol, FULL[protocol])
    found = numbers(benchmark, items, drawn)
    assert next(iter(found)) == "wiscore"
    assert list(found.values()) == pytest.approx([1] * 7)
    assert (
        numbers(Wise(protocol, Says(NONE[protocol]), script=script(tmp_path, protocol)), items, drawn)["wiscore"] == 0
    )


def script(folder, protocol):
    return folder / "copy" / data.SCRIPTS[protocol]


@pytest.mark.parametrize(("protocol", "max_tokens", "think"), [("legacy", 2000, True), ("verified", 500, False)])
def test_the_judge_is_told_what_the_users_copy_says(tmp_path, drawn, protocol, max_tokens, think):
    benchmark, items = read(tmp_path, protocol, FULL[protocol])
    benchmark.score(items[1], drawn)
    assert isinstance(benchmark.judge, Says)
    words = 'Judge {this}.\nAsked: "What is number 400?"\nMeant: "It is 400 apples."\n'
    assert benchmark.judge.asked == [("Be just.", words, 1, 0.0, max_tokens, think)]


def test_a_reply_without_numbers_is_asked_for_again_three_times(tmp_path, drawn):
    benchmark, items = read(
        tmp_path, "legacy", "", "Consistency: nan", "Consistency: 2\nRealism: 1\nAesthetic Quality: 0"
    )
    verdict = benchmark.score(items[0], drawn)
    assert verdict is not None
    assert verdict.score == pytest.approx(0.8)
    with pytest.raises(JudgeRefusalError, match="no score of prompt 1 in 3 replies"):
        Wise("legacy", Says("", "?"), script=script(tmp_path, "legacy")).score(items[0], drawn)


def test_a_part_of_the_categories_has_no_overall_score(tmp_path, drawn):
    benchmark, items = read(tmp_path, "verified", FULL["verified"])
    found = numbers(benchmark, items[:3], drawn)
    assert math.isnan(found["wiscore"])
    assert found["category/CULTURE"] == found["category/TIME"] == 1


def test_nothing_is_scored_without_a_judge(tmp_path, drawn):
    benchmark, items = read(tmp_path, "legacy")
    assert benchmark.score(items[0], drawn) is None


def test_the_mirror_needs_the_script(tmp_path, drawn):
    data.write(tmp_path / "copy")
    data.write_mirror(tmp_path / "mirror")
    with pytest.raises(DataError, match=r"gpt_eval\.py"):
        Wise("legacy", Says("1")).items(tmp_path / "mirror")
    benchmark = Wise("legacy", Says(FULL["legacy"]), script=script(tmp_path, "legacy"))
    assert numbers(benchmark, benchmark.items(tmp_path / "mirror"), drawn)["wiscore"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("def build(", "is no script of WISE"),
        ("print(1)", "has no build_evaluation_messages"),
        (data.SCRIPT.replace('"user"', '"assistant"'), "has no build_evaluation_messages"),
        (data.SCRIPT.replace("prompt_data['Prompt']", "told(prompt_data)"), "is not understood"),
    ],
)
def test_a_script_that_is_not_understood_is_told(tmp_path, words, fault):
    path = tmp_path / "gpt_eval.py"
    path.write_text(words)
    with pytest.raises(DataError, match=fault):
        Wise("legacy", script=path)


def test_missing_partial_and_mixed_files_are_told(tmp_path, drawn):
    with pytest.raises(DataError, match="is no folder"):
        Wise("legacy").items(tmp_path / "nowhere")
    data.write(tmp_path)
    legacy, verified = (tmp_path / data.PLACES[protocol][0] for protocol in ("legacy", "verified"))
    science = verified / "natural_science_verified.json"
    text = science.read_text()
    science.write_text((legacy / "natural_science.json").read_text().replace("701", "640"))
    with pytest.raises(DataError, match="has the prompt 640, which is none of BIOLOGY, PHYSICS, CHEMISTRY"):
        Wise("verified").items(tmp_path)
    science.write_text(text.replace("Explanation", "Answer"))
    with pytest.raises(DataError, match="has no column Explanation"):
        Wise("verified").items(tmp_path)
    science.write_text(text.replace("761", "641"))
    with pytest.raises(DataError, match="has 1 prompts of WISE twice"):
        Wise("verified").items(tmp_path)
    science.unlink()
    with pytest.raises(DataError, match=r"holds no data_verified/natural_science_verified\.json"):
        Wise("verified").items(tmp_path)


def test_a_missing_picture_is_told_and_none_at_all_is_worth_nothing(tmp_path):
    benchmark, items = read(tmp_path, "legacy", FULL["legacy"])
    with pytest.raises(DataError, match="is no picture"):
        benchmark.score(items[0], (tmp_path / "missing.png",))
    nothing = benchmark.score(items[0], ())
    assert nothing is not None
    assert nothing.score == 0
