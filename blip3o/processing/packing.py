"""Several conversations in one row of tokens, none of which sees another: rows of like length, with little padding."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from blip3o.batch import Batch
from blip3o.errors import PromptError
from blip3o.processing.chat_template import ChatTemplate, TokenizedSample


def pack(lengths: Sequence[int], longest: int) -> list[list[int]]:
    """Rows of conversations of these lengths, by their indices, each of at most `longest` tokens; a conversation that
    is longer has a row to itself.

    The longest come first, each into the first row that has room ("first fit decreasing": at most 11/9 of the fewest
    rows possible, and 6/9 of a row).
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda item: (-lengths[item], item)):
        fitting = next((row for row, left in enumerate(room) if lengths[item] <= left), len(rows))
        if fitting == len(rows):
            rows.append([])
            room.append(longest)
        rows[fitting].append(item)
        room[fitting] -= lengths[item]
    return rows


def collate_packed(template: ChatTemplate, rows: Sequence[Sequence[TokenizedSample]]) -> Batch:
    """Rows of several conversations each as one batch. Raises PromptError for one that ends in a slot."""
    if any(sample.has_slot for row in rows for sample in row):
        raise PromptError("a conversation that ends in a picture cannot be packed: pack those that end in words")
    batch = template.collate([_joined(row) for row in rows])
    segments = torch.full_like(batch.tokens, -1)  # of padding, which sees itself alone
    for row, samples in enumerate(rows):
        lengths = torch.tensor([len(sample.tokens) for sample in samples])
        segments[row, : int(lengths.sum())] = torch.arange(len(samples)).repeat_interleave(lengths)
    return replace(batch, segments=segments)


def _joined(samples: Sequence[TokenizedSample]) -> TokenizedSample:
    return replace(
        samples[0],
        tokens=[token for sample in samples for token in sample.tokens],
        labels=[label for sample in samples for label in sample.labels],
        pictures=[picture for sample in samples for picture in sample.pictures],
    )
