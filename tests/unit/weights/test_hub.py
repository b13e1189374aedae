"""A model is found by its name or by its folder."""

from fnmatch import fnmatch
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from huggingface_hub import parse_local_safetensors_file_metadata
from huggingface_hub.file_download import DryRunFileInfo

from blip3o.api import BLIP3o
from blip3o.errors import CheckpointError
from blip3o.weights.folders import SHIPPED
from blip3o.weights.hub import _LARGE, _SMALL, find, find_data, open_model, outlined
from blip3o.weights.safetensors_files import shapes_of


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
        seen, whole = open_model(folder), open_model(published)
        assert shapes_of(seen.pipeline.state_dict()) == shapes_of(whole.pipeline.state_dict())
        assert seen.pipeline.config == whole.pipeline.config
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


@pytest.fixture
def data_hub(tmp_path, monkeypatch):
    """A Hub with one data set of two splits, of which one file is here already; keeps the names of what it sends."""
    sizes = {"README.md": 10, "data/test-0.parquet": 44 * 10**9, "data/validation-0.parquet": 6 * 10**9}
    sizes |= {"data/validation-1.parquet": 5 * 10**8}
    sent = []

    def snapshot(name, *, repo_type, allow_patterns, dry_run=False):
        assert repo_type == "dataset"
        matching = [path for path in sizes if any(fnmatch(path, pattern) for pattern in allow_patterns)]
        if not dry_run:
            sent.extend(matching)
            return str(tmp_path)
        return [
            DryRunFileInfo(
                commit_hash="c",
                file_size=sizes[path],
                filename=path,
                local_path=path,
                is_cached=path.endswith("-0.parquet"),
                will_download=not path.endswith("-0.parquet"),
            )
            for path in matching
        ]

    monkeypatch.setattr("blip3o.weights.hub.snapshot_download", snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return sent


def test_of_a_data_set_only_the_wanted_split_is_fetched_and_its_size_told_first(data_hub, tmp_path):
    told = []
    assert (
        find_data("lab/VQA", ["*validation-*.parquet"], lambda words: told.append((words, list(data_hub)))) == tmp_path
    )
    assert told == [("fetching 1 files of lab/VQA, 0.50 GB", [])]
    assert data_hub == ["data/validation-0.parquet", "data/validation-1.parquet"]
    told.clear()
    find_data("lab/VQA", ["data/test-*"], lambda words: told.append((words, [])))
    assert told == []


def test_a_data_set_without_the_wanted_files_and_a_name_that_is_none_are_one_line(data_hub):
    with pytest.raises(CheckpointError, match=r"lab/VQA has no file en/dev-\*: name another data set"):
        find_data("lab/VQA", ["en/dev-*"], print)
    with pytest.raises(CheckpointError, match="no data 'hubb'"):
        find_data("hubb", ["*"], print)
