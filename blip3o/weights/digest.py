"""The digest of a checkpoint: what its files held when they were saved, told beside them in digest.json.

It covers values and not how they are laid out: a config or a list of words may be formatted anew. A folder without one,
older or published, says nothing about itself.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blip3o.config import read_yaml
from blip3o.errors import CheckpointError, ConfigError
from blip3o.weights.folders import METADATA, read_header, read_json

FILE = "digest.json"
UNFINISHED: Mapping[str, str] = {}
"""What stands there while the other files are written."""
SMALL = ("config.yaml", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "words.txt")
WEIGHTS = "*.safetensors"
BLOCK_BYTES = 1 << 24


def of(folder: Path) -> dict[str, str]:
    """Name of what a checkpoint holds -> its digest: the small files, the headers of the large ones, their tensors."""
    return _small(folder) | _tensors(folder)


def check(folder: Path) -> None:
    """Raise CheckpointError where config, tokenizer or the headers of the tensors are not what was saved."""
    _compare(folder, _small(folder), tensors=False)


def check_tensors(folder: Path) -> bool:
    """Raise CheckpointError where the tensors are not what was saved; gives whether that can be told.

    All of their bytes are read for it.
    """
    return (folder / FILE).is_file() and _compare(folder, _tensors(folder), tensors=True)


def _compare(folder: Path, computed: Mapping[str, str], *, tensors: bool) -> bool:
    if not (folder / FILE).is_file():
        return False
    saved = read_json(folder / FILE)
    expected = {name: value for name, value in saved.items() if name.endswith(_TENSORS) == tensors}
    changed = sorted(name for name in expected.keys() | computed.keys() if expected.get(name) != computed.get(name))
    if changed:
        what = (
            "was not saved to its end" if saved == UNFINISHED else f"changed since it was saved: {', '.join(changed)}"
        )
        raise CheckpointError(
            f"{folder} {what} ({FILE}): copy or save it again, or go on with --no-verify (in Python: verify=False)"
        )
    return True


_TENSORS = ": tensors"


def _small(folder: Path) -> dict[str, str]:
    there = [folder / name for name in SMALL if (folder / name).is_file()]
    try:
        values = {path.name: _values(path) for path in there}
        for path in folder.glob(WEIGHTS):
            values[path.name] = {name: entry for name, entry in read_header(path).items() if name != METADATA}
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise CheckpointError(
            f"{folder} holds a file that is damaged ({error}): copy it again from its source"
        ) from error
    return {name: _digest(value) for name, value in values.items()}


def _values(path: Path) -> Any:
    """What a small file says, however it is formatted."""
    if path.suffix == ".yaml":
        return read_yaml(path)
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else text.splitlines()


def _digest(values: Any) -> str:
    same = json.loads(json.dumps(values, default=str), parse_int=float)  # 1 and 1.0 are one number
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]


def _tensors(folder: Path) -> dict[str, str]:
    return {f"{path.name}{_TENSORS}": checksum(path, _header_bytes(path)) for path in sorted(folder.glob(WEIGHTS))}


def _header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")


def checksum(path: Path, start: int = 0) -> str:
    """CRC-32 of a file from byte `start`: at several GB/s, and enough against what happens to files by accident."""
    computed = 0
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        block = memoryview(bytearray(BLOCK_BYTES))
        while count := file.readinto(block):
            computed = zlib.crc32(block[:count], computed)
    return f"{computed:08x}"
