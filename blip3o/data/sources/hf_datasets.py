"""A data set of Hugging Face's `datasets`, from the Hub or a folder that it has saved."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blip3o.data.rows import SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig
from blip3o.errors import ConfigError, DataError, brief


@dataclass(frozen=True, kw_only=True)
class HFDatasetConfig(RowSourceConfig):
    """`path`: owner/name on the Hub, or a folder of `save_to_disk`."""

    kind: Literal["hf_datasets"] = "hf_datasets"
    name: str | None = None
    """The configuration of the data set, where it has several."""
    split: str = "train"


class HFDataset(RowSource):
    """The rows of one split; images stay encoded until they are asked for."""

    config: HFDatasetConfig

    def __init__(self, config: HFDatasetConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        try:
            import datasets  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError:
            raise ConfigError("this source takes datasets: pip install 'blip3o[train]'") from None
        try:
            if Path(config.path, "dataset_info.json").is_file() or Path(config.path, "dataset_dict.json").is_file():
                data: Any = datasets.load_from_disk(config.path)
                data = data[config.split] if isinstance(data, datasets.DatasetDict) else data
            else:
                data = datasets.load_dataset(config.path, config.name, split=config.split)
        except Exception as error:  # noqa: BLE001 - its loaders raise whatever breaks in them
            raise DataError(f"{config.path} cannot be opened ({brief(error)}): see the data set's page") from None
        images = [name for name, feature in data.features.items() if isinstance(feature, datasets.Image)]
        for name in images:
            data = data.cast_column(name, datasets.Image(decode=False))
        self.data = data
        if not len(self.data):
            raise DataError(f"{config.path} has no rows in split {config.split!r}: choose another one")

    def __len__(self) -> int:
        return len(self.data)

    def row(self, index: int) -> SourceRow:
        return self.data[index]

    def place(self, index: int) -> tuple[str, str]:
        return self.config.path, f"{self.config.path}[{self.config.split}]:{index}"

    def open_image(self, index: int, value: Any) -> Any:
        if isinstance(value, dict):
            return value.get("bytes") or value.get("path")
        return value
