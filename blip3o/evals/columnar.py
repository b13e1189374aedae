"""Parquet and Arrow files: their rows come without the pictures, which stay on disk until they are looked at.

The Hub keeps a picture as a cell {"bytes", "path"}, a list of such, or plain bytes. A split of 6 GB of pictures has
some hundred MB of words; only these are held in memory, and of the pictures a few groups of rows around the last one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blip3o.errors import DataError, PictureError

if TYPE_CHECKING:
    import pyarrow

GROUPS_KEPT = 4
"""Groups of rows of a file whose pictures are held at a time; the Hub's have 100 rows mostly."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A picture inside a file, not read yet."""

    file: "ColumnFile"
    group: int
    column: str
    row: int
    """In its group."""
    place: int | None = None
    """In a cell that holds several."""

    def read(self) -> bytes:
        """Its content. Raises PictureError where the file gives none."""
        import pyarrow

        what = f"the picture in row {self.row} of {self.file.path.name}"
        try:
            cell = self.file.pictures(self.group, self.column)[self.row].as_py()
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise PictureError(f"{what} cannot be read ({_line(error)}): copy the file again") from error
        cell = cell if self.place is None else cell[self.place]
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not content:
            raise PictureError(f"{what} is empty: copy the file again")
        return content


class ColumnFile:
    """A Parquet file, or an Arrow one as `datasets` saves them. Raises DataError for another thing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            import pyarrow
        except ImportError as error:
            raise DataError(f"{path} needs pyarrow: pip install 'blip3o[eval]'") from error
        self.damages = (OSError, ValueError, pyarrow.ArrowException)
        self.pictures = lru_cache(maxsize=GROUPS_KEPT)(self._pictures)
        """The cells of a column in a group of rows."""

    def rows(self) -> list[dict[str, Any]]:
        """All rows, with a Stored in place of each picture. Raises DataError for a damaged file."""
        try:
            return [row for group, table in self._tables() for row in self._rows(group, table)]
        except self.damages as error:
            raise DataError(f"{self.path} is no whole {self._kind} file ({_line(error)}): copy it again") from error

    @property
    def _kind(self) -> str:
        return "Arrow" if self.path.suffix == ".arrow" else "Parquet"

    @cached_property
    def _batches(self) -> "list[pyarrow.RecordBatch]":
        """Of an Arrow file, whose content is mapped, not read."""
        import pyarrow

        source = pyarrow.memory_map(str(self.path))
        try:
            return list(pyarrow.ipc.open_stream(source))
        except pyarrow.ArrowInvalid:
            file = pyarrow.ipc.open_file(source)
            return [file.get_batch(number) for number in range(file.num_record_batches)]

    @cached_property
    def _several(self) -> dict[str, bool]:
        """Column of pictures -> whether a cell of it holds several."""
        from pyarrow.parquet import read_schema

        schema = read_schema(self.path) if self._kind == "Parquet" else self._batches[0].schema if self._batches else []
        columns = {field.name: _several(field.type) for field in schema}
        return {name: several for name, several in columns.items() if several is not None}

    def _tables(self) -> "Iterator[tuple[int, pyarrow.Table]]":
        """The groups of rows; of Parquet without the content of pictures."""
        import pyarrow
        from pyarrow.parquet import ParquetFile

        if self._kind == "Arrow":
            yield from ((group, pyarrow.Table.from_batches([batch])) for group, batch in enumerate(self._batches))
            return
        with ParquetFile(self.path) as file:
            leaves = [file.schema.column(number).path for number in range(len(file.schema.names))]
            # a picture's path is read: it tells which cells hold one, and how many; its bytes are not
            light = [leaf for leaf in leaves if not (leaf in self._several or _content_of(leaf) in self._several)]
            for group in range(file.num_row_groups):
                yield group, file.read_row_group(group, columns=light)

    def _rows(self, group: int, table: "pyarrow.Table") -> Iterator[dict[str, Any]]:
        """`table` lacks a column of plain bytes: each of its cells may hold a picture."""
        cells = {name: list(table[name]) for name in self._several if name in table.column_names}
        for number, row in enumerate(table.drop_columns(list(cells)).to_pylist()):
            for name, several in self._several.items():
                cell = cells[name][number] if name in cells else None
                address = {"file": self, "group": group, "column": name, "row": number}
                if cell is not None and not cell.is_valid:
                    row[name] = None
                elif several and cell is not None:
                    row[name] = [Stored(**address, place=place) for place in range(len(cell.values))]
                else:
                    row[name] = Stored(**address)
            yield row

    def _pictures(self, group: int, column: str) -> "pyarrow.ChunkedArray | pyarrow.Array":
        from pyarrow.parquet import ParquetFile

        if self._kind == "Arrow":
            return self._batches[group].column(column)
        with ParquetFile(self.path) as file:
            return file.read_row_group(group, columns=[column]).column(column)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _content_of(leaf: str) -> str:
    """The column of which a leaf of Parquet is the content of pictures ("images.list.element.bytes"), or ""."""
    return leaf.partition(".")[0] if leaf.endswith(".bytes") else ""


def _several(kind: "pyarrow.DataType") -> bool | None:
    """Whether a cell of this type holds several pictures, or one; None for a type that holds none."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind):
        return True if _several(kind.value_type) is False and types.is_struct(kind.value_type) else None
    if types.is_struct(kind):
        return False if {"bytes", "path"} <= {field.name for field in kind} else None
    return False if types.is_binary(kind) or types.is_large_binary(kind) else None
