"""JSON and JSONL: captions, conversations (LLaVA, ShareGPT, OpenAI), edits; images are files beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blip3o.data.json_rows import JsonRows
from blip3o.data.rows import SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig, beside


@dataclass(frozen=True, kw_only=True)
class JsonLinesConfig(RowSourceConfig):
    """`path` is the file: one object to a line, or one list of objects."""

    kind: Literal["jsonl"] = "jsonl"
    images: str = ""
    """The folder that image names start from; empty is the folder of the file."""


class JsonLines(RowSource):
    """The rows of one file, in their order."""

    config: JsonLinesConfig

    def __init__(self, config: JsonLinesConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        self.file = Path(config.path).expanduser()
        self.images = Path(config.images).expanduser() if config.images else self.file.parent
        self.rows = JsonRows(self.file)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> SourceRow:
        return self.rows[index]

    def place(self, index: int) -> tuple[str, str]:
        return str(self.file), f"{self.file}:{index + 1}"

    def open_image(self, index: int, value: Any) -> Any:
        return beside(self.images, super().open_image(index, value))
