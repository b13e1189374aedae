"""The rows of Parquet files, here or at addresses of fsspec, read a group of rows at a time."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from blip3o.data.blocks import Blocks
from blip3o.data.rows import RowError, SourceRow
from blip3o.data.stamp import check_stamp, stamp_of
from blip3o.errors import ConfigError, DataError, brief

if TYPE_CHECKING:
    import pyarrow

WINDOWS_KEPT = 2
"""Windows of rows that are held: of two tasks, or of one and the one before it."""


class ParquetRows:
    """The rows of all files in their order. What is read first are the footers, which tell how many rows are where.

    As many groups of rows are held as `WINDOWS_KEPT` windows of `window` rows take. Raises DataError for what is no
    Parquet, or empty.
    """

    def __init__(self, paths: Sequence[str], window: int, progress: Callable[[int, int], None] | None = None) -> None:
        self.paths = paths
        self._groups: list[tuple[int, int]] = []  # the file of each group, and its number there
        self._ends, self._firsts = array("q"), array("q")
        self._files, self._stamps, self._footers = [], [], []
        for number, path in enumerate(paths):
            self._open(number, path)
            if progress is not None:
                progress(number + 1, len(paths))
        if not len(self):
            raise DataError(f"{paths[0] if paths else 'a list of no files'} holds no rows: choose other data")
        lengths = [end - start for start, end in zip([0, *self._ends], self._ends, strict=False)]
        self.blocks = Blocks(lengths, window)
        groups_of_window = len(lengths) * window // len(self) + 2
        self._group = lru_cache(maxsize=WINDOWS_KEPT * groups_of_window)(self._read)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> SourceRow:
        """Raises RowError for a file that changed or is damaged, OSError for one that cannot be reached."""
        group = bisect_right(self._ends, index)
        start = self._ends[group - 1] if group else 0
        return self._group(group).slice(index - start, 1).to_pylist()[0]

    def place(self, index: int) -> tuple[str, str]:
        """The file of a row, and its address in it."""
        number, _ = self._groups[bisect_right(self._ends, index)]
        return self.paths[number], f"{self.paths[number]}:{index - self._firsts[number]}"

    def _open(self, number: int, path: str) -> None:
        import pyarrow
        from pyarrow.parquet import read_metadata

        files, inside = _file_system(path)
        try:
            self._stamps.append(stamp_of(files.info(inside)))
            with files.open(inside, "rb") as file:
                footer = read_metadata(file)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise DataError(f"{path} cannot be read as Parquet ({brief(error)}): copy it again") from None
        self._files.append((files, inside))
        self._footers.append(footer)
        self._firsts.append(len(self))
        for group in range(footer.num_row_groups):
            self._groups.append((number, group))
            self._ends.append(len(self) + footer.row_group(group).num_rows)

    def _read(self, group: int) -> "pyarrow.Table":
        import pyarrow
        from pyarrow.parquet import ParquetFile

        number, inside = self._groups[group]
        files, path = self._files[number]
        check_stamp(self._stamps[number], files.info(path))
        try:
            with files.open(path, "rb") as file:
                return ParquetFile(file, metadata=self._footers[number], pre_buffer=True).read_row_group(inside)
        except (ValueError, pyarrow.ArrowException) as error:
            raise RowError("damaged file", brief(error)) from None


def _file_system(path: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{path} cannot be opened ({brief(error)})") from None
