"""What somebody may have meant by a word that a closed vocabulary lacks: by its meaning first, then by a slip."""

import re
from collections.abc import Collection, Iterator

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ALIKE = (
    *("big large huge tall", "small little tiny short", "delete remove erase", "replace swap exchange switch"),
    *("picture photo image photograph", "draw paint sketch", "make create", "change alter modify edit"),
    *("one single", "two both pair couple double twice", "many several", "it them him her", "no none nothing"),
    *("dog puppy hound", "cat kitten kitty", "rabbit bunny hare", "turtle tortoise", "car automobile auto"),
    *("airplane plane aircraft aeroplane jet", "boat ship", "house home cottage", "castle palace", "cup mug glass"),
    *("clock watch", "flower blossom", "beach shore coast seaside", "road street", "meadow field lawn grass"),
    *("snow ice", "night evening midnight", "day daytime noon", "purple violet lilac", "red crimson scarlet"),
    *("grey gray silver", "blue navy turquoise cyan", "yellow gold golden", "above over", "below under", "beside near"),
)
"""Words that may stand for each other, in one line each."""
SPELLINGS = (("our", "or"), ("or", "our"), ("re", "er"), ("er", "re"), ("ise", "ize"), ("ey", "ay"), ("ay", "ey"))
"""British and American endings."""
ENDINGS = (("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"))
"""Of plurals and of verbs -> of the word itself."""
KEYS = {key: (row, column + row / 2) for row, keys in enumerate(("qwertyuiop", "asdfghjkl", "zxcvbnm"))
        for column, key in enumerate(keys)}  # fmt: skip
"""Letter -> where its key lies."""


def suggestions(word: str, known: Collection[str], most: int = 3) -> list[str]:
    """The known words that `word` may stand for, the likeliest first; none where nothing is near.

    For a number, in words or digits, the largest that is known and not larger.
    """
    word = word.lower()
    if word.isdecimal() or word in NUMBERS:
        number = NUMBERS.index(word) if word in NUMBERS else int(word)
        return [name for name in NUMBERS[number::-1] or NUMBERS[::-1] if name in known][:1]
    meant = list(dict.fromkeys(other for other in _meant(word) if other in known))
    return (meant or sorted(other for other in known if _is_slip(word, other)))[:most]


def _meant(word: str) -> Iterator[str]:
    """Words of the same meaning, known or not."""
    bases = [word, *(word.removesuffix(ending) + own for ending, own in ENDINGS if word.endswith(ending))]
    for base in bases:
        yield base
        yield from (re.sub(f"{old}$", new, base) for old, new in SPELLINGS if base.endswith(old))
        yield f"{base}s"
    for line in map(str.split, ALIKE):
        if not {*bases}.isdisjoint(line):
            yield from line


def _is_slip(word: str, meant: str) -> bool:
    """Whether a hand that types `meant` can come to write `word`: two letters swapped, or one too many, too few, or
    from the key beside it; in short words only the first."""
    if len(word) == len(meant):
        wrong = [index for index, (a, b) in enumerate(zip(word, meant, strict=True)) if a != b]
        pairs = [(word[index], meant[index]) for index in wrong]
        if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
            return pairs[0] == pairs[1][::-1]
        return len(wrong) == 1 and len(word) > 3 and _beside(*pairs[0])
    short, long = sorted((word, meant), key=len)
    return len(short) > 3 and short in {long[:index] + long[index + 1 :] for index in range(len(long))}


def _beside(a: str, b: str) -> bool:
    if a not in KEYS or b not in KEYS:
        return False
    (row, column), (other_row, other_column) = KEYS[a], KEYS[b]
    return abs(row - other_row) <= 1 and abs(column - other_column) <= 1
