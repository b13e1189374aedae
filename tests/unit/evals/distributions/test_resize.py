"""Every way of resizing keeps what it should."""

import numpy as np
import pytest
import torch

from blip3o.evals.distributions import resize

WAYS = (resize.clean, resize.quantised, resize.unfiltered)
PIXELS = np.random.default_rng(0).integers(0, 256, size=(12, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [(5, 7), (9, 12), (20, 31)])
def test_size_is_width_and_height_and_a_flat_picture_stays_flat(way, size):
    assert way(PIXELS, size).shape == (size[1], size[0], 3)
    flat = np.full((6, 8, 3), 77, dtype=np.uint8)
    assert way(flat, size) == pytest.approx(np.full((size[1], size[0], 3), 77))


@pytest.mark.parametrize("way", WAYS)
def test_the_same_size_changes_nothing(way):
    assert way(PIXELS, (9, 12)) == pytest.approx(PIXELS, abs=1e-4)


def test_clean_rounds_nothing_and_quantised_rounds_to_the_next_value():
    exact, rounded = resize.clean(PIXELS, (5, 7)), resize.quantised(PIXELS, (5, 7))
    assert (exact != exact.round()).any()
    assert (rounded == rounded.round()).all()
    assert np.abs(exact - rounded).max() <= 1


@pytest.mark.parametrize("size", [(5, 7), (20, 31)])
def test_the_old_way_is_torch_s_interpolation(size):
    given = torch.from_numpy(PIXELS.astype(np.float32)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(given, size=(size[1], size[0]), mode="bilinear", align_corners=False)
    assert resize.unfiltered(PIXELS, size) == pytest.approx(expected[0].permute(1, 2, 0).numpy(), abs=1e-3)


def test_the_old_way_has_one_filter():
    with pytest.raises(ValueError, match="expected 'bilinear'"):
        resize.unfiltered(PIXELS, (3, 3), "bicubic")
