"""The best models by a score are checkpoints in the run's folder, also of a run that was stopped in between."""

import errno

import pytest

from blip3o.errors import OutputError
from blip3o.train.best import BestCheckpoints
from blip3o.train.states import KeptConfig
from blip3o.weights import checkpoint


@pytest.fixture
def model(awake, tiny, words):
    from blip3o.pipeline.pipeline import Pipeline

    return awake(Pipeline(tiny.model, words))


def names(folder):
    return sorted(path.name for path in (folder / "best").glob("*"))


@pytest.mark.parametrize(("lowest", "left"), [(False, ["s-000002", "s-000004"]), (True, ["s-000001", "s-000003"])])
def test_the_best_stay_however_often_the_run_is_stopped(model, tmp_path, lowest, left):
    config = KeptConfig(best=2, by="overall", lowest=lowest)
    for step, score in ((1, 0.2), (2, 0.9), (3, 0.1), (4, 0.5)):
        BestCheckpoints(tmp_path, config).add(model, "s", step, {"overall": score, "other": -score})
    assert names(tmp_path) == left
    _, about = checkpoint.load(tmp_path / "best" / left[0])
    assert about["overall"] == (0.2 if lowest else 0.9)


def test_scores_without_the_one_that_counts_keep_nothing(model, tmp_path):
    BestCheckpoints(tmp_path, KeptConfig(best=1, by="overall")).add(model, "s", 1, {"vqa": 1.0})
    assert names(tmp_path) == []


def test_a_model_kept_by_another_score_makes_room_first(model, tmp_path):
    BestCheckpoints(tmp_path, KeptConfig(best=1, by="vqa")).add(model, "s", 1, {"vqa": 9.0})
    BestCheckpoints(tmp_path, KeptConfig(best=1, by="overall")).add(model, "s", 2, {"overall": 0.1})
    assert names(tmp_path) == ["s-000002"]


def test_a_full_disk_keeps_the_best_of_before(model, tmp_path, monkeypatch):
    best = BestCheckpoints(tmp_path, KeptConfig(best=1, by="overall"))
    best.add(model, "s", 1, {"overall": 0.1})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match="No space left on device"):
        best.add(model, "s", 2, {"overall": 0.2})
    assert names(tmp_path) == ["s-000001"]
    checkpoint.load(tmp_path / "best" / "s-000001")
