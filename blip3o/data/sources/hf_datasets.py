"""A data set of Hugging Face's `datasets`, from the Hub or a folder that it has saved."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fsspec

from blip3o.config import check
from blip3o.data.blocks import Blocks
from blip3o.data.parquet_rows import ParquetRows
from blip3o.data.rows import SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig
from blip3o.errors import ConfigError, DataError, brief

PARQUET = ".parquet"


@dataclass(frozen=True, kw_only=True)
class HFDatasetConfig(RowSourceConfig):
    """`path`: owner/name on the Hub, a folder of `save_to_disk`, or Parquet files: a folder, a name, a glob."""

    kind: Literal["hf_datasets"] = "hf_datasets"
    name: str | None = None
    """The configuration of the data set, where it has several."""
    split: str = "train"
    streaming: bool = False
    """Whether rows are read from where they lie when their turn comes, instead of being copied to this disk first. This
    takes Parquet, whose groups of rows can be sought, so that training goes on where it stopped (data/blocks.py)."""
    window: int = 1000
    """Rows that are shuffled among each other where data are streamed: those of two windows are held in memory."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check((self.window > 0, f"window is {self.window}, expected 1 row or more"))


class HFDataset(RowSource):
    """The rows of one split; images stay encoded until they are asked for."""

    config: HFDatasetConfig

    def __init__(self, config: HFDatasetConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        try:
            import datasets  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError:
            raise ConfigError("this source takes datasets: pip install 'blip3o[train]'") from None
        self.rows = ParquetRows(_parquet(datasets, config), config.window, progress) if config.streaming else None
        self.data = _loaded(datasets, config) if self.rows is None else self.rows

    def __len__(self) -> int:
        return len(self.data)

    def extent(self, task: str | None = None) -> int | Blocks:
        return len(self) if self.rows is None else self.rows.blocks

    def row(self, index: int) -> SourceRow:
        return self.data[index]

    def place(self, index: int) -> tuple[str, str]:
        if self.rows is not None:
            return self.rows.place(index)
        return self.config.path, f"{self.config.path}[{self.config.split}]:{index}"

    def open_image(self, index: int, value: Any) -> Any:
        if isinstance(value, dict):
            return value.get("bytes") or value.get("path")
        return value


def _loaded(datasets: Any, config: HFDatasetConfig) -> Any:
    """The data set on this disk, its images encoded. Raises DataError where it cannot be had."""
    try:
        if Path(config.path, "dataset_info.json").is_file() or Path(config.path, "dataset_dict.json").is_file():
            data: Any = datasets.load_from_disk(config.path)
            data = data[config.split] if isinstance(data, datasets.DatasetDict) else data
        elif config.path.endswith(PARQUET):
            data = datasets.load_dataset("parquet", data_files=config.path, split=config.split)
        else:
            data = datasets.load_dataset(config.path, config.name, split=config.split)
    except Exception as error:  # noqa: BLE001 - its loaders raise whatever breaks in them
        raise DataError(f"{config.path} cannot be opened ({brief(error)}): see the data set's page") from None
    for name in [name for name, feature in data.features.items() if isinstance(feature, datasets.Image)]:
        data = data.cast_column(name, datasets.Image(decode=False))
    if not len(data):
        raise DataError(f"{config.path} has no rows in split {config.split!r}: choose another one")
    return data


def _parquet(datasets: Any, config: HFDatasetConfig) -> list[str]:
    """The Parquet files of the split. Raises DataError where it is kept in other files, or there is no such split."""
    if config.path.endswith(PARQUET):
        return _listed(config.path)
    try:
        splits = datasets.load_dataset_builder(config.path, config.name).config.data_files or {}
    except Exception as error:  # noqa: BLE001 - as above
        raise DataError(f"{config.path} cannot be opened ({brief(error)}): see the data set's page") from None
    if config.split not in splits:
        names = ", ".join(map(str, splits)) or "none"
        raise DataError(f"{config.path} has no split {config.split!r} to stream: choose one of {names}")
    files = [str(file) for file in splits[config.split]]
    if others := [file for file in files if not file.endswith(PARQUET)]:
        remedy = "read it by kind webdataset" if others[0].endswith(".tar") else "leave streaming out"
        raise DataError(f"{config.path} is no Parquet, but {others[0]} in which no row can be sought: {remedy}")
    return files


def _listed(pattern: str) -> list[str]:
    """The files of a name or a glob, sorted. Raises DataError where there are none."""
    try:
        files, _, paths = fsspec.get_fs_token_paths(pattern)
        found = [files.unstrip_protocol(path) for path in sorted(paths) if files.isfile(path)]
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{pattern} cannot be listed ({brief(error)}): name Parquet files as the path") from None
    if not found:
        raise DataError(f"{pattern} does not exist: name Parquet files as the path")
    return found
