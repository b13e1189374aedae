"""What an evaluation leaves behind: every answer as it comes, the numbers with their intervals, and whose they are.

    <folder>/<benchmark>.json            protocol, model, numbers; `complete` says whether all items are in it
    <folder>/<benchmark>.samples.jsonl   one line for each item, in the order of the data set
    <folder>/<benchmark>/                the pictures drawn

While a run goes on, lines stand in the order in which they were answered, each process of several in a file of its own.
A line that a kill has cut is dropped and its item asked again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image

from blip3o import __version__, files
from blip3o.errors import DataError, OutputError
from blip3o.evals.benchmark import Answer, Benchmark, Item, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.evals.saved_results import Identity, Line, identity_of, lines_of, record_of
from blip3o.evals.tables import Made, PictureSource
from blip3o.files import make_folder, write_text

UNTRUSTED_SHARE = 0.05
"""Of items without an answer or a judge's opinion: more of them can move a share further than the 95 % interval of a
thousand items is wide (2.5 points each way at 0.8)."""


def digest(items: Iterable[Item]) -> str:
    """A short fingerprint of what is asked and of what is right, whatever the format it was read from."""
    fingerprint = hashlib.sha256()
    for item in items:
        fingerprint.update(json.dumps([item.id, item.prompt, item.facts], sort_keys=True, default=str).encode())
    return fingerprint.hexdigest()[:16]


class Answers:
    """The lines of one benchmark in a folder, by item."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.final = folder / f"{name}.samples.jsonl"
        self.result = folder / f"{name}.json"
        make_folder(folder)

    def read(self) -> dict[str, Line]:
        """Item -> its newest line: of files of the run, those count that were written to last."""
        files = [path for path in (self.final, *self.parts()) if path.is_file()]
        files.sort(key=lambda path: path.stat().st_mtime_ns)
        return {line["id"]: line for path in files for line in lines_of(path)}

    def parts(self) -> list[Path]:
        """The files of a run that is going on or was stopped."""
        return sorted(self.folder.glob(f"{self.name}.samples.*.jsonl"))

    def part(self, rank: int) -> Path:
        """The file of one process, with a cut line at its end taken away."""
        path = self.folder / f"{self.name}.samples.{rank}.jsonl"
        if path.is_file():
            _write(path, lines_of(path))
        return path

    def finish(self, lines: Sequence[Line]) -> None:
        """Put all lines into the final file and take the parts away."""
        _write(self.final, lines)
        for path in self.parts():
            path.unlink()

    def mark(self, rank: int) -> None:
        """Tell the first process that this one is done; the mark names the run, for an old one may lie there."""
        self._marker(rank).write_text(_run(), encoding="utf-8")

    def unmark(self, rank: int) -> None:
        """Take back what an earlier run told."""
        self._marker(rank).unlink(missing_ok=True)

    def marked(self, ranks: Iterable[int]) -> bool:
        """Whether these processes of this run are done; their marks are taken away when all are."""
        markers = [self._marker(rank) for rank in ranks]
        if not all(path.is_file() and path.read_text(encoding="utf-8") == _run() for path in markers):
            return False
        for path in markers:
            path.unlink()
        return True

    def _marker(self, rank: int) -> Path:
        return self.folder / f".{self.name}.{rank}.done"

    def check(self, identity: Identity) -> None:
        """Raise DataError where the folder holds answers of another run."""
        if not self.result.is_file():
            return
        try:
            other = identity_of(json.loads(self.result.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.result} is no result of this harness: move it, or name another --output") from error
        if other != identity:
            difference = _difference("", asdict(other), asdict(identity))
            raise DataError(
                f"{self.result} is of another run ({difference}): name another --output, or forget it with --restart"
            )

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write the numbers. Raises OutputError."""
        write_text(self.result, json.dumps(result, ensure_ascii=False, indent=2) + "\n")

    def forget(self) -> None:
        """Take away what an earlier run left, the pictures that it drew among them."""
        answers = [line["answer"] for line in self.read().values() if isinstance(line.get("answer"), list)]
        for path in (self.folder / part for parts in answers for part in parts if isinstance(part, str)):
            if path.resolve().is_relative_to(self.folder.resolve()):
                path.unlink(missing_ok=True)
        for path in (self.result, self.final, *self.parts()):
            path.unlink(missing_ok=True)


def _difference(name: str, other: Any, now: Any) -> str:
    """The first value in which two runs differ."""
    if isinstance(other, Mapping) and isinstance(now, Mapping):
        key = next(key for key in {**now, **other} if now.get(key) != other.get(key))
        return _difference(f"{name} {key}".strip(), other.get(key), now.get(key))
    return f"{name} {other}, now {now}"


def _run() -> str:
    """What tells this run of several processes from an earlier one."""
    return "/".join(os.environ.get(name, "") for name in ("TORCHELASTIC_RUN_ID", "MASTER_PORT"))


def _text(lines: Iterable[Line]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _write(path: Path, lines: Iterable[Line]) -> None:
    write_text(path, _text(lines))


def append(path: Path, lines: Iterable[Line]) -> None:
    """Add lines to a file. Raises OutputError where that is not possible; what was there before stays."""
    files.append(path, _text(lines))


def keep_picture(image: Image.Image, path: Path) -> Path:
    """Write a picture that was drawn; gives its path. Raises OutputError where that is not possible."""
    make_folder(path.parent)
    try:
        image.save(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {path} ({reason}): make room; what is answered is kept") from error
    return path


def line_of(item: Item, answer: Answer, verdict: Verdict | None, more: Mapping[str, Any], folder: Path) -> Line:
    """The line of an item in the results of a folder, from which paths are told."""
    return {
        "id": item.id,
        "unit": item.unit or item.id,
        "category": item.category,
        "prompt": item.prompt,
        "pictures": [_path(picture, folder) for picture in item.pictures],
        "answer": answer if isinstance(answer, str) else [_part(part, folder) for part in answer],
        "parsed": None if verdict is None else verdict.parsed,
        "score": None if verdict is None else verdict.score,
        "details": {} if verdict is None else dict(verdict.details),
        "facts": dict(item.facts),
        **more,
    }


def _path(picture: PictureSource, folder: Path) -> str | None:
    """Where a picture lies; None for one inside a file of data."""
    if isinstance(picture, Made):
        return picture.path.as_posix()
    return os.path.relpath(picture, folder) if isinstance(picture, Path) else None


def _part(part: Path | str, folder: Path) -> str | dict[str, str]:
    """A part of an answer: the file of a picture, or {"text": words}."""
    return part.relative_to(folder).as_posix() if isinstance(part, Path) else {"text": part}


def result_of(
    benchmark: Benchmark,
    identity: Identity,
    items: Sequence[Item],
    lines: Mapping[str, Line],
    folder: Path,
    candidate: Callable[[], Candidate] | None,
) -> dict[str, Any]:
    """The result file: whose numbers, how many items are in them, and the numbers; none without a `candidate`, where
    not all answers given are scored, or nothing at all could be asked of the model, or of the judge.

    `refused` counts the items that the model could not be asked, `unscored` those that the judge has no opinion on.
    Both are in the numbers as the official rule takes a missing answer; `not_trusted` says where they are too many.
    """
    records = [record_of(item, lines[item.id], folder) for item in items if item.id in lines]
    scored = [record for record in records if record.verdict is not None]
    refused, unscored, failed = (_reasons(lines.values(), key) for key in ("refused", "unscored", "not_scored"))
    missing = sum("refused" in line or "unscored" in line for line in lines.values())
    whole = len(records) > missing and len(scored) == len(records)
    report = benchmark.report(scored, candidate) if whole and candidate is not None else {}
    scorers = sorted({str(line["judge"]) for line in lines.values() if "judge" in line})
    return {
        "benchmark": identity.benchmark,
        "protocol": identity.protocol,
        "kind": benchmark.kind,
        "model": identity.model,
        "complete": candidate is not None and len(scored) == len(items),
        "n": len(scored),
        "of": len(items),
        "answered": len(records),
        "refused": len(refused),
        "unscored": len(unscored),
        "scored": whole,
        "metrics": benchmark.numbers(scored) if whole and candidate is not None else {},
        "not_scored": failed[0] if failed else None,
        "not_trusted": _doubt(missing, len(records)),
        "why_refused": refused[0] if refused else None,
        "why_unscored": unscored[0] if unscored else None,
        "judge": ", ".join(scorers) or benchmark.scorer,
        "seed": identity.seed,
        "versions": versions(),
        "data": {"digest": identity.digest} | ({"file": benchmark.read} if benchmark.read else {}),
    } | report


def _reasons(lines: Iterable[Line], key: str) -> list[str]:
    """Why, of each item that has a reason of this kind."""
    return [f"item {line['id']}: {line[key]}" for line in lines if key in line]


def _doubt(missing: int, answered: int) -> str | None:
    if missing <= UNTRUSTED_SHARE * answered:
        return None
    return (
        f"{missing:,} of {answered:,} items have no answer or no opinion of the judge, more than "
        f"{UNTRUSTED_SHARE:.0%}: the number is not to be trusted"
    )


def versions() -> dict[str, str]:
    """Of what the numbers may depend on."""
    versions = {"blip3o": __version__}
    for package in ("torch", "transformers", "diffusers", "numpy", "pillow"):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions
