"""Conversations -> Batch, in the chat template of Qwen2.5 with the pictures and the slot of BLIP3-o in it.

    <|im_start|>user
    <|vision_start|><|image_pad|>...<|vision_end|>make it night<|im_end|>
    <|im_start|>assistant
    [IMG]<image>...<image>

An image that the assistant drew in an earlier turn stands there as a read picture. Loss is taken at what the assistant
writes: its words, [IMG], and <|im_end|> where it does not draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from blip3o.batch import IGNORED, Batch
from blip3o.config import check, sizes
from blip3o.errors import PromptError
from blip3o.processing import images
from blip3o.processing import tokenizer as tok
from blip3o.processing.conversation import Conversation, Picture, Turn


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """How words and pictures become inputs."""

    picture_size: int | None
    """Height and width in px at which pictures are read; None reads each whole, in about its own size."""
    patch_size: int
    merge_size: int
    temporal_patch_size: int
    """The backbone's vision tower: patch side in px, patches merged per axis, frames per patch."""
    slot_length: int
    longest_prompt: int = 2000
    """In characters."""
    least_pixels: int = 56 * 56
    most_pixels: int = 16384 * 28 * 28
    """Bounds of the pixels of a picture that is read whole: those of Qwen2.5-VL."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    deviation: tuple[float, ...] = (0.5, 0.5, 0.5)
    """What the vision tower takes off red, green and blue in [0, 1], and divides them by."""
    picture_tokens: tuple[str, ...] = (tok.VISION_START, tok.IMAGE_PAD, tok.VISION_END)
    """What stands before a read picture, in place of each of its tokens, and after it."""
    query: str = tok.QUERY
    """What holds the places of the slot."""
    system: str = ""
    """What the system says first, where a conversation does not say it itself."""
    request: str = "{}"
    """What a prompt for a picture is put into."""
    ends_turn: bool = False
    """Whether the assistant's turn ends before the slot: so the published models were trained, though not used."""

    def __post_init__(self) -> None:
        square = self.patch_size * self.merge_size
        check(
            *sizes(self),
            (
                square < 1 or (self.picture_size or 0) % square == 0,
                f"prompt.picture_size {self.picture_size} is no multiple of {square}: patches of {self.patch_size} px, "
                f"{self.merge_size} x {self.merge_size} of them merged",
            ),
            (
                self.least_pixels <= self.most_pixels,
                f"prompt.least_pixels {self.least_pixels} is more than most_pixels {self.most_pixels}",
            ),
            (all(one > 0 for one in self.deviation), f"prompt.deviation is {self.deviation}, expected more than 0"),
            (self.request.count("{}") == 1, f"prompt.request is {self.request!r}, expected one {{}} in it"),
            (len(self.mean) == len(self.deviation) == 3, "prompt.mean and prompt.deviation have three values each"),
            (
                len({*self.picture_tokens, self.query}) == 4,
                f"prompt.picture_tokens are {', '.join(self.picture_tokens)} and prompt.query {self.query}, expected "
                "three and one, all different",
            ),
        )

    def size_read(self, picture: Picture, name: str = images.NAMELESS) -> tuple[int, int]:
        """Height and width in px at which a picture is read. Raises PictureError for one that is too narrow."""
        if self.picture_size is not None:
            return self.picture_size, self.picture_size
        multiple = self.patch_size * self.merge_size
        return images.whole_size(picture, multiple, self.least_pixels, self.most_pixels, name)

    def tokens_of(self, picture: Picture) -> int:
        """How many tokens a picture takes."""
        height, width = self.size_read(picture)
        return (height // self.patch_size // self.merge_size) * (width // self.patch_size // self.merge_size)


@dataclass(frozen=True, kw_only=True)
class TokenizedSample:
    """One conversation as tokens."""

    tokens: list[int]
    labels: list[int]
    pictures: list[Picture]
    """The pictures that are read, in order."""
    target: Picture | None
    """The image to generate, in training."""
    has_slot: bool

    def without_features(self) -> "TokenizedSample":
        """The same, as if no features were known."""
        pictures = [replace(picture, features=None) for picture in self.pictures]
        return replace(self, pictures=pictures, target=self.target and replace(self.target, features=None))


class ChatTemplate:
    """Encodes conversations for one model."""

    def __init__(self, config: PromptConfig, words: tok.Tokenizer) -> None:
        self.config = config
        self.words = words

    def check(self, text: str) -> None:
        """Raise PromptError for a text that this model cannot be asked."""
        tok.check_text(self.words, text, longest=self.config.longest_prompt)

    def picture(self, image: images.Picturelike) -> Picture:
        """An image in its own size. Raises PictureError for one that cannot be read."""
        picture = images.read_picture(image)
        self.config.size_read(picture, images.named(image))
        return picture

    def resized(self, picture: Picture) -> Picture:
        """A picture as it is read: its central square, or the whole of it."""
        if self.config.picture_size is not None:
            return images.square(picture, self.config.picture_size)
        return images.resize(picture, *self.config.size_read(picture))

    def encode(self, conversation: Conversation) -> TokenizedSample:
        """A whole conversation, for training or scoring; it ends with the assistant's turn."""
        writer = _Writer(self)
        if not conversation or conversation[-1].role != "assistant":
            raise PromptError("the conversation does not end with the assistant's turn: add what it is to answer")
        last = conversation[-1]
        draws = isinstance(last.content[-1], Picture)
        writer.turns(conversation[:-1], drawing=draws)
        writer.open("assistant")
        for part in last.content[:-1] if draws else last.content:
            writer.part(part, written=True)
        if draws:
            return writer.slot(written=True, target=last.content[-1])  # pyright: ignore[reportArgumentType]
        writer.token(tok.TURN_END, written=True)
        return writer.done()

    def ask(self, conversation: Conversation, begun: Sequence[int] = (), *, draw: bool = False) -> TokenizedSample:
        """A conversation up to the assistant's answer, of which `begun` is there already.

        It ends in a slot where the assistant is to `draw`.
        """
        writer = _Writer(self)
        writer.turns(conversation, drawing=draw)
        writer.open("assistant")
        writer.ids(begun, written=False)
        return writer.slot(written=False, target=None) if draw else writer.done()

    def nothing(self) -> TokenizedSample:
        """The prompt that published code draws from where a picture is to show nothing: one space, no turns."""
        writer = _Writer(self)
        writer.ids(self.words.encode(" "), written=False)
        return writer.queries()

    def collate(self, encoded: Sequence[TokenizedSample], *, left: bool = False) -> Batch:
        """Conversations as one batch, padded on the right, or on the `left` for writing on.

        Features of targets and references are taken from their pictures. Either all conversations end in a slot or none
        does.
        """
        longest = max(len(item.tokens) for item in encoded)
        control = self.words.control

        def padded(rows: list[list[int]], filler: int) -> torch.Tensor:
            filled = [[filler] * (longest - len(row)) for row in rows]
            return torch.tensor([f + r if left else r + f for f, r in zip(filled, rows, strict=True)])

        tokens = padded([item.tokens for item in encoded], control[tok.PAD])
        pictures = [picture for item in encoded for picture in item.pictures]
        pixel_values, image_grid_thw = self.pixel_values(pictures) if pictures else (None, None)
        slotted = encoded[0].has_slot
        newest = [item.pictures[-1] if item.pictures else None for item in encoded]
        return Batch(
            tokens=tokens,
            mask=padded([[1] * len(item.tokens) for item in encoded], 0).bool(),
            labels=padded([item.labels for item in encoded], IGNORED),
            image_mask=tokens == control[self.config.picture_tokens[1]],
            slot=tokens == control[self.config.query],
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            target=features_of([item.target for item in encoded]) if slotted else None,
            reference=features_of(newest) if slotted else None,
            referenced=torch.tensor([picture is not None for picture in newest]) if slotted else None,
        )

    def pixel_values(self, pictures: list[Picture]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures as the vision tower's patches and grid; one that stands there several times is resized once."""
        config = self.config
        resized = {key: self.resized(picture) for key, picture in {id(one): one for one in pictures}.items()}
        pictures = [resized[id(picture)] for picture in pictures]
        alike = len({picture.pixels.shape for picture in pictures}) == 1
        patches = [
            images.to_patches(
                images.normalised(images.to_pixels(images.stacked(same)), config.mean, config.deviation),
                config.patch_size,
                config.merge_size,
                config.temporal_patch_size,
            )
            for same in ([pictures] if alike else [[picture] for picture in pictures])
        ]
        return torch.cat([pixel_values for pixel_values, _ in patches]), torch.cat(
            [image_grid_thw for _, image_grid_thw in patches]
        )


class _Writer:
    """A conversation being written down."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self.words = template.words
        self.tokens: list[int] = []
        self.labels: list[int] = []
        self.pictures: list[Picture] = []

    def ids(self, ids: Sequence[int], *, written: bool) -> None:
        self.tokens += ids
        self.labels += ids if written else [IGNORED] * len(ids)

    def token(self, name: str, *, written: bool = False) -> None:
        self.ids([self.words.control[name]], written=written)

    def open(self, role: str) -> None:
        self.token(tok.TURN_START)
        self.ids(self.words.encode(f"{role}\n"), written=False)

    def part(self, part: str | Picture, *, written: bool) -> None:
        if isinstance(part, str):
            self.ids(self.words.encode(part), written=written)
            return
        before, token, after = self.template.config.picture_tokens
        self.token(before)
        self.ids([self.words.control[token]] * self.template.config.tokens_of(part), written=False)
        self.token(after)
        self.pictures.append(part)

    def turns(self, conversation: Conversation, *, drawing: bool) -> None:
        """The turns before the assistant's answer; the last is a request for a picture where that is a `drawing`."""
        config = self.template.config
        if config.system and not (conversation and conversation[0].role == "system"):
            conversation = (Turn("system", (config.system,)), *conversation)
        if drawing and conversation and isinstance(words := conversation[-1].content[0], str):
            last = conversation[-1]
            request = replace(last, content=(config.request.replace("{}", words), *last.content[1:]))
            conversation = (*conversation[:-1], request)
        for turn in conversation:
            self.turn(turn)

    def turn(self, turn: Turn) -> None:
        """A turn of the past; what the assistant wrote in it is learned, too."""
        written = turn.role == "assistant" and not any(isinstance(part, Picture) for part in turn.content)
        self.open(turn.role)
        for part in turn.content:
            self.part(part, written=written)
        self.token(tok.TURN_END, written=written)
        self.ids(self.words.encode("\n"), written=False)

    def slot(self, *, written: bool, target: Picture | None) -> TokenizedSample:
        if self.template.config.ends_turn:
            self.token(tok.TURN_END, written=written)
            self.ids(self.words.encode("\n"), written=False)
        return self.queries(written=written, target=target)

    def queries(self, *, written: bool = False, target: Picture | None = None) -> TokenizedSample:
        config = self.template.config
        self.token(tok.IMAGE_START, written=written)
        self.ids([self.words.control[config.query]] * config.slot_length, written=False)
        return self.done(has_slot=True, target=target)

    def done(self, *, has_slot: bool = False, target: Picture | None = None) -> TokenizedSample:
        return TokenizedSample(
            tokens=self.tokens, labels=self.labels, pictures=self.pictures, target=target, has_slot=has_slot
        )


def features_of(pictures: Sequence[Picture | None]) -> torch.Tensor | None:
    """The features of pictures as one tensor, zeros for None; None where no picture has any."""
    shown = [picture.features for picture in pictures if picture is not None]
    known = [torch.as_tensor(one).float() for one in shown if one is not None]
    if not known:
        return None
    if len(known) < len(shown):
        raise PromptError("some pictures of the batch have features and some have none: encode them all first")
    rows, blank = iter(known), torch.zeros_like(known[0])
    return torch.stack([blank if picture is None else next(rows) for picture in pictures])
