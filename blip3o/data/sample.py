"""A sample: what a source holds under one number, and what may be wrong with it."""

from dataclasses import dataclass

from blip3o.errors import DataError
from blip3o.processing.conversation import Conversation, Picture


class SampleError(DataError):
    """A sample that training passes over. `reason` is one of a few, to be counted; `shard` is the file it lies in."""

    def __init__(self, reason: str, shard: str, address: str, detail: str = "") -> None:
        super().__init__(f"{address}: {reason}{f' ({detail})' if detail else ''}")
        self.reason, self.shard, self.address, self.detail = reason, shard, address, detail


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture with its captions, or a conversation as it was written down (an edit is one that ends in a picture)."""

    picture: Picture | None = None
    captions: tuple[str, ...] = ()
    """Each says the whole picture, in other words or at another length."""
    conversation: Conversation = ()
    shard: str = ""
    """The file that it lies in."""
    address: str = ""
    """Where it lies, for messages: `shard.tar/000123`, `data.jsonl:7`."""

    @property
    def pictures(self) -> list[Picture]:
        """Its picture, or those of its conversation in their order."""
        if self.picture is not None:
            return [self.picture]
        return [part for turn in self.conversation for part in turn.content if isinstance(part, Picture)]

    @property
    def place(self) -> tuple[str, str]:
        """Shard and address, as `SampleError` takes them."""
        return self.shard, self.address
