"""Pictures in any form -> upright RGB -> what the networks see."""

import logging
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from blip3o.errors import PictureError
from blip3o.processing.conversation import Picture


@runtime_checkable
class BinaryFile(Protocol):
    """A file opened for reading bytes."""

    def read(self) -> bytes:
        """All that is left in it."""
        ...


Picturelike = Image.Image | np.ndarray | bytes | str | os.PathLike | BinaryFile
"""An image; an array of uint8, height x width, with or without 3 or 4 channels; the bytes of a file, or the file."""

MOST_PIXELS = 100_000_000
"""A picture file with more pixels is refused before it is decoded."""
NAMELESS = "the picture"
USUAL = "give a PNG, JPEG, WebP, GIF or TIFF"
FOREIGN = {
    rb"%PDF": "a PDF",
    rb".{0,400}<svg": "an SVG drawing",
    rb"....ftyp(hei|mif1|msf1)": "a HEIC photo",
    rb"....ftypavif": "an AVIF picture",
    rb"\xff\x0a|....JXL ": "a JPEG XL picture",
}
"""How files begin that Pillow does not know, or not everywhere."""
_BYTES = bytes, bytearray, memoryview
_DAMAGED = re.compile(r"truncated|broken|overrun|not enough|corrupt|unrecognized data|end of file|frame sequence", re.I)
"""What Pillow says of damaged files. Its other complaints are of kinds that it cannot read."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation of EXIF -> what turns the picture upright."""

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it writes to stderr where nobody listens


def open_picture(source: object) -> Image.Image:
    """A picture in RGB, turned upright, whatever `Picturelike` it is.

    Of an animation the first frame, transparency laid on white. EXIF that cannot be read is passed over.

    Raises PictureError for what is missing, empty, truncated, too large or no picture.
    """
    name = named(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of headers that it mends
        held, form = _held(source, name), ""
        try:
            with nullcontext(held) if isinstance(held, Image.Image) else Image.open(held) as picture:
                form = picture.format or ""
                _check_size(picture, name)
                picture.load()
                upright = to_rgb(_turned(picture))
        except PictureError:
            raise
        except Exception as error:  # noqa: BLE001 - a reader of Pillow raises whatever breaks in it
            raise _fault(error, name, form, held) from None
    if 0 in upright.size:
        raise PictureError(_blank(*upright.size, name))
    upright.info = {} if name == NAMELESS else {"file": name}  # the EXIF was obeyed
    return upright


def check_files(sources: Iterable[object]) -> None:
    """Raise PictureError for the first of these that names a file that is not there, or is empty."""
    for source in sources:
        if isinstance(source, str | os.PathLike):
            existing(source)


def named(source: object) -> str:
    """What a message calls a picture: its file, where that is known."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, Image.Image):
        name = source.info.get("file") or getattr(source, "filename", "")
    else:
        name = getattr(source, "name", "")
    return name if isinstance(name, str) and name else NAMELESS


def _held(source: object, name: str) -> Image.Image | Path | BytesIO:
    """The picture, or the file or bytes to read it from. Raises PictureError for what can be none."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _image_of(source)
    if isinstance(source, str | os.PathLike):
        return existing(source)
    if not isinstance(source, _BYTES) and isinstance(source, BinaryFile):  # a protocol is slow to ask for
        try:
            source = source.read()
        except (OSError, ValueError) as error:
            raise PictureError(f"{name} cannot be read ({error}): open it again, in mode 'rb'") from None
    if isinstance(source, _BYTES):
        if not source:
            raise PictureError(f"{name} is empty (0 bytes): {USUAL}", "empty image")
        return BytesIO(source)
    raise PictureError(
        f"a picture is given as {type(source).__name__}: give an image, a file, its bytes, or an array of uint8"
    )


def _image_of(array: np.ndarray) -> Image.Image:
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4))
    if array.dtype != np.uint8 or not fits:
        shape = " x ".join(map(str, array.shape)) or "nothing"
        raise PictureError(f"the picture is an array of {array.dtype}, {shape}: give uint8, height x width (x 3 or 4)")
    if not array.size:
        raise PictureError(_blank(array.shape[1], array.shape[0], "the picture"))
    return Image.fromarray(np.ascontiguousarray(array))


def existing(source: str | os.PathLike) -> Path:
    """The file of a picture. Raises PictureError where there is none, or an empty one."""
    name = os.fspath(source)
    if re.match(r"\w[\w+.-]*://|data:", name):
        raise PictureError(f"{name[:80]} is an address, not a file: fetch the picture, then give its file or its bytes")
    path = Path(source)
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise PictureError(f"{path} {what}: name a picture file")
        if path.stat().st_size == 0:
            raise PictureError(f"{path} is empty (0 bytes): name a picture file", "empty image")
    except OSError as error:
        raise PictureError(f"{path} cannot be read ({error.strerror}): name a picture file") from None
    return path


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"{name} has {width} x {height} pixels, more than {MOST_PIXELS}: scale it down", "huge image"
        )


def _blank(width: int, height: int, name: str) -> str:
    return f"{name} has {width} x {height} pixels: give one that shows something"


def _turned(picture: Image.Image) -> Image.Image:
    """The loaded picture as its EXIF says it lies."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken EXIF raises whatever breaks in it, and the pixels are there
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _fault(error: Exception, name: str, form: str, held: Image.Image | Path | BytesIO) -> PictureError:
    """What is wrong with a picture that Pillow could not read, and what to do."""
    if isinstance(error, UnidentifiedImageError):
        return PictureError(f"{name} is no picture that Pillow can read{_foreign(held)}: {USUAL}")
    if isinstance(error, Image.DecompressionBombError):
        return PictureError(f"{name} is too large ({error}): scale it down", "huge image")
    if _DAMAGED.search(str(error)):
        return PictureError(f"{name} is damaged ({error}): save it again", "truncated image")
    return PictureError(f"{name} cannot be read{f' as {form}' if form else ''} ({error}): save it as PNG or JPEG")


def _foreign(held: object) -> str:
    try:
        with BytesIO(held.getvalue()) if isinstance(held, BytesIO) else Path(str(held)).open("rb") as file:
            start = file.read(512)
    except OSError:
        return ""
    return next((f", but {kind}" for mark, kind in FOREIGN.items() if re.match(mark, start, re.S)), "")


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode of Pillow as RGB: more bits scaled to 8, transparency laid on white."""
    if picture.mode[0] in "IF":
        return Image.fromarray(_eight_bits(np.asarray(picture, dtype=np.float64), picture.mode)).convert("RGB")
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert(picture.mode.upper())
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Values of one channel as 0 to 255. Modes I and F do not say how bright white is: their brightest value tells
    whether it is 1 (of F), 255, 65,535 or that value itself."""
    values = np.nan_to_num(values, posinf=0.0)
    peak = values.max(initial=0.0)
    white = 255.0 if mode in ("I", "F") and peak < 256 else max(peak, 65535.0)
    white = 1.0 if mode == "F" and peak <= 1 else white
    return (values / (white / 255)).clip(0, 255).astype(np.uint8)


def read_picture(source: Picturelike) -> Picture:
    """A picture in its own size, upright. Raises PictureError where it cannot be read."""
    return Picture(open_picture(source))


def square(picture: Picture, size: int) -> Picture:
    """The central square of a picture, resized to `size` px.

    Shorter side, bicubic, centre crop: the published target transform. A square of this size stays as it is.
    """
    if (picture.height, picture.width) == (size, size):
        return Picture(picture.pixels)
    return Picture(np.asarray(ImageOps.fit(_as_image(picture), (size, size), Image.Resampling.BICUBIC)))


def resize(picture: Picture, height: int, width: int) -> Picture:
    """The whole picture, bicubic."""
    return Picture(np.asarray(_as_image(picture).resize((width, height), Image.Resampling.BICUBIC)))


def _as_image(picture: Picture) -> Image.Image:
    original = picture.original
    return original if isinstance(original, Image.Image) else Image.fromarray(original)


def whole_size(
    picture: Picture, multiple: int, least_pixels: int, most_pixels: int, name: str = NAMELESS
) -> tuple[int, int]:
    """Height and width in px of the whole picture, multiples of `multiple` whose product lies in these bounds.

    As Qwen2.5-VL reads pictures (arXiv 2502.13923, section 2.1.1). Raises PictureError for one more than 200 times as
    long as wide.
    """
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    height, width = picture.height, picture.width
    try:
        return smart_resize(height, width, multiple, least_pixels, most_pixels)
    except ValueError:
        raise PictureError(
            f"{name} has {width} x {height} px: crop it to less than 200 times as long as wide"
        ) from None


def to_image(pixels: Float[Tensor, "3 height width"]) -> Image.Image:
    """A picture in [-1, 1] as an 8-bit image."""
    array = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(array.permute(1, 2, 0).cpu().numpy())


def stacked(pictures: Sequence[Picture]) -> UInt8[Tensor, "batch height width 3"]:
    """Pictures of one size as they are: a quarter of the memory of their pixels, until a network sees them."""
    return torch.from_numpy(np.stack([picture.pixels for picture in pictures]))


def to_pixels(images: UInt8[Tensor, "batch height width 3"]) -> Float[Tensor, "batch 3 height width"]:
    """Stacked pictures as pixels in [-1, 1], on their device."""
    scale = torch.tensor(127.5, device=images.device)  # by a number a GPU would multiply, which rounds otherwise
    return images.permute(0, 3, 1, 2).float().div_(scale).sub_(1)


def normalised(
    pixels: Float[Tensor, "batch 3 height width"], mean: Sequence[float], deviation: Sequence[float]
) -> Float[Tensor, "batch 3 height width"]:
    """Pixels in [-1, 1] with a vision tower's own mean and deviation, which are told for [0, 1]."""
    if (*mean, *deviation) == (0.5,) * 6:
        return pixels
    return ((pixels + 1) / 2 - pixels.new_tensor(mean)[:, None, None]) / pixels.new_tensor(deviation)[:, None, None]


def to_patches(
    pixels: Float[Tensor, "batch 3 height width"], patch: int, merge: int, frames: int
) -> tuple[Float[Tensor, "patch dim"], Int[Tensor, "batch 3"]]:
    """Patches and grid in the order of Qwen2.5-VL's image processor: merged neighbours together, frames repeated."""
    batch, _, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    x = pixels.view(batch, 3, rows // merge, merge, patch, columns // merge, merge, patch)
    x = x.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(batch * rows * columns, 3, 1, patch * patch)
    image_grid_thw = torch.tensor([[1, rows, columns]]).expand(batch, -1)
    return x.expand(-1, -1, frames, -1).flatten(1), image_grid_thw
