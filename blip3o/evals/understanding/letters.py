"""Which option an answer names: the rules by which the field reads a letter out of words.

All take the answer and give a letter, or None where they cannot tell; capitals only, "b" names nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

NONE_OF_THEM = "Z"
"""VLMEvalKit's letter of an answer that refuses, or that says so itself."""
NO_ANSWER = "Failed to obtain answer via API"
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
PUNCTUATION = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
LAST_WORDS = 5
"""A lone letter counts where it first stands among the words before which at least all but so many stand."""
SAID = re.compile(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**")
FIVE = "ABCDE"
AFFIXES = (
    *(("", end) for end in (".", ",", ":", ")", ").")),
    *(("(", end) for end in (")", ").")),
    *((":", end) for end in ("", ",", ".", ")", ").")),
)
"""What lmms-eval's MMBench looks for around a letter, one after the other."""
EIGHT = "ABCDEFGH"
MARKS = {"({})": 6, "{}.": 5, "{}:": 4, "{})": 3, "{} ": 2}
"""How a letter can stand within an answer -> how much lmms-eval trusts it; see START, END and PHRASE too."""
START, END, PHRASE, ANYWHERE = 10, 9, 7, 0
SURE = ("correct answer", "best answer", "correct option", "best option", "correct choice")
PHRASES = (
    *(f"{whose}{noun} is" for noun in ("answer", "choice") for whose in ("", "the ", "my ")),
    *(f"{the}{what} is" for what in SURE for the in ("", "the ")),
    *("i choose", "i select", "i pick"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
Found = tuple[int, int, str]
"""How much a place is trusted, where it is, and its letter."""


def vlmevalkit(answer: str, options: Mapping[str, str]) -> str | None:
    """VLMEvalKit's `can_infer` (2025): a letter, else the one option whose text is in a short answer, in any case.

    A letter is the only one of the options among the words, and stands within the last four or is said with
    "answer is". Z is a refusal.
    """
    is_short = len(answer) <= 2 * sum(map(len, options.values()))
    return _lone(answer, options) or (_named(answer, options) if is_short else None)


def _lone(answer: str, options: Mapping[str, str]) -> str | None:
    if NO_ANSWER in answer:
        return None
    if any(refusal in answer for refusal in REFUSALS):
        return NONE_OF_THEM
    words = answer.translate(PUNCTUATION).split()
    there = [letter for letter in options if letter in words]
    if len(there) == 1 and words.index(there[0]) > len(words) - LAST_WORDS:
        return there[0]
    if not there and NONE_OF_THEM in words:
        return NONE_OF_THEM
    said = SAID.search(answer)
    return said[1].upper() if said and said[1].upper() in options else None


def _named(answer: str, options: Mapping[str, str]) -> str | None:
    named = [letter for letter, text in options.items() if text.lower() in answer.lower()]
    return named[0] if len(named) == 1 else None


def lmms(answer: str, options: Mapping[str, str]) -> str | None:
    """lmms-eval's `can_infer` of MMBench: a lone word A to E, alone or with a mark, else the one option in the answer.

    An A among more than three words may be an article and is passed over; marks on it are not.
    """
    return _worded(answer) or _named(answer, options)


def _worded(answer: str) -> str | None:
    words = [] if NO_ANSWER in answer else answer.split()
    bare = _only(words, "", "")
    if bare and not ("A" in words and len(words) > 3):
        return bare
    return next(filter(None, (_only(words, before, after) for before, after in AFFIXES)), None)


def _only(words: Sequence[str], before: str, after: str) -> str | None:
    found = [letter for letter in FIVE if before + letter + after in words]
    return found[0] if len(found) == 1 else None


def ranked(answer: str, letters: Iterable[str] = EIGHT) -> str | None:
    """lmms-eval's `extract_mcq_answer` (0.6 and 0.7): the letter in the place that is trusted most, the last of equals.

    First the answer's start, then its end, then what follows "the answer is" and its like, then letters with marks.
    """
    text = answer.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    text = f" {text} "
    letters = tuple(letters)
    found = [*_marked(text, letters), *_phrased(text, letters), *_outer(text, letters)]
    if not found:
        found = [(ANYWHERE, text.rfind(letter), letter) for letter in letters if letter in text]
    return max(found, key=lambda place: place[:2])[2] if found else None


def _marked(text: str, letters: Sequence[str]) -> Iterator[Found]:
    for mark, trust in MARKS.items():
        for letter in letters:
            if mark.format(letter) in text:
                yield trust, text.rfind(mark.format(letter)), letter


def _phrased(text: str, letters: Sequence[str]) -> Iterator[Found]:
    for phrase in PHRASES:
        start = text.lower().find(phrase)
        if start >= 0:
            places = ((text.find(letter, start + len(phrase)), letter) for letter in letters)
            yield from ((PHRASE, place, letter) for place, letter in places if place >= 0)


def _outer(text: str, letters: Sequence[str]) -> Iterator[Found]:
    inner = text.strip()
    for letter in letters:
        if inner.startswith(letter) and not inner[1:2].isalpha():
            yield START, 0, letter
    for letter in letters:
        if inner.endswith(letter) and not inner[-2:-1].isalpha():
            yield END, len(text) - 1, letter
