"""SEED-Bench: both formats hold the same questions, and pictures count apart from videos."""

import json
import shutil

import pytest
from benchmark_data import seedbench as data

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.understanding.seedbench import Seedbench


def answered(benchmark, items, answer):
    return [Record(item=item, answer=answer(item), verdict=benchmark.score(item, answer(item))) for item in items]


def right(item):
    return item.facts["answer"]


@pytest.fixture
def items(tmp_path):
    data.write(tmp_path)
    return Seedbench("lmms").items(tmp_path)


@pytest.mark.parametrize("protocol", Seedbench.protocols)
def test_both_formats_hold_the_same_questions(tmp_path, protocol):
    benchmark, made = Seedbench(protocol), []
    for write, folder in ((data.write, tmp_path / "official"), (data.write_mirror, tmp_path / "mirror")):
        folder.mkdir()
        write(folder)
        items = benchmark.items(folder)
        made.append([(item.id, item.prompt, item.category, item.facts, len(item.pictures)) for item in items])
        metrics = benchmark.aggregate(answered(benchmark, items, right))
        assert list(metrics)[:3] == ["image", "video", "all"]
        assert set(metrics.values()) == {100}
    assert made[0] == made[1]
    assert len({row[0] for row in made[0]}) == len(made[0]) == 5


def test_a_question_and_its_pictures(items):
    assert items[0].prompt == (
        "What season is it?\nA. Autumn\nB. Spring\nC. Winter\nD. Summer\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert [len(item.pictures) for item in items] == [1, 1, 1, data.NUM_FRAMES, data.NUM_FRAMES]
    assert [path.name for path in items[3].pictures] == ["1.png", "2.png", "3.png"]


def test_pictures_count_apart_from_videos_and_what_is_not_asked_is_left_out(items):
    benchmark = Seedbench("lmms")
    records = answered(benchmark, items, lambda item: "A")
    assert benchmark.aggregate(records)["image"] == pytest.approx(100 / 3)
    assert benchmark.aggregate(records)["video"] == 50
    assert benchmark.aggregate(records)["all"] == 40
    assert benchmark.aggregate(records[:1]) == {"image": 0, "all": 0, "all/Scene Understanding": 0}
    assert benchmark.aggregate(records[3:4]).keys() == {"video", "all", "all/Action Recognition"}


@pytest.mark.parametrize("answer", ["", " ", "nan", "\n", "😀", "Z"])
@pytest.mark.parametrize("protocol", Seedbench.protocols)
def test_an_answer_that_names_nothing_is_wrong(items, protocol, answer):
    assert [Seedbench(protocol).score(item, answer).score for item in items] == [0] * 5


def test_questions_about_videos_are_left_out_where_there_are_no_frames(tmp_path):
    data.write(tmp_path)
    shutil.rmtree(tmp_path / "v1_video")
    assert [item.facts["medium"] for item in Seedbench("lmms").items(tmp_path)] == ["image"] * 3


def test_missing_and_partial_data_are_told(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Seedbench("lmms").items(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no"):
        Seedbench("lmms").items(tmp_path)
    data.write(tmp_path)
    (tmp_path / "SEED-Bench-image" / "ICDAR_3").unlink()
    with pytest.raises(DataError, match="holds no picture ICDAR_3"):
        Seedbench("lmms").items(tmp_path)
    shutil.rmtree(tmp_path / "v1_video" / "task10" / "ssv2_8_frame" / "v7")
    (tmp_path / "SEED-Bench-image" / "ICDAR_3").touch()
    with pytest.raises(DataError, match="holds no picture v7"):
        Seedbench("lmms").items(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question_type_id": 17}, "no kind of SEED-Bench v1"),
        ({"answer": ""}, "question 101, has no answer"),
    ],
)
def test_another_set_is_told(tmp_path, change, message):
    data.write(tmp_path)
    path = tmp_path / "SEED-Bench.json"
    content = json.loads(path.read_text())
    content["questions"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        Seedbench("lmms").items(tmp_path)
    path.write_text("[]")
    with pytest.raises(DataError, match="has no questions"):
        Seedbench("lmms").items(tmp_path)
