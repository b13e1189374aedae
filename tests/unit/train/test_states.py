"""Saved states: whole or not there, as many as asked for, and a damaged one is told and passed over."""

import json

import pytest

from blip3o.errors import CheckpointError, ConfigError, OutputError
from blip3o.train import states
from blip3o.train.states import DIGEST, KeptConfig, States, fault_of


@pytest.fixture
def told():
    return []


@pytest.fixture
def kept(tmp_path, told):
    return States(tmp_path, 2, told.append)


def write(kept, step, stage="tower", halfway=lambda: None):
    with kept.writing(stage, step) as folder:
        (folder / "state.bin").write_bytes(f"{stage} {step} ".encode() * 100)
        halfway()
        (folder / "more.bin").write_bytes(b"more")


def names(kept):
    return sorted(path.name for path in kept.folder.iterdir())


def test_the_newest_states_are_kept_by_their_steps_and_not_by_their_names(kept):
    for step in (8, 999_998, 1_000_000):
        write(kept, step)
    assert names(kept) == ["tower-1000000", "tower-999998"]
    assert kept.newest("tower").name == "tower-1000000"


def test_states_of_another_stage_are_none_of_this(kept):
    write(kept, 4, "tower-2")
    write(kept, 2)
    assert kept.newest("tower").name == "tower-000002"
    assert kept.newest("tow") is None
    kept.drop("tower")
    assert names(kept) == ["tower-2-000004"]
    kept.drop("tower-2")
    assert not kept.folder.exists()


def truncate(folder):
    path = folder / "state.bin"
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder):
    path = folder / "state.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "truncated": (truncate, r"state.bin has 799 of 800 bytes"),
    "flipped": (flip, "state.bin holds other bytes than were written"),
    "missing": (lambda folder: (folder / "more.bin").unlink(), "more.bin is missing"),
    "empty": (lambda folder: (folder / "state.bin").write_bytes(b""), "state.bin has 0 of 800 bytes"),
    "no digest": (lambda folder: (folder / DIGEST).unlink(), "digest.json is missing or damaged"),
    "no words": (lambda folder: (folder / DIGEST).write_text("{"), "digest.json is missing or damaged"),
    "nothing": (lambda folder: (folder / DIGEST).write_text('{"files": {}'), "digest.json is missing or damaged"),
    "odd": (lambda folder: (folder / DIGEST).write_text('{"files": {"a": 3}}'), "digest.json is missing or damaged"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_newest_state_is_told_in_a_line_and_the_one_before_it_is_used(kept, told, kind):
    damage, reason = DAMAGES[kind]
    write(kept, 1)
    write(kept, 2)
    newer = kept.folder / "tower-000002"
    assert fault_of(newer) == ""
    damage(newer)
    assert kept.newest("tower").name == "tower-000001"
    assert told == [f"{newer} is damaged ({reason}): going on from tower-000001"]
    assert kept.newest("tower").name == "tower-000001"
    assert len(told) == 1  # once
    write(kept, 2)
    write(kept, 3)
    assert names(kept) == ["tower-000002", "tower-000002.damaged", "tower-000003"]


def test_where_all_are_damaged_the_stage_does_not_begin_anew_by_itself(kept, told):
    for step in (1, 2):
        write(kept, step)
        truncate(kept.folder / f"tower-00000{step}")
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"no state of stage tower is whole .*: delete that folder"):
            kept.newest("tower")
    assert (told, names(kept)) == ([], ["tower-000001", "tower-000002"])


def test_what_a_killed_process_left_half_written_is_not_read_and_goes_with_the_next(kept):
    write(kept, 1)
    half = kept.temporary("tower", 2)
    half.mkdir()
    (half / "state.bin").write_bytes(b"half")
    assert kept.newest("tower").name == "tower-000001"
    write(kept, 3)
    assert names(kept) == ["tower-000001", "tower-000003"]


@pytest.mark.parametrize("when", ["the files", "the digest", "its place"])
def test_a_full_disk_leaves_the_older_states_and_nothing_half_written(kept, monkeypatch, when):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    write(kept, 1)
    before = (kept.folder / "tower-000001" / "state.bin").read_bytes()
    if when == "the digest":
        monkeypatch.setattr(states, "write_json", full)
    if when == "its place":
        monkeypatch.setattr(type(kept.folder), "rename", full)
    told = r"cannot save .*tower-000002 \(No space left on device\): make room, then give the same command: it goes on"
    with pytest.raises(OutputError, match=told):
        write(kept, 2, halfway=full if when == "the files" else lambda: None)
    assert names(kept) == ["tower-000001"]
    assert (kept.folder / "tower-000001" / "state.bin").read_bytes() == before


def test_the_digest_says_of_which_step_a_state_is(kept):
    write(kept, 7)
    said = json.loads((kept.folder / "tower-000007" / DIGEST).read_text())
    assert (said["stage"], said["step"], sorted(said["files"])) == ("tower", 7, ["more.bin", "state.bin"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"last": 0}, "last is 0, expected 1 or more"),
        ({"best": 1}, "best is 1 and by is ''"),
        ({"by": "overall"}, "best is 0 and by is 'overall'"),
        ({"lowest": True}, "lowest says which score is the best"),
    ],
)
def test_what_cannot_be_kept_is_refused(values, told):
    with pytest.raises(ConfigError, match=told):
        KeptConfig(**values)
