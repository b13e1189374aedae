"""Rows of numbers in a folder: made once, part by part, and read by their numbers without being held in memory.

A part is an `.npy` file that appears whole or not at all, so that a stopped run goes on with the parts that are
missing. `store.json` says what the rows are, and of what they were made.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np

from blip3o.errors import DataError, OutputError
from blip3o.files import make_folder, write_text, writing

FACTS = "store.json"
PART_BYTES = 2**26
"""Of a part, about: what a stop loses at most."""


class ArrayStore:
    """Rows of one shape and type; a row is read from its file, which the system maps into memory and lets go of."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.facts = dict(facts)
        self.shape = (int(facts["count"]), *map(int, facts["shape"]))
        self.dtype = np.dtype(str(facts["dtype"]))
        self.part = int(facts["part"])
        self._maps: dict[int, np.ndarray] = {}

    @classmethod
    def make(
        cls, folder: Path, count: int, shape: tuple[int, ...], dtype: str, facts: Mapping[str, Any]
    ) -> "ArrayStore":
        """A store to be filled: new, or as an earlier run left it. `facts` are what it is made of.

        Raises OutputError where the folder holds anything else.
        """
        part = max(1, PART_BYTES // max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize))
        wanted = {**facts, "count": count, "shape": list(shape), "dtype": dtype, "part": part}
        make_folder(folder)
        if not (folder / FACTS).is_file():
            strange = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
            if strange:
                raise OutputError(f"{folder} holds {strange[0]}: nothing is overwritten, name another folder")
            write_text(folder / FACTS, json.dumps(wanted, indent=1) + "\n")
        held = cls.open(folder)
        other = [name for name in wanted if held.facts.get(name) != wanted[name]]
        if other:
            raise OutputError(f"{folder} was made of another {other[0]}: nothing is overwritten, name another folder")
        return held

    @classmethod
    def open(cls, folder: Path) -> "ArrayStore":
        """A store that is there. Raises DataError for a folder that holds none."""
        try:
            return cls(folder, json.loads((folder / FACTS).read_text(encoding="utf-8")))
        except OSError:
            raise DataError(f"{folder} holds no {FACTS}: make it by `blip3o data cache`") from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / FACTS} cannot be read ({error}): make the folder anew") from None

    def check(self, **facts: str) -> None:
        """Raise DataError where it was made of anything else, or is not filled yet."""
        for name, value in facts.items():
            if self.facts.get(name) != value:
                raise DataError(
                    f"{self.folder} was made of another {name} ({str(self.facts.get(name))[:12]}, this one is "
                    f"{value[:12]}): make it anew by `blip3o data cache`"
                )
        missing = len(list(self.missing()))
        if missing:
            raise DataError(f"{self.folder} lacks {missing} parts: go on with the `blip3o data cache` that made it")

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredRows": ...
    def __getitem__(self, index: "int | slice") -> "np.ndarray | StoredRows":
        """A copy of a row; of a slice its rows, without reading them. Raises DataError for a damaged part."""
        if isinstance(index, slice):
            return StoredRows(self, range(len(self))[index])
        return np.array(self._map(index // self.part)[index % self.part])

    def missing(self) -> Iterator[range]:
        """The rows of each part that is not there yet."""
        for start in range(0, len(self), self.part):
            if not self._path(start // self.part).is_file():
                yield range(start, min(start + self.part, len(self)))

    def write(self, rows: range, values: np.ndarray) -> None:
        """Write a part, whose rows are as `missing` gives them. Raises OutputError."""
        with writing(self._path(rows.start // self.part)) as temporary, temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(values, self.dtype), allow_pickle=False)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05}.npy"

    def _map(self, number: int) -> np.ndarray:
        if number not in self._maps:
            path = self._path(number)
            try:
                rows = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"{path} is damaged ({error}): delete it, `blip3o data cache` makes it anew") from None
            expected = (min(self.part, len(self) - number * self.part), *self.shape[1:])
            if rows.shape != expected or rows.dtype != self.dtype:
                raise DataError(f"{path} holds {rows.dtype} {rows.shape}, expected {self.dtype} {expected}: delete it")
            self._maps[number] = rows
        return self._maps[number]


class StoredRows:
    """Some rows of a store that follow each other."""

    def __init__(self, store: ArrayStore, rows: range) -> None:
        self.store, self.rows = store, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredRows": ...
    def __getitem__(self, index: "int | slice") -> "np.ndarray | StoredRows":
        """As of the store."""
        return StoredRows(self.store, self.rows[index]) if isinstance(index, slice) else self.store[self.rows[index]]


Features = np.ndarray | ArrayStore | StoredRows
"""Features of a source's pictures, in memory or in a folder: number of a sample -> [channel, rows, columns]."""
