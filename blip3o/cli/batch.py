"""Many prompts from a file: results are written as they are made, and the same command goes on where it was stopped.

The folder holds `manifest.jsonl`, a record for each row of the file that is done or cannot be, and `batch.json`, what
was asked. Several processes (torchrun) take every n-th row each, with a manifest of their own; a picture depends on its
row alone, and not on how many they are.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blip3o.cli.files import check_folder, slug, write_picture
from blip3o.cli.options import Drawing, Loading, Stopped
from blip3o.cli.progress import counting
from blip3o.config import whole
from blip3o.errors import ConfigError, DataError, OutputError, UserError
from blip3o.files import writing

if TYPE_CHECKING:
    import PIL.Image

AT_ONCE = 64
"""Rows that are looked at together: pictures of as many are held."""
ABOUT = "batch.json"
PromptsFile = Annotated[
    Path | None,
    typer.Option(
        "--prompts", help="Many, from a .jsonl, .csv or .txt, into the folder --output; the same command goes on."
    ),
]


@dataclass(frozen=True, kw_only=True)
class PromptRow:
    """One row of the file."""

    number: int
    prompt: str
    seed: int
    image: Path | None = None
    """The picture that the prompt is about; its path begins at the file's folder."""

    @property
    def name(self) -> str:
        """Of its picture's file."""
        return f"{self.number:06d}-{slug(self.prompt, 40)}.png"


def read_rows(path: Path, *, seed: int = 0, with_image: bool = False) -> list[PromptRow]:
    """The rows of a file: of .jsonl or .csv by `prompt`, `image` and, where one is given, `seed`; of .txt a prompt in
    each line. PromptRow k, from 0, else has `seed + k`. Raises DataError."""
    readers = {".jsonl": _jsonl, ".csv": _csv, ".txt": _txt}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is none of {', '.join(readers)}: write the prompts in one of these")
    try:
        values = list(reader(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): name another") from None
    if not values:
        raise DataError(f"{path} has no rows: write a prompt in it")
    return [_row(path, number, one, seed + number, with_image) for number, one in enumerate(values)]


def _row(path: Path, number: int, values: Mapping[str, Any], seed: int, with_image: bool) -> PromptRow:
    where = f"{path}, row {number + 1}"
    for key in ("prompt", *(["image"] if with_image else [])):
        if not isinstance(values.get(key), str) or not values[key].strip():
            raise DataError(f"{where} has {key} {values.get(key)!r}, expected text: give each row one")
    given = values.get("seed")
    try:
        seed = seed if given in (None, "") else whole("seed", int(given))
    except (ValueError, TypeError):
        raise DataError(f"{where} has seed {given!r}, expected a whole number: correct it, or leave it out") from None
    image = path.parent / values["image"] if with_image else None
    return PromptRow(number=number, prompt=values["prompt"], seed=seed, image=image)


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if line.strip():
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}, line {number + 1} is no JSON ({error.msg}): correct it") from None
            if not isinstance(value, dict):
                raise DataError(f"{path}, line {number + 1} is {line[:40]!r}, expected an object with a prompt")
            yield value


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _txt(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield {"prompt": line.strip()}


class BatchFolder:
    """Where the results of a file's rows go."""

    def __init__(self, folder: Path | None, about: Mapping[str, Any]) -> None:
        """`about`: what every result depends on beside its row. Raises OutputError for a folder of another batch."""
        if folder is None:
            raise ConfigError("--prompts writes into a folder: name one with --output")
        check_folder(folder)
        self.folder, self.rank, self.ranks = folder, *_share()
        self.manifest = folder / ("manifest.jsonl" if self.ranks == 1 else f"manifest-{self.rank}.jsonl")
        folder.mkdir(parents=True, exist_ok=True)
        if self.manifest.is_file() and not self.manifest.read_bytes().endswith(b"\n"):
            self._append("")  # a process that was killed left half a line, which the next must not go on
        text = json.dumps(dict(about), indent=2, default=str, sort_keys=True)
        try:
            known = (folder / ABOUT).read_text(encoding="utf-8")
        except FileNotFoundError:
            with writing(folder / ABOUT) as temporary:
                temporary.write_text(text, encoding="utf-8")
            return
        if known != text:
            other = [key for key, value in json.loads(text).items() if json.loads(known).get(key) != value]
            raise OutputError(f"{folder} holds a batch with other {', '.join(other)}: name another folder")

    def records(self) -> dict[int, dict[str, Any]]:
        """The newest record of each row, of all processes; a line that was cut off does not count."""
        found: dict[int, dict[str, Any]] = {}
        for path in sorted(self.folder.glob("manifest*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if "error" not in record or record["row"] not in found:
                    found[record["row"]] = record
        return found

    def missing(self, rows: Sequence[PromptRow]) -> list[PromptRow]:
        """The rows of this process that have no result."""
        done = {
            number
            for number, record in self.records().items()
            if "error" not in record and ("path" not in record or (self.folder / record["path"]).is_file())
        }
        return [row for row in rows[self.rank :: self.ranks] if row.number not in done]

    def add(self, row: PromptRow, **result: Any) -> None:
        """Write the record of a row."""
        record = {"row": row.number, "prompt": row.prompt, **({"image": str(row.image)} if row.image else {}), **result}
        self._append(json.dumps(record, ensure_ascii=False, default=str))

    def add_picture(self, row: PromptRow, image: "PIL.Image.Image") -> None:
        """Write the picture of a row, then its record."""
        write_picture(image, self.folder / row.name)
        self.add(row, path=row.name, **{str(key): value for key, value in image.info.items() if key != "prompt"})

    def _append(self, line: str) -> None:
        with self.manifest.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def open_drawing(
    verb: str,
    file: Path,
    drawing: Drawing,
    loading: Loading,
    *,
    think: bool | None,
    json: bool,
    with_image: bool = False,
) -> tuple[list[PromptRow], BatchFolder, dict[str, Any]]:
    """The rows that a verb draws, where to, and how. Raises ConfigError for options that have no effect on them."""
    if drawing.count != 1 or json:
        raise ConfigError("--count and --json have no effect with --prompts: write more rows, and read manifest.jsonl")
    how: dict[str, Any] = {key: value for key, value in drawing.sampling.items() if key != "seed"} | {"think": think}
    rows = read_rows(file, seed=drawing.seed, with_image=with_image)
    return rows, BatchFolder(drawing.output, {"verb": verb, "prompts": file, "model": loading.model, **how}), how


def _share() -> tuple[int, int]:
    """The number of this process, and how many there are: as torchrun says."""
    return int(os.environ.get("RANK", "0")), max(1, int(os.environ.get("WORLD_SIZE", "1")))


def carry_out(
    title: str,
    batch: BatchFolder,
    rows: Sequence[PromptRow],
    check: Callable[[PromptRow], Any],
    work: Callable[[Sequence[PromptRow], Sequence[Any], Callable[[int, Any], None]], None],
    keep: Callable[[PromptRow, Any], None],
) -> None:
    """Do what is missing of a file's rows.

    `check` gives what `work` needs of a row, or raises a UserError, which is the row's record then; `work` gets rows
    and what they need, and tells the number and the result of each, which is kept. Prints what there is in the end.
    """
    missing = batch.missing(rows)
    coming, done = iter(missing), 0
    with counting(title) as progress:
        try:
            while some := list(islice(coming, AT_ONCE)):
                ready: list[tuple[PromptRow, Any]] = []
                for row in some:
                    try:
                        ready.append((row, check(row)))
                    except UserError as error:
                        batch.add(row, error=str(error))
                        done += 1

                def told(index: int, result: Any, ready: Sequence[tuple[PromptRow, Any]] = ready) -> None:
                    nonlocal done
                    keep(ready[index][0], result)
                    done += 1
                    progress(done, len(missing))

                if ready:
                    work([row for row, _ in ready], [needed for _, needed in ready], told)
        except KeyboardInterrupt:
            there = f"{len(batch.records())} of {len(rows)} rows are done"
            raise Stopped(f"stopped: {there} in {batch.folder}; the same command goes on") from None
    _tell(batch, rows)


def _tell(batch: BatchFolder, rows: Sequence[PromptRow]) -> None:
    records = batch.records()
    failed = [record for record in records.values() if "error" in record]
    print(f"{len(records) - len(failed)} of {len(rows)} rows are done in {batch.folder}")
    if failed:
        print(f"{len(failed)} cannot be: row {failed[0]['row'] + 1}: {failed[0]['error']}; see {batch.manifest.name}")
