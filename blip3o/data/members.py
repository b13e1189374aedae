"""A row of data -> the members of a shard: pictures as they are, one caption as text, all else as JSON.

A picture with a caption is `key.jpg` and `key.txt`, as published shards have them. Several captions are a list in
`key.json`. Where a sample has several pictures, its JSON names them by their members: `{"images": ["0.jpg", "1.png"]}`,
and an edit `{"source": ["source.0.jpg"], "instruction": "...", "target": "target.png"}`.
"""

import json
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from blip3o.data.rows import (
    CAPTIONS,
    CONVERSATIONS,
    IMAGES,
    INSTRUCTIONS,
    SOURCES,
    TARGETS,
    OpenImage,
    RowError,
    SourceRow,
    captions_of,
    column,
    listed,
)
from blip3o.processing.conversation import Picture
from blip3o.processing.images import read_picture
from blip3o.processing.picture_files import to_png

KNOWN = {*CAPTIONS, *CONVERSATIONS, *IMAGES, *SOURCES, *TARGETS, *INSTRUCTIONS}
BEGINNINGS = {
    rb"\x89PNG": "png",
    rb"\xff\xd8\xff": "jpg",
    rb"RIFF....WEBP": "webp",
    rb"GIF8": "gif",
    rb"BM": "bmp",
    rb"II\*\0|MM\0\*": "tif",
}
"""How the files of formats begin -> the suffix of such a member."""


def members_of(row: SourceRow, open_image: OpenImage, left_out: Sequence[str] = ()) -> dict[str, bytes]:
    """Suffix -> content of each member of a row that `read_row` can read. Further columns go into its JSON, but for
    those `left_out` and those of which JSON has no form. Raises RowError for what cannot be written."""
    further = {name: value for name, value in row.items() if name not in KNOWN and name not in left_out}
    words: dict[str, Any] = {name: value for name, value in further.items() if _has_json(value)}
    members: dict[str, bytes] = {}

    def add(values: Sequence[Any], prefix: str, *, numbered: bool) -> list[str]:
        names = []
        for number, value in enumerate(values):
            suffix, content = _content(open_image(value))
            parts = (prefix, str(number) if numbered else "", suffix)
            names.append(".".join(filter(None, parts)))
            members[names[-1]] = content
        return names

    if turns := column(row, CONVERSATIONS):
        images = listed(column(row, IMAGES))
        names = add(images, "", numbered=len(images) > 1)
        words |= {"conversations": turns} | _named("images", names)
    elif (target := column(row, TARGETS)) is not None:
        words["source"] = add(listed(column(row, SOURCES)), "source", numbered=True)
        words["instruction"] = _text(column(row, INSTRUCTIONS))
        words["target"] = add([target], "target", numbered=False)[0]
    else:
        names, captions = add(listed(column(row, IMAGES))[:1], "", numbered=False), captions_of(row)
        words |= _named("image", names)
        if len(captions) == 1:
            members["txt"] = captions[0].encode()
        else:
            words["captions"] = captions
    return members | ({"json": _json(words)} if words else {})


def picture_members(picture: Picture, captions: Sequence[str]) -> dict[str, bytes]:
    """The members of a picture that no file holds, as PNG, and of its captions."""
    return members_of({"image": to_png(picture), "captions": list(captions)}, lambda value: value)


def _named(name: str, members: Sequence[str]) -> dict[str, list[str]]:
    """The names of members where a reader would not find them by itself: a single `key.jpg` it would."""
    return {name: list(members)} if members and "." in members[0] else {}


def _content(opened: Any) -> tuple[str, bytes]:
    """Suffix and content of a picture file, as it is; one of a rarer format becomes a PNG."""
    if isinstance(opened, str | PathLike):
        opened = Path(opened).read_bytes()
    if not isinstance(opened, bytes):
        raise RowError("no picture file", f"{type(opened).__name__} where a file or its bytes should be")
    for start, suffix in BEGINNINGS.items():
        if re.match(start, opened, re.DOTALL):
            return suffix, opened
    return "png", to_png(read_picture(opened))


def _text(value: Any) -> Any:
    return value.decode("utf-8-sig") if isinstance(value, bytes) else value


def _has_json(value: Any) -> bool:
    try:
        _json(value)
    except RowError:
        return False
    return value is not None


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise RowError("no JSON", str(error)) from None
