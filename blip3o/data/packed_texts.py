"""Many short texts in one piece of memory: the names of a million files, without a Python object for each."""

from array import array
from collections.abc import Iterable, Iterator


class PackedTexts:
    """A list that grows at its end; a text costs its UTF-8 and 8 bytes."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._content = bytearray()
        self._ends = array("q")
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add a text, which may be of the halves of characters that names of files hold."""
        self._content += text.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._content))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        start = self._ends[index - 1] if index else 0
        return self._content[start : self._ends[index]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))
