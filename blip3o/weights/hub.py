"""Where models are found: shipped in the package, in a folder of the user's, or on the Hugging Face Hub."""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import torch
from huggingface_hub import create_repo, snapshot_download, upload_folder
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from blip3o.errors import CheckpointError
from blip3o.weights import checkpoint, layout, published
from blip3o.weights.machine import Machine
from blip3o.weights.published import Part, Source
from blip3o.weights.shards import Shards
from blip3o.weights.spaces import DECODER_FOLDER

SHIPPED = Path(__file__).parents[1] / "checkpoints"
PUBLISHED: dict[str, object] = {"layout": "published"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.jinja")
"""Files of a model on the Hub that are of use: no code, no pickles."""


def find(name_or_path: str | Path, needs: Collection[Part] | None = None) -> Path:
    """The folder of a shipped model, of the user's own, or of one on the Hub, which is fetched where it is not yet.

    Of the Hub's models a decoder is fetched only where `needs` names it or is None. Raises CheckpointError for a name
    that is none of these.
    """
    own, name = Path(name_or_path), str(name_or_path)
    with suppress(OSError):  # a name that no file can have
        if isinstance(name_or_path, str) and os.sep not in name and (SHIPPED / name / checkpoint.CONFIG).is_file():
            return SHIPPED / name  # a folder of this name is ./name
        if own.is_dir():
            return own
    if isinstance(name_or_path, str) and _HUB_ID.fullmatch(name):
        return _fetched(name, [] if needs is None or "decoder" in needs else [f"{DECODER_FOLDER}/*"])
    names = ", ".join(sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())) or "none"
    raise CheckpointError(
        f"no model {name!r}: name a checkpoint's folder, a model on the Hub (owner/name), or a shipped one ({names})"
    )


def load(
    name_or_path: str | Path,
    *,
    device: torch.device,
    dtype: torch.dtype | None = None,
    needs: Collection[Part] | None = None,
    encoder: Path | None = None,
    decoder: Path | None = None,
) -> tuple[Machine, dict[str, object]]:
    """A model by its name or folder, and the facts written with it.

    A model of ours is always whole and in float32. Of a published one the parts are loaded that it `needs` (those that
    are there), from the folders `encoder` and `decoder` where they lie elsewhere, in `dtype` (that of its files).
    Raises CheckpointError.
    """
    folder = find(name_or_path, needs)
    if _is_ours(folder):
        return checkpoint.load(folder, device)
    source = Source(unified=folder, encoder=encoder, decoder=decoder)
    return published.load(source, needs, device=device, dtype=dtype), PUBLISHED


def sketch(
    name_or_path: str | Path, *, encoder: Path | None = None, decoder: Path | None = None
) -> tuple[Machine, dict[str, object]]:
    """A model without its tensors, on the meta device, and the facts written with it: of all files only the headers are
    read. Raises CheckpointError, as `load` does."""
    folder = find(name_or_path)
    if _is_ours(folder):
        return checkpoint.sketch(folder), Shards.find(folder).about
    return published.sketch(Source(unified=folder, encoder=encoder, decoder=decoder)), PUBLISHED


def push(folder: Path, repository: str, *, private: bool = True) -> str:
    """Send a model's folder to the Hub (owner/name), where it is made if it is not there; gives its address.

    Raises CheckpointError where the Hub refuses.
    """
    try:
        create_repo(repository, private=private, exist_ok=True)
        return str(upload_folder(repo_id=repository, folder_path=folder, commit_message="A model of blip3o"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot write {repository} on the Hub: {' '.join(str(error).split())[:200]}: run `hf auth login` with the "
            "right to write"
        ) from error


def _is_ours(folder: Path) -> bool:
    return (folder / checkpoint.CONFIG).is_file() or not (folder / layout.CONFIG).is_file()


def _fetched(name: str, ignored: list[str]) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED), ignore_patterns=ignored))
    except GatedRepoError:
        advice = "it asks for a login: accept its terms on its page, then run `hf auth login`"
    except RepositoryNotFoundError:
        advice = "the Hub has no model of this name, or it needs a login: check the name, or run `hf auth login`"
    except LocalEntryNotFoundError:
        advice = "it is not on this machine, and the Hub is out of reach or switched off (HF_HUB_OFFLINE)"
    except (HfHubHTTPError, OSError, ValueError) as error:
        advice = f"the Hub says: {' '.join(str(error).split())[:200]}"
    raise CheckpointError(f"cannot fetch {name}: {advice}")
