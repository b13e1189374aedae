"""A model is found by its name or by its folder."""

from fnmatch import fnmatch
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from huggingface_hub import parse_local_safetensors_file_metadata

from blip3o.api import BLIP3o
from blip3o.errors import CheckpointError
from blip3o.weights.folders import SHIPPED
from blip3o.weights.hub import _LARGE, _SMALL, find, outlined, sketch
from blip3o.weights.shards import shapes_of


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


@pytest.fixture
def hub_of(published, monkeypatch):
    """A Hub with one model, of which small files may be fetched, and headers be asked for."""

    def snapshot(name, allow_patterns, local_dir):
        assert "*.safetensors" not in allow_patterns
        copytree(published, local_dir, ignore=ignore_patterns("*.safetensors"))

    def header(name, path):
        return parse_local_safetensors_file_metadata(published / path)

    def listed(name):
        return [str(path.relative_to(published)) for path in published.rglob("*.*")]

    monkeypatch.setattr("blip3o.weights.hub.snapshot_download", snapshot)
    monkeypatch.setattr("blip3o.weights.hub.list_repo_files", listed)
    monkeypatch.setattr("blip3o.weights.hub.parse_safetensors_file_metadata", header)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def test_a_model_of_the_hub_is_looked_into_without_fetching_its_tensors(hub_of, published):
    with outlined(f"me/{published.name}") as folder:
        seen, whole = sketch(folder), sketch(published)
        assert shapes_of(seen.machine.state_dict()) == shapes_of(whole.machine.state_dict())
        assert seen.machine.config == whole.machine.config
        for path in published.rglob("*.safetensors"):
            outline = folder / path.relative_to(published)
            assert outline.stat().st_size == pytest.approx(path.stat().st_size, abs=64)
    assert not folder.exists()
    with outlined(published) as folder:
        assert folder == published


def test_what_the_hub_does_not_have_is_one_line(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(CheckpointError, match="cannot fetch me/nothing"), outlined("me/nothing"):
        pass


def test_what_is_saved_is_fetched_whole(published, tmp_path):
    saved = BLIP3o.load(published).save_pretrained(tmp_path)
    wanted = {path.name for path in saved.iterdir()} - {"README.md"}
    assert all(any(fnmatch(name, pattern) for pattern in (*_SMALL, *_LARGE)) for name in wanted)
