"""How an answer's words are normalised, and how many of ten people gave it (VQA, Antol and others, arXiv 1505.00468).

Two tools fixed the rules: the VQA repository's script, and EvalAI's processor in MMF, which TextVQA, LLaVA and
lmms-eval use. Both are followed to the letter, oddities included: who changes one changes published numbers.
"""

import re
from collections.abc import Hashable, Sequence

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS: dict[str, str] = {word: str(value) for value, word in enumerate(_NUMBERS)}
DIGITS = NUMBERS | {"none": "0"}
ARTICLES = ("a", "an", "the")
PERIOD = re.compile(r"\.(?!\d)")
"""The look-behind of the published pattern is misspelt and never fails: every period goes that no digit follows."""
MOST_PERIODS = 32
"""The script passes re.UNICODE, which is 32, where the count of replacements belongs."""
THOUSANDS = re.compile(r"\d,\d")
"""The VQA script's sign that commas stand inside a number."""
COMMAS = re.compile(r"(?<=\d),+(?=\d)")
"""EvalAI's, where several commas may stand together."""

_ONE = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's isn't it'd
it'll ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've shouldn't somebody'll
somebody's someone'd someone'll someone's something'd something'll that's there'd there're there's they'd they'll
they're they've 'twas wasn't we've weren't what'll what're what's what've when's where'd where's where've who'd who'll
who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
"""
_TWO = """
couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've something'd've
there'd've they'd've we'd've who'd've wouldn't've you'd've
"""
_ODD = """
ow's'at 'ow's'at 'ows'at 'ow's'at 'ow'sat 'ow's'at somebody'd somebodyd yall'll y'all'll y'allll y'all'll
yall'd've y'all'd've y'alld've y'all'd've y'all'dve y'all'd've
"""


def _contractions() -> dict[str, str]:
    """Written without an apostrophe -> with it, for each of those that may be left out; small letters only."""
    made = {word.replace("'", ""): word for word in _ONE.split()}
    for word in _TWO.split():
        start, middle, end = word.split("'")
        made |= {f"{start}{middle}'{end}": word, f"{start}'{middle}{end}": word}
    odd = _ODD.split()
    return made | dict(zip(odd[::2], odd[1::2], strict=True))


CONTRACTIONS = _contractions()


def one_line(text: str) -> str:
    """Line ends and tabs are spaces, and none stands at an end."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def punctuation(text: str, inside: re.Pattern[str] = THOUSANDS) -> str:
    """Without punctuation: a sign is deleted where a space stands beside it anywhere, else it becomes a space.

    All are deleted where `inside` finds commas inside a number. Apostrophes, colons and decimal points stay.
    """
    number = inside.search(text) is not None
    made = text
    for sign in PUNCTUATION:
        beside = f"{sign} " in text or f" {sign}" in text
        made = made.replace(sign, "" if beside or number else " ")
    return PERIOD.sub("", made, count=MOST_PERIODS)


def digits_and_articles(text: str) -> str:
    """In small letters, numbers up to ten as digits, no articles, contractions with their apostrophes."""
    words = [DIGITS.get(word, word) for word in text.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa(text: str) -> str:
    """The VQA script's normalisation, of words that are one line."""
    return digits_and_articles(punctuation(text))


def lmms(text: str) -> str:
    """The same by lmms-eval, with EvalAI's sign of a number."""
    return digits_and_articles(punctuation(text, COMMAS))


def evalai(text: str) -> str:
    """EvalAI's normalisation, of an answer as it stands."""
    made = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return lmms(one_line(made))


def agreement(answer: str, given: Sequence[str], marks: Sequence[Hashable] | None = None) -> float:
    """How right an answer is, 0 to 1: a third for each who agrees, 1 at most, the mean over all left out once.

    Both sides are normalised before. `marks` tells two same answers apart, as their numbers do; None: by their place.
    """
    if not given:
        return float("nan")
    people = list(zip(given, range(len(given)) if marks is None else marks, strict=True))
    counts = [sum(other[0] == answer for other in people if other != person) for person in people]
    return sum(min(1.0, count / 3) for count in counts) / len(counts)
