"""A model is found by its name or by its folder."""

from pathlib import Path

import pytest

from blip3o.errors import CheckpointError
from blip3o.weights.hub import SHIPPED, find


def test_a_shipped_name_is_the_shipped_model_whatever_lies_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("picturebook").mkdir()
    assert find("picturebook") == SHIPPED / "picturebook"
    assert find("./picturebook") == Path("picturebook")
    assert find(Path("picturebook")) == Path("picturebook")


def test_an_unknown_name_is_refused_with_what_is_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"no model 'pictureboook': .*\(picturebook\)"):
        find("pictureboook")
