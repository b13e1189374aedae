"""The language of a text, told offline by py3langid's model of byte n-grams (Lui and Baldwin, 2012)."""

from functools import cache
from typing import Any

from blip3o.errors import ConfigError

UNDETERMINED = "und"
"""The code of ISO 639-2 for a text whose language cannot be told."""
LEAST_BYTES = 9
"""A shorter text of Latin letters may be of any language."""


def language_of(text: str) -> str:
    """The code of ISO 639-1 of a text's language, or `und` for one that is too short to tell. Raises ConfigError where
    py3langid is not installed."""
    known = _identifier()
    if len(text.strip().encode(errors="replace")) < LEAST_BYTES:
        return UNDETERMINED
    return known.classify(text)[0]


@cache
def _identifier() -> Any:
    """The model of 97 languages; it takes half a second and is opened once."""
    try:
        import py3langid
    except ModuleNotFoundError:
        raise ConfigError("telling the languages of captions takes py3langid: pip install 'blip3o[train]'") from None
    return py3langid
