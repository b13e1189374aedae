"""Fingerprints of pictures: which are the same to the last pixel, and which look alike.

Look-alikes are found by a difference hash (N. Krawetz, "Kind of Like That", 2013): does it get darker from each spot to
the next one on its right? Eight rows of eight such bits survive another size, another encoding and a change of
brightness. Since plain pictures of any colour have the same bits, and drawings on one background nearly, the mean
colours of six by six fields stand beside.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from blip3o.processing.conversation import Picture

HASH_SIDE = 8
FIELDS = 6
COLOR_BYTES = 3 * FIELDS**2
LEAST_STEP = 2
"""Grey levels; a smaller difference is noise of the encoding, not a bit."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What is kept of a picture in place of its pixels: 132 bytes."""

    digest: bytes
    """16 bytes of the SHA-256 of size and pixels."""
    bits: int
    """The difference hash, 64 bits."""
    colors: bytes
    """Mean red, green and blue of the fields, row by row: `COLOR_BYTES`."""


def fingerprint(picture: Picture) -> Fingerprint:
    """The fingerprint of a picture; costs about a tenth of decoding it."""
    pixels = picture.pixels
    exact = hashlib.sha256(str(pixels.shape).encode())
    exact.update(np.ascontiguousarray(pixels).data)
    image = Image.fromarray(pixels)
    small = image.resize((4 * (HASH_SIDE + 1), 4 * HASH_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), np.int16)
    darker = grey[:, :-1] - grey[:, 1:] > LEAST_STEP
    fields = image.resize((FIELDS, FIELDS), Image.Resampling.BOX)
    return Fingerprint(
        digest=exact.digest()[:16],
        bits=int.from_bytes(np.packbits(darker).tobytes(), "big"),
        colors=fields.tobytes(),
    )
