"""Where models are found: shipped in the package, in a folder of the user's, or on the Hugging Face Hub."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from huggingface_hub import (
    constants,
    create_repo,
    list_repo_files,
    parse_safetensors_file_metadata,
    snapshot_download,
    upload_folder,
)
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.file_download import DryRunFileInfo
from huggingface_hub.utils import SafetensorsFileMetadata

from blip3o.errors import CheckpointError, brief
from blip3o.weights.folders import DECODER_FOLDER, HUB_ID, Part, is_published, local

if TYPE_CHECKING:
    from blip3o.weights.deferred import DeferredModel

_SMALL, _LARGE = ("*.json", "*.txt", "*.jinja", "*.yaml"), ("*.safetensors",)
"""Files of a model on the Hub that are of use: no code, no pickles."""


def find(name_or_path: str | Path, needs: Collection[Part] | None = None) -> Path:
    """The folder of a shipped model, of the user's own, or of one on the Hub, which is fetched where it is not yet.

    Of the Hub's models a decoder is fetched only where `needs` names it or is None. Raises CheckpointError for a name
    that is none of these.
    """
    folder, name = local(name_or_path), str(name_or_path)
    if folder is None:
        ignored = [] if needs is None or "decoder" in needs else [f"{DECODER_FOLDER}/*"]
        with _asking(name):
            return Path(snapshot_download(name, allow_patterns=[*_SMALL, *_LARGE], ignore_patterns=ignored))
    return folder


@contextmanager
def outlined(name_or_path: str | Path) -> Iterator[Path]:
    """The folder of a model, to look into. Of one on the Hub it holds the small files and, in place of each file of
    tensors, its header with a hole of its size, and is gone afterwards: nothing large is fetched.

    Raises CheckpointError, as `find` does.
    """
    folder, name = local(name_or_path), str(name_or_path)
    if folder is not None:
        yield folder
        return
    if constants.HF_HUB_OFFLINE:
        yield find(name)
        return
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / name.partition("/")[2]
        with _asking(name):
            snapshot_download(name, allow_patterns=list(_SMALL), local_dir=folder)
            for path in list_repo_files(name):
                if any(fnmatch(path, pattern) for pattern in _LARGE):
                    _write_hollow(folder / path, parse_safetensors_file_metadata(name, path))
        yield folder


def open_model(
    name_or_path: str | Path,
    *,
    needs: Collection[Part] | None = None,
    encoder: Path | None = None,
    decoder: Path | None = None,
    verify: bool = True,
) -> "DeferredModel":
    """A model by its name or folder before its tensors are read.

    A model of ours is always whole. Of a published one those parts are taken that it `needs` (those that are there),
    from the folders `encoder` and `decoder` where they lie elsewhere. Raises CheckpointError, where it is to `verify`
    also for files that changed since they were saved.
    """
    from blip3o.weights import checkpoint  # opens torch
    from blip3o.weights.published import model as published

    folder = find(name_or_path, needs)
    if not is_published(folder):
        for part, given in (("encoder", encoder), ("decoder", decoder)):
            if given is not None:
                raise CheckpointError(f"{name_or_path} holds its own {part}, {given} would not be used: leave it out")
        return checkpoint.open_model(folder, verify=verify)
    return published.open_model(folder, needs, encoder, decoder, verify=verify)


def find_data(name: str, patterns: Sequence[str], report: Callable[[str], None]) -> Path:
    """The folder of a data set on the Hub (owner/name) with those of its files that match a pattern.

    What is not there yet is fetched, after `report` has heard how much it is. Raises CheckpointError, also where the
    data set has no such file.
    """
    if not HUB_ID.fullmatch(name):
        raise CheckpointError(f"no data {name!r}: name a folder, or a data set on the Hub (owner/name)")
    request: dict[str, Any] = {"repo_type": "dataset", "allow_patterns": list(patterns)}
    if not constants.HF_HUB_OFFLINE:
        with _asking(name):
            files = snapshot_download(name, **request, dry_run=True)
        if not files:
            raise CheckpointError(f"{name} has no file {' or '.join(patterns)}: name another data set with --data")
        left = [file for file in files if isinstance(file, DryRunFileInfo) and file.will_download]
        if left:
            report(f"fetching {len(left)} files of {name}, {sum(file.file_size or 0 for file in left) / 1e9:,.2f} GB")
    with _asking(name):
        return Path(str(snapshot_download(name, **request)))


def push(folder: Path, repository: str, *, private: bool = True) -> str:
    """Send a model's folder to the Hub (owner/name), where it is made if it is not there; gives its address.

    Raises CheckpointError where the Hub refuses.
    """
    try:
        create_repo(repository, private=private, exist_ok=True)
        return str(upload_folder(repo_id=repository, folder_path=folder, commit_message="A model of blip3o"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot write {repository} on the Hub: {brief(error, 200)}: run `hf auth login` with the right to write"
        ) from error


def _write_hollow(path: Path, facts: SafetensorsFileMetadata) -> None:
    """A safetensors file with everything but its tensors, whose bytes are a hole that takes no room on the disk."""
    entries: dict[str, object] = {
        name: {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": tensor.data_offsets}
        for name, tensor in facts.tensors.items()
    }
    header = json.dumps(entries | {"__metadata__": facts.metadata or {}}, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + max((tensor.data_offsets[1] for tensor in facts.tensors.values()), default=0))


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Raises CheckpointError for what goes wrong on the Hub meanwhile."""
    try:
        yield
        return
    except GatedRepoError:
        advice = "it asks for a login: accept its terms on its page, then run `hf auth login`"
    except RepositoryNotFoundError:
        advice = "the Hub has no model of this name, or it needs a login: check the name, or run `hf auth login`"
    except LocalEntryNotFoundError:
        advice = "it is not on this machine, and the Hub is out of reach or switched off (HF_HUB_OFFLINE)"
    except (HfHubHTTPError, OSError, ValueError) as error:
        advice = f"the Hub says: {brief(error, 200)}"
    raise CheckpointError(f"cannot fetch {name}: {advice}")
