"""The source that a path stands for, by what lies there: for commands that look at data without a recipe."""

from collections.abc import Callable
from pathlib import Path

from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.errors import DataError
from blip3o.plugins import build, read_config


def source_at(path: str, progress: Callable[[int, int], None] | None = None) -> Source:
    """A folder of images, of a saved data set or of Parquet files, a JSON, JSONL or Parquet file, or shards. Raises
    DataError for what is none."""
    kind = _kind(path)
    values = {"kind": kind, "path": path} | ({"streaming": True} if kind == "hf_datasets" and not _saved(path) else {})
    config = read_config(values, SOURCES, Source, "source")
    return build(config, SOURCES, Source, progress)


def _kind(path: str) -> str:
    if path.endswith((".jsonl", ".json")):
        return "jsonl"
    if path.endswith(".tar"):
        return "webdataset"
    if path.endswith(".parquet") or _saved(path) or any(Path(path).glob("**/*.parquet")):
        return "hf_datasets"
    if Path(path).is_dir():
        return "image_folder"
    raise DataError(
        f"{path} is no data: name a folder of images, a .jsonl file, or shards such as 'data/{{00..99}}.tar'"
    )


def _saved(path: str) -> bool:
    """Whether the library of Hugging Face's data sets has saved a folder."""
    return any(Path(path, name).is_file() for name in ("dataset_info.json", "dataset_dict.json"))
