"""What a frozen backbone makes of each prompt, computed once: the hidden states of slots, to train a denoiser alone.

A condition is found by what leads to the slot: the tokens before it and the pixels of the pictures that are read. So it
does not matter which sample asks for it, by which of its captions, or whether its prompt was dropped.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from blip3o.config import to_dict
from blip3o.data.address import seeded
from blip3o.data.array_store import ArrayStore
from blip3o.data.identity import identity
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError, DataError, PictureError
from blip3o.files import writing
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.chat_template import TokenizedSample
from blip3o.processing.conversation import Conversation, Picture, Turn
from blip3o.train.features import add_tensors

KEYS = "keys.bin"
"""16 bytes for each condition, in the order of the conditions."""
AT_ONCE = 32
"""Prompts."""


class Conditions:
    """The conditions in a folder."""

    def __init__(self, store: ArrayStore) -> None:
        self.store = store
        keys = np.fromfile(store.folder / KEYS, "S16")
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def of(self, samples: Sequence[TokenizedSample]) -> Float[Tensor, "batch slot hidden"]:
        """The condition of each sample. Raises DataError where one was never computed."""
        wanted = np.array([key_of(sample) for sample in samples], "S16")
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        missing = np.flatnonzero(self._keys[places] != wanted)
        if len(missing):
            raise DataError(
                f"{self.store.folder} holds no condition for {len(missing)} prompts of a step: make it anew by `blip3o "
                "data cache --conditions`, from the recipe's own source"
            )
        return torch.from_numpy(np.stack([self.store[int(row)] for row in self._order[places]])).float()


def key_of(sample: TokenizedSample) -> bytes:
    """The key of the condition of a sample that ends in its slot."""
    digest = hashlib.sha256(np.array(sample.tokens, np.int64).tobytes())
    for picture in sample.pictures:
        digest.update(str(picture.pixels.shape).encode() + picture.pixels.tobytes())
    return digest.digest()[:16].replace(b"\0", b"\1")  # numpy's texts end at their last byte that is not 0


def cache_conditions(
    pipeline: Pipeline, source: Source, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> ArrayStore:
    """The conditions of all prompts that a source has for pictures, in a folder, from where an earlier run stopped.

    Every caption of every picture is one, and every conversation that ends in a picture; and the empty prompt.
    `progress` gets how many of how many are there. Raises OutputError where the folder holds those of another model or
    source.
    """
    _require_that_they_stay(pipeline)
    prompts = _Prompts(pipeline, source)
    head, space = pipeline.config.unified.head, pipeline.space.mean
    dtype = "float32" if space.dtype == torch.float32 else "float16"
    facts = {"holds": "conditions", "backbone": backbone_digest(pipeline), "source": identity(source)}
    store = ArrayStore.make(folder, len(prompts), (head.slot_length, head.width), dtype, facts)
    if not (folder / KEYS).is_file():
        with writing(folder / KEYS) as temporary:
            temporary.write_bytes(b"".join(prompts.keys))
    missing = list(store.missing())
    done = len(store) - sum(map(len, missing))
    for part in missing:
        rows = np.zeros((len(part), *store.shape[1:]), store.dtype)
        for start in range(part.start, part.stop, AT_ONCE):
            some = range(start, min(start + AT_ONCE, part.stop))
            rows[some.start - part.start : some.stop - part.start] = _computed(pipeline, prompts[some])
            done += len(some)
            progress(done, len(store))
        store.write(part, rows)
    return store


def open_conditions(pipeline: Pipeline, folder: Path) -> Conditions:
    """The conditions in a folder. Raises DataError where they are of another backbone or other queries, or not all
    there."""
    _require_that_they_stay(pipeline)
    store = ArrayStore.open(folder)
    store.check(holds="conditions", backbone=backbone_digest(pipeline))
    return Conditions(store)


def _require_that_they_stay(pipeline: Pipeline) -> None:
    """Raise ConfigError for a head without conditions that a prompt alone decides."""
    head = pipeline.config.unified.head
    if head.repeats:
        raise ConfigError(
            f"conditions are of heads for which the backbone runs once for an image; with head {head.kind} it runs in "
            "every step: leave conditions out"
        )


def backbone_digest(pipeline: Pipeline) -> str:
    """A digest of all that a condition depends on beside its prompt: the backbone, the queries, how prompts are
    written. The backbone of eight billion weights takes a minute."""
    unified = pipeline.unified
    digest = hashlib.sha256(repr((to_dict(pipeline.config.prompt), to_dict(unified.config.backbone))).encode())
    queries = {name: value for name, value in unified.head.state_dict().items() if name == "queries"}
    add_tensors(digest, {**unified.backbone.state_dict(), **queries})
    return digest.hexdigest()


class _Prompts:
    """The prompts of a source, each once: where it is found first, so that it need not be held."""

    def __init__(self, pipeline: Pipeline, source: Source) -> None:
        self.pipeline, self.source = pipeline, source
        first: dict[bytes, tuple[int, int]] = {}
        for index in range(len(source)):
            for number, conversation in enumerate(self.of(index)):
                with suppress(PictureError):  # one that is too narrow to be read is skipped in training, too
                    first.setdefault(key_of(pipeline.template.encode(conversation)), (index, number))
        self.keys, self.places = list(first), list(first.values())

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: range) -> list[TokenizedSample]:
        conversations = [list(self.of(index))[number] for index, number in (self.places[row] for row in rows)]
        return [self.pipeline.template.encode(conversation) for conversation in conversations]

    def of(self, index: int) -> Iterator[Conversation]:
        """The conversations of a sample that end in a picture; features that are not known are 0."""
        try:
            sample = self.source[index]
        except SampleError:
            return
        if sample.conversation:
            *before, last = sample.conversation
            if isinstance(picture := last.content[-1], Picture):
                yield *before, replace(last, content=(*last.content[:-1], self.blank(picture)))
            return
        if sample.picture is not None:
            for prompt in (*sample.captions, ""):
                yield Turn("user", (prompt,)), Turn("assistant", (self.blank(sample.picture),))

    def blank(self, picture: Picture) -> Picture:
        """The picture with features of 0, which change no condition."""
        head = self.pipeline.config.unified.head
        return replace(picture, features=np.zeros((head.channels, head.side, head.side), np.float32))


@torch.no_grad()
def _computed(pipeline: Pipeline, samples: Sequence[TokenizedSample]) -> np.ndarray:
    """The conditions of prompts, those of one length together, so that none is padded."""
    template, device = pipeline.template, pipeline.device
    rows: dict[int, np.ndarray] = {}
    for length in sorted({len(sample.tokens) for sample in samples}):
        alike = [row for row, sample in enumerate(samples) if len(sample.tokens) == length]
        batch = template.collate([replace(samples[row], pictures=_blank(samples[row])) for row in alike], left=True)
        rngs = [seeded(f"conditions/{row}") for row in alike]  # what noise there is changes no query
        hidden = pipeline.unified.condition(batch.to(device), rngs).float().cpu().numpy()
        if not np.isfinite(hidden.astype(np.float16)).all() and pipeline.space.mean.dtype != torch.float32:
            raise DataError("conditions are too large for 16 bits: load the model in float32")
        rows |= dict(zip(alike, hidden, strict=True))
    return np.stack([rows[row] for row in range(len(samples))])


def _blank(sample: TokenizedSample) -> list[Picture]:
    """The pictures that are read, the last of them with features of 0 as the target's are: all or none have some."""
    assert sample.target is not None
    return [replace(picture, features=np.zeros_like(sample.target.features)) for picture in sample.pictures]
