"""The source that a path stands for, by what lies there: for commands that look at data without a recipe."""

from collections.abc import Callable
from pathlib import Path

from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.errors import DataError
from blip3o.plugins import build, read_config


def source_at(path: str, progress: Callable[[int, int], None] | None = None) -> Source:
    """A folder of images or of a saved data set, a JSON or JSONL file, or shards. Raises DataError for what is none."""
    config = read_config({"kind": _kind(path), "path": path}, SOURCES, Source, "source")
    return build(config, SOURCES, Source, progress)


def _kind(path: str) -> str:
    if path.endswith((".jsonl", ".json")):
        return "jsonl"
    if path.endswith(".tar"):
        return "webdataset"
    if any(Path(path, name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        return "hf_datasets"
    if Path(path).is_dir():
        return "image_folder"
    raise DataError(
        f"{path} is no data: name a folder of images, a .jsonl file, or shards such as 'data/{{00..99}}.tar'"
    )
