"""Picture files and arrays -> what the networks see."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from blip3o.errors import PictureError
from blip3o.prompt.conversation import Picture

MOST_PIXELS = 100_000_000
"""A picture file with more pixels is refused before it is decoded."""


def open_picture(path: str | Path) -> Image.Image:
    """The picture of a file in RGB, turned upright; the first frame of an animation, transparency laid on white.

    Raises PictureError for a file that is missing, empty, truncated, too large or no picture.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise PictureError(f"{path} {what}: name a picture file")
        if path.stat().st_size == 0:
            raise PictureError(f"{path} is empty (0 bytes): name a picture file")
    except OSError as error:
        raise PictureError(f"{path} cannot be read ({error.strerror}): name a picture file") from None
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise PictureError(f"{path} has {width} x {height} pixels, more than {MOST_PIXELS}: scale it down")
            picture.load()
            return to_rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise PictureError(f"{path} is no picture that Pillow can read: give a PNG, JPEG, WebP, GIF or TIFF") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path} is too large ({error}): scale it down") from None
    except (OSError, SyntaxError, ValueError, RuntimeError, EOFError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"{path} is damaged ({error}): save it again") from None


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode of Pillow as RGB: 16-bit scaled to 8, transparency laid on white."""
    if picture.mode.startswith("I;16") or picture.mode == "I":
        values = np.asarray(picture, dtype=np.float64)
        return Image.fromarray((values / 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        return Image.fromarray(np.asarray(picture).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def square(picture: Image.Image, size: int) -> Picture:
    """The central square of the upright picture, resized to `size` px.

    Shorter side, bicubic, centre crop: the published target transform. Raises PictureError where its data, read only
    now, are damaged.
    """
    return Picture(np.asarray(ImageOps.fit(_upright(picture), (size, size), Image.Resampling.BICUBIC)))


def squared(picture: Picture, size: int) -> Picture:
    """The central square of a picture, in `size` px; the picture itself where it is that already."""
    return picture if picture.pixels.shape[:2] == (size, size) else square(Image.fromarray(picture.pixels), size)


def whole(picture: Image.Image, multiple: int, least_pixels: int, most_pixels: int) -> Picture:
    """The whole upright picture, its sides scaled to multiples of `multiple` px and its area into these bounds.

    As Qwen2.5-VL reads pictures (arXiv 2502.13923, section 2.1.1). Raises PictureError for one more than 200 times as
    long as wide, and for damaged data.
    """
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    upright = _upright(picture)
    try:
        height, width = smart_resize(upright.height, upright.width, multiple, least_pixels, most_pixels)
    except ValueError:
        raise PictureError(
            f"the picture has {upright.width} x {upright.height} px: crop it to less than 200 times as long as wide"
        ) from None
    return Picture(np.asarray(upright.resize((width, height), Image.Resampling.BICUBIC)))


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return to_rgb(ImageOps.exif_transpose(picture))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(f"the picture is damaged ({error}): save it again") from None


def to_image(pixels: Float[Tensor, "3 height width"]) -> Image.Image:
    """A picture in [-1, 1] as an 8-bit image."""
    array = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(array.permute(1, 2, 0).cpu().numpy())


def to_pixels(pictures: list[Picture]) -> Float[Tensor, "batch 3 height width"]:
    """Pictures of one size as pixels in [-1, 1]."""
    stacked = torch.from_numpy(np.stack([picture.pixels for picture in pictures]))
    return stacked.permute(0, 3, 1, 2).float() / 127.5 - 1


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
    grid = torch.tensor([[1, rows, columns]]).expand(batch, -1)
    return x.expand(-1, -1, frames, -1).flatten(1), grid
