"""Rows of data as people write them -> samples: captions, conversations in two dialects, and edits."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blip3o.data.sample import Sample
from blip3o.errors import PictureError
from blip3o.processing.conversation import Conversation, Picture, Role, Turn
from blip3o.processing.images import read_picture
from blip3o.processing.tokenizer import CONTROL, THINK_END, THINK_START

SourceRow = Mapping[str, Any]
OpenImage = Callable[[Any], Any]
"""The value of an image column -> a `Picturelike`."""

CAPTIONS = ("caption", "captions", "long_caption", "short_caption", "text", "txt")
IMAGES = ("image", "images", "jpg", "jpeg", "png", "webp", "img_path", "image_path", "file_name", "path")
CONVERSATIONS = ("conversations", "messages", "conversation")
SOURCES = ("source", "input_image", "source_image", "source_images", "sources")
TARGETS = ("target", "output_image", "target_image", "edited_image")
INSTRUCTIONS = ("instruction", "edit_prompt", "edit", "prompt")
"""Names that columns have in published data, in the order in which they are looked for."""

ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
MARK = re.compile(r"<image>\n?|\n?<image>")
"""Where a picture stands in the text of a turn (LLaVA)."""
LONGEST_TEXT = 100_000
"""Characters of one text; a longer one is a fault of the data."""
MOST_ELONGATED = 200
"""A picture more often as long as wide is refused: Qwen2.5-VL reads none such (arXiv 2502.13923)."""
CONTROL_TOKEN = re.compile("|".join([*map(re.escape, CONTROL), r"<\|\w+\|>"]))
"""Text that a tokenizer takes for a control token: of ours, or of any model that writes them `<|so|>`."""


class RowError(ValueError):
    """What is wrong with a row: a reason of few words, and the detail."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def read_row(row: SourceRow, open_image: OpenImage, place: tuple[str, str]) -> Sample:
    """The sample of a row, by the names of its columns: turns of a conversation; source, instruction and target of an
    edit; or an image with one or more captions. `place`: its shard and address. Raises RowError for one that
    cannot be trained on."""
    if turns := column(row, CONVERSATIONS):
        pictures = [_picture(image, open_image) for image in listed(column(row, IMAGES))]
        return Sample(conversation=_conversation(turns, pictures), shard=place[0], address=place[1])
    if (target := column(row, TARGETS)) is not None:
        return Sample(conversation=_edit(row, target, open_image), shard=place[0], address=place[1])
    images = listed(column(row, IMAGES))
    if not images:
        raise RowError("no image", f"columns are {', '.join(row) or 'none'}")
    captions = captions_of(row)
    if not captions:
        raise RowError("no caption", f"columns are {', '.join(row)}")
    return Sample(picture=_picture(images[0], open_image), captions=captions, shard=place[0], address=place[1])


def images_of(row: SourceRow) -> list[Any]:
    """The values of all image columns of a row, those of an edit included, as they stand in the data."""
    columns = (IMAGES, SOURCES, TARGETS)
    return [value for names in columns for value in listed(column(row, names))]


def captions_of(row: SourceRow) -> tuple[str, ...]:
    """The captions of a row, without empty ones. Raises RowError for what is no text."""
    values = [value for name in CAPTIONS for value in listed(row.get(name))]
    return tuple(text for value in values if (text := _without_control(checked_text(value).strip())))


def checked_text(value: object) -> str:
    """A text, decoded. Raises RowError for one that is badly encoded, absurdly long or no text."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RowError("badly encoded text", f"{error.reason} at byte {error.start}") from None
    if not isinstance(value, str):
        raise RowError("no text", f"{type(value).__name__} where a text should be")
    if "\ufffd" in value or "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RowError("badly encoded text", "it holds letters that were lost before")
    if len(value) > LONGEST_TEXT:
        raise RowError("text too long", f"{len(value)} characters, more than {LONGEST_TEXT}")
    return value


def _without_control(text: str, *allowed: str) -> str:
    """The text, as it is. Raises RowError where it holds a control token that is not `allowed`: it would be read as one
    and end a turn, say."""
    if wrong := next((token for token in CONTROL_TOKEN.findall(text) if token not in allowed), None):
        raise RowError("control token", f"it holds {wrong!r}")
    return text


def texts_of(row: SourceRow) -> tuple[str, ...]:
    """All that is written in a row, for a tokenizer to learn from; "" of faulty ones."""
    try:
        spoken = [text for _, text in _spoken(column(row, CONVERSATIONS) or ())]
        instruction = column(row, INSTRUCTIONS) if column(row, TARGETS) is not None else None
        return (*captions_of(row), *spoken, *([] if instruction is None else [checked_text(instruction)]))
    except RowError:
        return ()


def column(row: SourceRow, names: Sequence[str]) -> Any:
    """The first of these columns that holds something; None where none does."""
    return next((row[name] for name in names if row.get(name) not in (None, "", [], ())), None)


def listed(value: Any) -> list[Any]:
    """A value as a list: of none an empty one, of a list its items, of anything else itself alone."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _picture(value: Any, open_image: OpenImage) -> Picture:
    try:
        picture = read_picture(open_image(value))
    except PictureError as error:
        raise RowError(error.reason, str(error)) from None
    height, width = picture.height, picture.width
    if max(height, width) > MOST_ELONGATED * min(height, width):
        raise RowError("elongated image", f"{width} x {height} px, more than {MOST_ELONGATED} times as long as wide")
    return picture


def _spoken(turns: Any) -> list[tuple[Role, str]]:
    """Role and text of each turn of LLaVA (`from`, `value`) or ShareGPT and OpenAI (`role`, `content`)."""
    if not isinstance(turns, list | tuple) or not all(isinstance(turn, Mapping) for turn in turns):
        raise RowError("no conversation", "expected a list of turns with from and value, or role and content")
    spoken = []
    for turn in turns:
        role = ROLES.get(str(turn.get("from", turn.get("role", ""))))
        if role is None:
            raise RowError("unknown role", f"{turn.get('from', turn.get('role'))!r}")
        spoken.append((role, _content(turn.get("value", turn.get("content", "")))))
    return spoken


def _content(value: Any) -> str:
    """The text of a turn; parts of OpenAI's shape become marks and text."""
    if isinstance(value, list):
        if not all(isinstance(part, Mapping) for part in value):
            raise RowError("no conversation", "expected parts with type and text in a turn's content")
        parts = ["<image>" if part.get("type") != "text" else checked_text(part.get("text", "")) for part in value]
        return "\n".join(parts)
    return checked_text(value)


def _conversation(turns: Any, pictures: Sequence[Picture]) -> Conversation:
    """Turns with the pictures at their marks; those without a mark open the first turn of the user."""
    spoken = _spoken(turns)
    while spoken and spoken[-1][0] != "assistant":
        spoken.pop()
    marks = sum(len(MARK.findall(text)) for _, text in spoken)
    if marks > len(pictures):
        raise RowError("missing image", f"{marks} marks <image>, {len(pictures)} images")
    unmarked, queue = list(pictures[: len(pictures) - marks]), iter(pictures[len(pictures) - marks :])
    conversation = []
    for role, text in spoken:
        allowed = (THINK_START, THINK_END) if role == "assistant" else ()
        first, *others = (_without_control(part, *allowed) for part in MARK.split(text))
        content: list[str | Picture] = [first]
        for after in others:
            content += [next(queue), after]
        if unmarked and role == "user":
            content, unmarked = [*unmarked, *content], []
        content = [part for part in content if isinstance(part, Picture) or part.strip()]
        if not content:
            raise RowError("empty turn", role)
        conversation.append(Turn(role, tuple(content)))
    if not conversation:
        raise RowError("no answer", "no turn of the assistant")
    return tuple(conversation)


def _edit(row: SourceRow, target: Any, open_image: OpenImage) -> Conversation:
    sources = [_picture(image, open_image) for image in listed(column(row, SOURCES))]
    instruction = column(row, INSTRUCTIONS)
    if not sources or instruction is None or not (text := _without_control(checked_text(instruction).strip())):
        raise RowError("incomplete edit", "expected source, instruction and target")
    return Turn("user", (*sources, text)), Turn("assistant", (_picture(target, open_image),))
