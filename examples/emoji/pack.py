"""Draws the vector pictures and packs them as WebDataset shards: what the model trains on, and apart from it the
held-out cells.

    python -m examples.emoji.pack data/emoji

    data/emoji/training/pictures-000000.tar   KEY.png, KEY.json (captions, name, category, concept, style, tone)
    data/emoji/training/edits-000000.tar      KEY.source.png, KEY.target.png, KEY.json (instruction, ...)
    data/emoji/held-out/...                   the same of the held-out cells, which no file of training/ shows
    data/emoji/LICENSES.md                    whose pictures these are
"""

import argparse
import io
import random
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.files import write_text
from examples.emoji.collection import LENDERS, STYLES, Emoji, held_out, read_emoji, read_lent, render

SIZE = 96
"""Height and width of the pictures in px."""
IN_A_SHARD = 4000
"""Samples."""
CAPTIONS = (
    "{a}{name}, {style} style",
    "{name}, {style} style",
    "an emoji of {a}{name} in {style} style",
    "{a}{name}, drawn in {style} style",
)
"""Wordings of a caption. The name comes before the style in all of them: a causal language model then reads every name
as it reads it in the other style, and what it learns of a concept in one style is there for the other."""
RESTYLE = ("in {style} style", "change it to {style} style", "draw it in {style} style")
RETONE = ("with {tone}", "change it to {tone}", "make it {tone}")
"""Wordings of instructions."""
NO_TONE = "no skin tone"

LICENSES = """# Whose pictures these are

Nothing was changed but that the vector pictures were drawn as pixels on white.

## Style "noto": Noto Emoji, by Google Inc

npm package @iconify-json/noto, Apache-2.0: https://github.com/googlefonts/noto-emoji/blob/main/svg/LICENSE

Licensed under the Apache License, Version 2.0; you may not use these files except in compliance with the License. You
may obtain a copy at http://www.apache.org/licenses/LICENSE-2.0. Unless required by applicable law or agreed to in
writing, they are distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
implied.

## Style "fluent": Fluent Emoji Flat, by Microsoft Corporation

npm package @iconify-json/fluent-emoji-flat, MIT: https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE

MIT License. Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED
"AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

## Styles that are trained on, and never asked for

- "twemoji": Twemoji, by Twitter, Inc and other contributors; npm package @iconify-json/twemoji,
  CC BY 4.0: https://creativecommons.org/licenses/by/4.0/
- "emojione": EmojiOne 2, by EmojiOne; npm package @iconify-json/emojione,
  CC BY 4.0: https://creativecommons.org/licenses/by/4.0/
- "blob": Noto Emoji as it was until 2017, by Google Inc; npm package @iconify-json/noto-v1, Apache-2.0, as above
- "streamline": Streamline Emojis, by Streamline; npm package @iconify-json/streamline-emojis,
  CC BY 4.0: https://creativecommons.org/licenses/by/4.0/
- "fxemoji": Firefox OS Emoji, by Mozilla; npm package @iconify-json/fxemoji,
  Apache-2.0: https://mozilla.github.io/fxemoji/LICENSE.md
"""

PackedSample = dict[str, Any]
"""A sample as the webdataset library writes it: suffix of a member -> its content."""


def captions_of(emoji: Emoji) -> list[str]:
    """Every wording of its caption, the plainest first."""
    name = f"{emoji.name} with {emoji.tone}" if emoji.tone else emoji.name
    return [wording.format(a=article(emoji.name), name=name, style=emoji.style) for wording in CAPTIONS]


def article(name: str) -> str:
    """ "a " or "an "; "" before what looks like a plural."""
    if name.endswith("s") or name.split()[0] in ("people", "women", "men"):
        return ""
    return "an " if name[0] in "aeiou" else "a "


def picture_sample(emoji: Emoji, png: bytes) -> PackedSample:
    """A picture and what is said of it."""
    facts = {key: getattr(emoji, key) for key in ("name", "category", "concept", "style", "tone")}
    return {"__key__": emoji.key, "png": png, "json": {"caption": captions_of(emoji), **facts}}


def edits(emoji: Sequence[Emoji], hidden: set[tuple[str, str]]) -> Iterator[tuple[Emoji, str, Emoji]]:
    """Source, instruction and target: every picture in the other one of STYLES (a lent one in both) and in one lent
    style, and every toned one in one other tone. What is held out is no target and no source.

    Without lent targets all edits of a thing that lacks a style would lead to the other one, and a model learns that
    whatever is asked of this thing, it is that style (LOG.md)."""
    by_key = {one.key: one for one in emoji}
    tones = sorted({one.tone for one in emoji})
    for one in emoji:
        rng = random.Random(f"emoji/edits/{one.key}")
        lent = [*restyled(one, by_key, tuple(LENDERS))]
        for other in (*restyled(one, by_key), *rng.sample(lent, min(1, len(lent)))):
            if not {one.cell, other.cell} & hidden:
                yield one, rng.choice(RESTYLE).format(style=other.style), other
        others = [
            other
            for tone in tones
            if tone != one.tone and (other := by_key.get(key_of(one.concept, one.style, tone))) is not None
        ]
        if others and one.cell not in hidden:
            other = rng.choice(others)
            yield one, rng.choice(RETONE).format(tone=other.tone or NO_TONE), other


def hidden_edits(emoji: Sequence[Emoji], hidden: set[tuple[str, str]]) -> Iterator[tuple[Emoji, str, Emoji]]:
    """The edits that are asked for in the exam: from a picture of the training data without a skin tone to the held-out
    one in the other style."""
    by_key = {one.key: one for one in emoji}
    for one in (one for one in emoji if one.style in STYLES):
        for other in restyled(one, by_key):
            if other.cell in hidden and not one.tone:
                yield one, RESTYLE[0].format(style=other.style), other


def restyled(emoji: Emoji, by_key: Mapping[str, Emoji], styles: Sequence[str] = STYLES) -> Iterator[Emoji]:
    """The same picture in those of the styles that it is not in."""
    for style in styles:
        other = by_key.get(key_of(emoji.concept, style, emoji.tone))
        if style != emoji.style and other is not None:
            yield other


def key_of(concept: str, style: str, tone: str) -> str:
    """As `Emoji.key`."""
    return "-".join(part for part in (concept, style, tone.replace(" ", "-")) if part)


def edit_sample(before: Emoji, instruction: str, after: Emoji, drawn: Mapping[str, bytes]) -> PackedSample:
    """An edit, with the keys of its pictures."""
    return {
        "__key__": f"{before.key}--{after.key}",
        "source.png": drawn[before.key],
        "target.png": drawn[after.key],
        "json": {
            "source": "source.png",  # the members that the columns of an edit stand for
            "target": "target.png",
            "instruction": instruction,
            "before": before.key,
            "after": after.key,
        },
    }


def pack(folder: Path) -> dict[str, int]:
    """Write all shards below a folder that has `packages/`, in place of earlier ones; how many samples each kind has.
    Raises DataError where packages or libraries are missing."""
    emoji = read_emoji(folder / "packages")
    hidden = held_out(emoji)
    emoji += read_lent(folder / "packages", emoji, hidden)
    drawn: dict[str, bytes] = {}
    for number, one in enumerate(emoji):
        drawn[one.key] = png_of(one)
        if number % 1000 == 0 or number == len(emoji) - 1:
            print(f"drawing {number + 1} of {len(emoji)}", flush=True)
    shown = [one for one in emoji if one.cell not in hidden]
    secret = [one for one in emoji if one.cell in hidden]
    kinds = {
        "training/pictures": [picture_sample(one, drawn[one.key]) for one in shown],
        "training/edits": [edit_sample(*edit, drawn) for edit in edits(emoji, hidden)],
        "held-out/pictures": [picture_sample(one, drawn[one.key]) for one in secret],
        "held-out/edits": [edit_sample(*edit, drawn) for edit in hidden_edits(emoji, hidden)],
    }
    for part in ("training", "held-out"):
        shutil.rmtree(folder / f"{part}.partial", ignore_errors=True)
        (folder / f"{part}.partial").mkdir()
        for kind, samples in kinds.items():
            if kind.startswith(part):
                write_shards(folder / f"{part}.partial" / kind.partition("/")[2], samples)
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / f"{part}.partial").rename(folder / part)
    write_text(folder / "LICENSES.md", LICENSES)
    return {kind: len(samples) for kind, samples in kinds.items()}


def png_of(emoji: Emoji) -> bytes:
    """Its picture as a PNG file."""
    file = io.BytesIO()
    render(emoji.svg, SIZE).save(file, "PNG")
    return file.getvalue()


def write_shards(prefix: Path, samples: Iterable[PackedSample]) -> None:
    """Shards `PREFIX-000000.tar`, shuffled so that each holds something of all."""
    try:
        from webdataset import ShardWriter  # pyright: ignore[reportAttributeAccessIssue]
    except ModuleNotFoundError:
        raise DataError("packing takes webdataset: pip install webdataset") from None
    samples = sorted(samples, key=lambda sample: sample["__key__"])
    random.Random("emoji/shards").shuffle(samples)
    with ShardWriter(f"{prefix}-%06d.tar", maxcount=IN_A_SHARD, verbose=0, mtime=0) as writer:
        for sample in samples:
            writer.write(sample)


def main() -> None:
    """Packs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where scripts/download_data.sh emoji has put packages/")
    options = parser.parse_args()
    try:
        counts = pack(options.folder)
    except DataError as error:
        raise SystemExit(str(error)) from None
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))


if __name__ == "__main__":
    main()
