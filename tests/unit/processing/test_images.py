"""Whatever a picture file holds comes out as upright RGB, or as one clear line."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, features
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from blip3o.errors import PictureError
from blip3o.processing.conversation import Picture
from blip3o.processing.images import (
    MOST_PIXELS,
    open_picture,
    read_picture,
    resize,
    square,
    stacked,
    to_image,
    to_patches,
    to_pixels,
    to_rgb,
)

# EXIF orientation -> how an upright picture comes to lie that way
LYING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def bands(size=32):
    """Three horizontal bands, red at the top: it shows which way is up."""
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[: size // 2], pixels[size // 2 :], pixels[:, : size // 4] = RED, GREEN, BLUE
    return Image.fromarray(pixels)


def near(image, position, color, tolerance=12):
    return np.abs(np.subtract(image.getpixel(position), color)).max() <= tolerance


@pytest.fixture
def saved(tmp_path):
    """Writes a picture and returns its path."""

    def save(image, name, **options):
        path = tmp_path / name
        image.save(path, **options)
        return path

    return save


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_pictures_of_every_usual_format_are_read(saved, suffix):
    image = open_picture(saved(bands(), f"picture.{suffix}"))
    assert (image.mode, image.size) == ("RGB", (32, 32))
    assert near(image, (20, 5), RED, 40)
    assert near(image, (20, 27), GREEN, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_whatever_its_orientation(saved, orientation):
    turned = bands()
    if orientation > 1:
        turned = turned.transpose(LYING[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = open_picture(saved(turned, "photo.png", exif=exif))
    assert np.array_equal(np.asarray(image), np.asarray(bands()))


@pytest.mark.parametrize("value", [0, 20_000, 65_535])
def test_sixteen_bits_become_eight(saved, value):
    path = saved(Image.fromarray(np.full((4, 4), value, np.uint16)), "deep.png")
    assert open_picture(path).getpixel((1, 1)) == (value // 257,) * 3


def test_cmyk_becomes_rgb(saved):
    image = open_picture(saved(bands().convert("CMYK"), "print.jpg", quality=95))
    assert near(image, (20, 5), RED, 30)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(saved, mode):
    glass = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    glass.paste((0, 0, 0, 255), (4, 0, 8, 8))
    image = open_picture(saved(glass.convert(mode), "glass.png"))
    assert image.getpixel((1, 1)) == (255, 255, 255)
    assert image.getpixel((6, 1)) == (0, 0, 0)


def test_a_palette_with_a_transparent_colour_is_laid_on_white(saved):
    palette = bands().quantize(4)
    blue = palette.getpixel((2, 2))
    image = open_picture(saved(palette, "palette.png", transparency=blue))
    assert image.getpixel((2, 2)) == (255, 255, 255)
    assert near(image, (20, 5), RED, 20)


def test_of_an_animation_the_first_frame_is_taken(saved):
    frames = [bands(), Image.new("RGB", (32, 32), "white")]
    image = open_picture(saved(frames[0], "moving.gif", save_all=True, append_images=frames[1:]))
    assert near(image, (20, 5), RED, 20)


@pytest.mark.parametrize("mode", ["1", "L", "F", "I", "YCbCr", "HSV", "LAB"])
def test_every_other_mode_becomes_rgb(mode):
    image = read_picture(bands().convert("L").convert(mode) if mode in ("F", "I", "LAB") else bands().convert(mode))
    assert image.pixels.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("mode", "white"),
    [("I", 255), ("I", 65535), ("I", 10**6), ("F", 1.0), ("F", 255.0), ("F", 65535.0), ("I;16", 65535)],
)
def test_modes_with_wide_values_keep_their_light_and_their_dark(mode, white):
    kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
    values = np.array([[0, white / 2, white]] * 2).astype(kind)
    image = to_rgb(Image.fromarray(values))
    assert image.mode == "RGB"
    assert np.asarray(image)[0, :, 0].tolist() == [0, 127, 255]


def test_a_dark_sixteen_bit_picture_stays_dark_and_holes_are_black():
    dark = to_rgb(Image.fromarray(np.full((2, 2), 200, np.uint16)))
    assert dark.getpixel((0, 0)) == (0, 0, 0)
    holes = to_rgb(Image.fromarray(np.array([[np.nan, np.inf, -5.0, 200.0]], np.float32)))
    assert np.asarray(holes)[0, :, 0].tolist() == [0, 0, 0, 200]


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    for path in (tmp_path / "nothing.png", tmp_path, tmp_path / ("long" * 100)):
        with pytest.raises(PictureError, match=r"does not exist|is a folder|cannot be read"):
            open_picture(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"these are words", "is no picture"),
        (b"%PDF-1.4", "is no picture"),
        (b"\x00" * 100, "no pic"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path, content, said):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=said):
        open_picture(path)


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "webp", "gif", "tiff", "bmp", *(["avif"] if features.check("avif") else [])]
)
def test_a_truncated_file_is_refused_in_one_line_with_its_name(saved, suffix):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path = saved(noise, f"half.{suffix}")
    whole = path.read_bytes()
    for share in (0.05, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(PictureError) as raised:
            open_picture(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def header(width, height):
    """A PNG that says it is this large, and holds nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("width", [MOST_PIXELS // 1000 + 1, 10**6])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, width):
    path = tmp_path / "huge.png"
    path.write_bytes(header(width, 1000))
    with pytest.raises(PictureError, match="scale it down"):
        open_picture(path)


@pytest.mark.parametrize("size", [(100, 40), (40, 100), (3, 3), (2, 500)])
def test_a_square_is_the_middle_of_a_picture(size):
    image = Image.new("RGB", size, "black")
    middle = min(size)
    image.paste(
        (250, 0, 0), tuple((side - middle) // 2 for side in size) + tuple((side + middle) // 2 for side in size)
    )
    pixels = square(read_picture(image), 16).pixels
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[4:12, 4:12, 0] > 200).all()


def test_pixels_and_images_are_each_others_inverse():
    drawn = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    pixels = to_pixels(stacked([Picture(array) for array in drawn]))
    assert (pixels.min(), pixels.max()) == (-1, 1)
    assert np.array_equal(np.stack([np.asarray(to_image(row)) for row in pixels]), drawn)
    scaled = drawn.astype(np.float32) / np.float32(127.5) - 1
    assert np.array_equal(pixels.numpy(), scaled.transpose(0, 3, 1, 2))


def test_pixels_beyond_the_range_are_cut_off():
    assert np.asarray(to_image(torch.full((3, 2, 2), 7.0))).min() == 255
    assert np.asarray(to_image(torch.full((3, 2, 2), -7.0))).max() == 0


@pytest.mark.parametrize(("patch", "merge", "frames"), [(8, 2, 1), (8, 2, 2), (4, 1, 1), (4, 4, 2)])
def test_patches_are_those_of_the_published_image_processor(patch, merge, frames):
    drawn = np.random.default_rng(0).integers(0, 256, (2, 64, 32, 3), np.uint8)
    processor = Qwen2VLImageProcessorPil(
        image_mean=[0.5] * 3, image_std=[0.5] * 3, patch_size=patch, merge_size=merge, temporal_patch_size=frames
    )
    published = processor(list(map(Image.fromarray, drawn)), do_resize=False, return_tensors="pt")
    pixel_values, image_grid_thw = to_patches(
        to_pixels(stacked([Picture(array) for array in drawn])), patch, merge, frames
    )
    torch.testing.assert_close(pixel_values, published["pixel_values"], rtol=1e-5, atol=1e-5)
    assert torch.equal(image_grid_thw, published["image_grid_thw"])


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(40, 30), (24, 24), (10, 60)])
def test_a_picture_is_resized_as_its_array_would_be_and_only_then_copied(size):
    opened = read_picture(noise(*size))
    squared, resized = square(opened, 24), resize(opened, 12, 18)
    assert "pixels" not in vars(opened) or size == (24, 24)
    assert (opened.width, opened.height) == size
    array = Picture(opened.pixels.copy())
    assert (array.width, array.height) == size
    np.testing.assert_array_equal(squared.pixels, square(array, 24).pixels)
    np.testing.assert_array_equal(resized.pixels, resize(array, 12, 18).pixels)
