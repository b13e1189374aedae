"""How near the pictures of a folder are to those of another one, and to their prompts."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from blip3o.api import Progress
from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Metrics
from blip3o.evals.distributions.fdr import ratio
from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.evals.distributions.kid import kernel_distances
from blip3o.processing.images import open_picture

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
BATCH = 32
FeatureExtractor = Callable[[Sequence[Image.Image]], Float[np.ndarray, "n dim"]]
Scorer = Callable[[Sequence[Image.Image], Sequence[str]], Float[np.ndarray, "n"]]


def picture_files(folder: Path) -> list[Path]:
    """The picture files below a folder, by name. Raises DataError where there is no folder, or none in it."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name a folder of pictures")
    below = (Path(place, name) for place, _, names in os.walk(folder) for name in names)  # passes over what vanishes
    paths = sorted(path for path in below if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))}): is it the right folder?")
    return paths


def compare(
    drawn: Path,
    real: Path,
    encoders: Mapping[str, FeatureExtractor],
    *,
    validation: Path | None = None,
    batch: int = BATCH,
    progress: Progress = lambda done, total: None,
) -> Metrics:
    """FD and KID of two folders by each encoder ("fd/<name>", "kid/<name>"), and "fdr" where there is a validation set:
    real pictures that are not among the `real` ones.

    An FD grows with fewer pictures: compare only those over the same numbers. Raises DataError for folders without at
    least two pictures, and PictureError for a damaged one.
    """
    if not encoders:
        raise DataError("no encoder is named: name one or more")
    folders = sets(drawn, real, validation)
    total, done = sum(map(len, folders.values())) * len(encoders), 0
    metrics: Metrics = {}
    distances: dict[str, float] = {}
    of_validation: dict[str, float] = {}
    for name, encoder in encoders.items():
        extracted: dict[str, Float[np.ndarray, "n dim"]] = {}
        for part, files in folders.items():
            extracted[part] = features(files, encoder, batch, lambda count, done=done: progress(done + count, total))
            done += len(files)
        distances[name] = metrics[f"fd/{name}"] = frechet_distance(extracted["drawn"], extracted["real"])
        metrics[f"kid/{name}"] = float(kernel_distances(extracted["drawn"], extracted["real"]).mean())
        if validation is not None:
            of_validation[name] = frechet_distance(extracted["validation"], extracted["real"])
    return metrics if validation is None else {"fdr": ratio(distances, of_validation)} | metrics


def sets(drawn: Path, real: Path, validation: Path | None = None) -> dict[str, list[Path]]:
    """The picture files of each set by its name. Raises DataError for a folder without at least two pictures."""
    folders = {"drawn": drawn, "real": real} | ({} if validation is None else {"validation": validation})
    files = {name: picture_files(folder) for name, folder in folders.items()}
    for name, found in files.items():
        if len(found) < 2:
            raise DataError(f"{folders[name]} holds one picture: a distance between sets takes two or more of each")
    return files


def features(
    files: Sequence[Path],
    encoder: FeatureExtractor,
    batch: int = BATCH,
    progress: Callable[[int], None] = lambda done: None,
) -> Float[np.ndarray, "n dim"]:
    """One row for each picture file, a batch at a time."""
    rows = []
    for start in range(0, len(files), batch):
        rows.append(encoder([open_picture(path) for path in files[start : start + batch]]))
        progress(min(start + batch, len(files)))
    return np.concatenate(rows)


def alignment(
    drawn: Path,
    prompts: Path | None,
    scorer: Scorer,
    *,
    batch: int = BATCH,
    progress: Progress = lambda done, total: None,
) -> Float[np.ndarray, "n"]:
    """The cosine of every picture of a folder with its prompt, in order of name; `clipscore.WAYS` make a score of them.

    Raises DataError where pictures and prompts do not go together.
    """
    files, words = captioned(drawn, prompts)
    values = []
    for start in range(0, len(files), batch):
        chunk = slice(start, start + batch)
        values.append(scorer([open_picture(path) for path in files[chunk]], words[chunk]))
        progress(sum(map(len, values)), len(files))
    return np.concatenate(values)


def captioned(folder: Path, prompts: Path | None) -> tuple[list[Path], list[str]]:
    """The picture files of a folder and the prompt of each. Raises DataError where they do not go together."""
    files = picture_files(folder)
    return files, prompts_of(files, folder, prompts)


def prompts_of(files: Sequence[Path], folder: Path, table: Path | None) -> list[str]:
    """The prompt of each picture: of a JSON table, file name -> prompt, with or without folder and suffix; without a
    table, of the text file of the same name beside the picture. Raises DataError where one has none, or a prompt of
    the table no picture."""
    if table is None:
        texts = {path: path.with_suffix(".txt") for path in files}
        _complain([path for path, text in texts.items() if not text.is_file()], f"{folder} has no text file beside")
        return [text.read_text(encoding="utf-8").strip() for text in texts.values()]
    words = tables.read_json(table)
    if not isinstance(words, dict) or not all(isinstance(prompt, str) for prompt in words.values()):
        raise DataError(f'{table} is no table of prompts: expected {{"picture.png": "its prompt", ...}}')
    names = {path: next((name for name in _names(path, folder) if name in words), None) for path in files}
    _complain([path for path, name in names.items() if name is None], f"{table} has no prompt for")
    _complain(sorted(words.keys() - set(names.values())), f"{folder} has no picture for the prompt of")
    return [words[name] for name in names.values()]


def _names(path: Path, folder: Path) -> tuple[str, ...]:
    inside = path.relative_to(folder)
    return (inside.as_posix(), inside.with_suffix("").as_posix(), path.name, path.stem)


def _complain(missing: Sequence[Path | str], what: str) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{what} {missing[0]}{more}: pictures and prompts must go together")
