"""MMBench: both formats hold the same questions, and a question is right only where all its rotations are."""

import csv
import math

import pytest
from benchmark_data import looked_at
from benchmark_data import mmbench as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import USUAL, Record
from blip3o.evals.understanding import mmbench
from blip3o.evals.understanding.mmbench import Mmbench


class Scripted:
    """A judge that says what it is told to say."""

    name = "scripted"

    def __init__(self, *replies):
        self.replies, self.asked = replies, []

    def ask(self, prompt, pictures=(), settings=USUAL):
        self.asked.append((prompt, settings.attempt))
        return self.replies[settings.attempt]


def answered(benchmark, items, answer):
    return [Record(item=item, answer=answer(item), verdict=benchmark.score(item, answer(item))) for item in items]


def right(item):
    return item.facts["answer"]


@pytest.fixture
def items(tmp_path):
    data.write(tmp_path)
    return Mmbench("vlmevalkit").items(tmp_path)


@pytest.mark.parametrize("protocol", Mmbench.protocols)
def test_both_formats_hold_the_same_items(tmp_path, protocol):
    made = []
    for write, folder in ((data.write, tmp_path / "official"), (data.write_mirror, tmp_path / "mirror")):
        folder.mkdir()
        write(folder)
        made.append(Mmbench(protocol).items(folder))
    assert looked_at(made[0]) == looked_at(made[1])
    assert len({item.id for item in made[0]}) == len(made[0]) == 9
    assert answered_all(protocol, made[0]) == {
        "accuracy": 100,
        "accuracy/naming": 100,
        "accuracy/telling": 100,
        "accuracy/color_telling": 100,
        "accuracy/object_naming": 100,
        "accuracy/place_telling": 100,
    }


def answered_all(protocol, items):
    benchmark = Mmbench(protocol)
    return benchmark.aggregate(answered(benchmark, items, right))


def test_prompts_leave_out_what_a_row_does_not_have(items, tmp_path):
    assert items[4].prompt == (
        "Hint: The bench is old.\nQuestion: Is the bench red?\nOptions:\nA. yes\nB. no\n"
        "Please select the correct answer from the options above. \n"
    )
    assert Mmbench("lmms-static").items(tmp_path)[0].prompt == (
        "Which fruit is it? There are several options:\nA. plum\nB. pear\nC. fig\nD. quince\n\n"
        "Answer with the option's letter from the given choices directly."
    )


def test_one_wrong_rotation_makes_its_question_wrong(items):
    benchmark = Mmbench("vlmevalkit")
    records = answered(benchmark, items, lambda item: "Q" if item.id == "2000003" else right(item))
    assert benchmark.aggregate(records)["accuracy"] == pytest.approx(100 * 2 / 3)
    assert benchmark.aggregate(records)["accuracy/naming"] == 0


def test_a_part_counts_whole_questions_only(items):
    benchmark = Mmbench("vlmevalkit")
    records = answered(benchmark, items, right)
    assert benchmark.aggregate(records[:5]) == {"accuracy": 100, "accuracy/naming": 100, "accuracy/object_naming": 100}
    assert math.isnan(benchmark.aggregate(records[:3])["accuracy"])


@pytest.mark.parametrize("answer", ["", " ", "nan", "\n\n", "😀", "A or B"])
@pytest.mark.parametrize("protocol", Mmbench.protocols)
def test_an_answer_that_names_nothing_is_wrong(items, protocol, answer):
    verdict = Mmbench(protocol).score(items[0], answer)
    assert verdict.score == 0


def test_a_judge_is_asked_only_about_what_the_rule_leaves_open(items):
    judge = Scripted("no idea", "B")
    benchmark = Mmbench("vlmevalkit", judge)
    assert benchmark.score(items[0], "B").details == {"by": "rule"}
    assert not judge.asked
    assert benchmark.score(items[0], "some yellowish fruit with a stem").score == 1
    assert [attempt for _, attempt in judge.asked] == [0, 1]
    assert "Question: Which fruit is it??\nOptions: There are several options: \nA. plum\n" in judge.asked[0][0]


def test_a_judge_that_names_nothing_leaves_it_to_chance_which_is_the_same_each_time(items):
    verdicts = [Mmbench("vlmevalkit", Scripted("?", "?", "?")).score(items[0], "something") for _ in range(3)]
    assert verdicts[0].parsed in [*items[0].facts["options"], "Z"]
    assert verdicts[0].details == {"by": "chance"}
    assert verdicts[0] == verdicts[1] == verdicts[2]


def test_the_test_split_and_missing_files_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Mmbench("vlmevalkit").items(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no"):
        Mmbench("vlmevalkit").items(tmp_path)
    data.write(tmp_path)
    path = tmp_path / "MMBench_DEV_EN.tsv"
    whole = path.read_text()
    path.write_text(whole.replace("\tdev", "\ttest"))
    with pytest.raises(DataError, match="no rows of the dev split"):
        Mmbench("vlmevalkit").items(tmp_path)
    path.write_text(whole.replace("\tanswer\t", "\treply\t"))
    with pytest.raises(DataError, match="has no column answer"):
        Mmbench("vlmevalkit").items(tmp_path)


def test_a_picture_or_an_answer_that_is_missing_is_told(tmp_path):
    data.write(tmp_path)
    path = tmp_path / "MMBench_DEV_EN.tsv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for column, message in (("image", "has no picture"), ("answer", "question 3, has no right answer")):
        broken = [rows[0] | {column: ""}, *rows[1:]]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t")
            writer.writeheader()
            writer.writerows(broken)
        with pytest.raises(DataError, match=message):
            Mmbench("vlmevalkit").items(tmp_path)


def test_a_file_that_is_cut_is_told(tmp_path):
    data.write(tmp_path)
    path = tmp_path / "MMBench_DEV_EN.tsv"
    path.write_text(path.read_text()[:-60])
    with pytest.raises(DataError, match="cut short"):
        Mmbench("vlmevalkit").items(tmp_path)


def test_cells_that_the_files_leave_empty_are_no_options():
    assert mmbench.options_of({"A": "x", "B": "nan", "C": None, "D": float("nan"), "E": ""}) == {"A": "x"}


@pytest.mark.parametrize("name", ["MMBench_DEV_EN.tsv", "mmbench_dev_en_20231003.tsv", "mmbench_dev_20230712.tsv"])
def test_the_english_table_is_found_beside_others_and_named(tmp_path, name):
    data.write(tmp_path)
    (tmp_path / "MMBench_DEV_EN.tsv").rename(tmp_path / name)
    for other in ("mmbench_dev_cn_20231003.tsv", "CCBench.tsv", "MMBench_TEST_EN.tsv"):
        (tmp_path / other).write_text("index\tquestion\n1\tx\n")
    benchmark = Mmbench("vlmevalkit")
    assert len(benchmark.items(tmp_path)) == 9
    assert benchmark.read == name


@pytest.mark.parametrize("name", ["CCBench.tsv", "mmbench_dev_cn_20231003.tsv", "MMBench_TEST_EN.tsv"])
def test_another_table_does_not_pass_for_it(tmp_path, name):
    data.write(tmp_path)
    (tmp_path / "MMBench_DEV_EN.tsv").rename(tmp_path / name)
    with pytest.raises(DataError, match=f"holds {name}, none of which is MMBench's English dev set"):
        Mmbench("vlmevalkit").items(tmp_path)


def test_two_english_tables_are_refused_by_name(tmp_path):
    data.write(tmp_path)
    (tmp_path / "MMBench_DEV_EN_V11.tsv").write_bytes((tmp_path / "MMBench_DEV_EN.tsv").read_bytes())
    with pytest.raises(DataError, match=r"holds MMBench_DEV_EN\.tsv, MMBench_DEV_EN_V11\.tsv: leave the one"):
        Mmbench("vlmevalkit").items(tmp_path)


def test_the_chinese_half_of_the_mirror_is_refused_and_the_english_one_is_chosen(tmp_path):
    data.write_mirror(tmp_path)
    (tmp_path / "en").rename(tmp_path / "cn")
    with pytest.raises(DataError, match=r"holds cn/dev-00000-of-00001\.parquet, none of which"):
        Mmbench("vlmevalkit").items(tmp_path)
    data.write_mirror(tmp_path)
    assert len(Mmbench("vlmevalkit").items(tmp_path)) == 9


def test_an_empty_answer_is_wrong_without_asking_the_judge(items):
    judge = Scripted("A", "A", "A")
    verdict = Mmbench("vlmevalkit", judge).score(items[0], " ")
    assert (verdict.score, judge.asked) == (0, [])
