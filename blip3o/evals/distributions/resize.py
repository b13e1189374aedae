"""Resizing as evaluations do it: what a distance says depends on it (Parmar, Zhang and Zhu, arXiv 2104.11222).

"clean" resizes each channel in floats with Pillow's antialiased bicubic filter and rounds nothing.
"""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image


def clean(
    pixels: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], filter_name: str = "bicubic"
) -> Float[np.ndarray, "new_height new_width 3"]:
    """Each channel in floats, without rounding, 0 to 255; `size` is (width, height)."""
    method = Image.Resampling[filter_name.upper()]
    whole = pixels.astype(np.float32)
    channels = [np.asarray(Image.fromarray(whole[:, :, index]).resize(size, method)) for index in range(3)]
    return np.stack(channels, axis=2).clip(0, 255)


def quantised(
    pixels: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], filter_name: str = "bicubic"
) -> Float[np.ndarray, "new_height new_width 3"]:
    """Pillow's resizing of the picture, which rounds to whole values; `size` is (width, height)."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling[filter_name.upper()])).astype(np.float32)


def unfiltered(
    pixels: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], filter_name: str = "bilinear"
) -> Float[np.ndarray, "new_height new_width 3"]:
    """PyTorch's old way: between the two nearest pixels each way, with no filter against aliasing.

    ValueError for a filter other than bilinear; `size` is (width, height).
    """
    if filter_name != "bilinear":
        raise ValueError(
            f"got the filter {filter_name!r}: expected 'bilinear', the only one of the way 'legacy_pytorch'"
        )
    columns, rows = (_weights(old, new) for old, new in zip((pixels.shape[1], pixels.shape[0]), size, strict=True))
    return np.einsum("ab,bcd,ec->aed", rows, pixels.astype(np.float32), columns).clip(0, 255)


def _weights(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """What each new pixel takes of each old one: centres of pixels are halves, and the edge is repeated."""
    position = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    lower = np.floor(position).astype(int)
    share = (position - lower).astype(np.float32)
    weights = np.zeros((new, old), dtype=np.float32)
    weights[np.arange(new), lower] = 1 - share
    weights[np.arange(new), np.minimum(lower + 1, old - 1)] += share
    return weights
