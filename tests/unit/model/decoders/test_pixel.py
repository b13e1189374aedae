"""The pixel decoder: a sketch, and a flow that goes on from it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from blip3o.config import load
from blip3o.errors import ConfigError
from blip3o.flow.noise import generators
from blip3o.flow.path import broadcast_time, point, velocity
from blip3o.flow.time import shifted
from blip3o.model.decoders.pixel import NEAREST, PixelDecoder, PixelDecoderConfig
from blip3o.train.recipe import Recipe

SPACE = load(Recipe, Path(__file__).parents[3] / "tiny.yaml").model.space
assert isinstance(SPACE.decoder, PixelDecoderConfig)
assert SPACE.encoder is not None
CONFIG: PixelDecoderConfig = SPACE.decoder
SIDE, SIZE = SPACE.encoder.side, CONFIG.size


@pytest.fixture(scope="module")
def decoder(awake):
    return awake(PixelDecoder(CONFIG), std=0.1)


@pytest.fixture(scope="module")
def sketcher_only(awake):
    """A decoder whose UNet adds nothing to the sketch."""
    made = awake(PixelDecoder(CONFIG), std=0.1)
    for parameter in made.unet.conv_out.parameters():
        torch.nn.init.zeros_(parameter)
    return made


FEATURES = torch.randn(3, CONFIG.channels, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
PIXELS = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def test_a_picture_is_painted_by_its_seed_in_any_batch(decoder):
    among = decoder.decode(FEATURES, generators([3, 4, 5]), steps=2)
    alone = decoder.decode(FEATURES[1:2], generators([4]), steps=2)
    torch.testing.assert_close(among[1:2], alone, rtol=1e-3, atol=1e-3)
    assert torch.equal(alone, decoder.decode(FEATURES[1:2], generators([4]), steps=2))


@torch.no_grad()
def test_seeds_and_features_change_the_picture(decoder):
    first, second = decoder.decode(FEATURES[:1].expand(2, -1, -1, -1), generators([0, 1]), steps=1)
    assert (first - second).abs().max() > 0.01
    assert (decoder.sketch(FEATURES[:1]) - decoder.sketch(FEATURES[1:2])).abs().max() > 0.01


@torch.no_grad()
def test_one_step_of_the_velocity_reaches_the_picture_that_is_guessed(sketcher_only):
    noise, times = torch.randn(PIXELS.shape, generator=torch.Generator().manual_seed(2)), torch.tensor([0.0, 0.5, 0.89])
    x = point(PIXELS, noise, times)
    moved = sketcher_only.velocity(x, times, sketcher_only.sketcher(FEATURES))
    reached = x + (1 - times).view(-1, 1, 1, 1) * moved
    torch.testing.assert_close(reached, sketcher_only.sketch(FEATURES), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_near_the_data_the_velocity_grows_no_further(sketcher_only):
    missing = sketcher_only.sketch(FEATURES) - PIXELS
    for time in (1.0, 1 - NEAREST / 2, 1 - NEAREST):
        moved = sketcher_only.velocity(PIXELS, torch.full((3,), time), sketcher_only.sketcher(FEATURES))
        torch.testing.assert_close(moved, missing / NEAREST, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_right_sketch_has_no_loss_and_a_right_guess_the_right_velocity(sketcher_only):
    right = sketcher_only.sketch(FEATURES)
    assert sketcher_only.sketch_loss(FEATURES, right).sum == 0
    noise, times = torch.randn(right.shape, generator=torch.Generator().manual_seed(2)), torch.full((3,), 0.4)
    moved = sketcher_only.velocity(point(right, noise, times), times, sketcher_only.sketcher(FEATURES))
    torch.testing.assert_close(moved, velocity(right, noise), rtol=1e-3, atol=1e-3)


def test_the_loss_teaches_sketcher_and_unet():
    decoder = PixelDecoder(CONFIG)
    decoder(FEATURES, PIXELS, generators(range(3))).mean().backward()
    assert [name for name, parameter in decoder.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
def test_the_losses_of_a_batch_are_those_of_its_pictures_one_by_one(decoder):
    for grade in (decoder.sketch_loss, lambda *given: decoder(*given, generators([7] * len(given[0])))):
        whole = grade(FEATURES, PIXELS)
        parts = [grade(FEATURES[row : row + 1], PIXELS[row : row + 1]) for row in (2, 0, 1)]
        assert (whole.weight, [part.weight for part in parts]) == (3, [1, 1, 1])
        torch.testing.assert_close(whole.sum, torch.stack([part.sum for part in parts]).sum())


@pytest.fixture
def right(monkeypatch):
    """Gives a decoder of a shift that guesses right, and the times at which it was asked to."""

    def make(shift):
        decoder, asked = PixelDecoder(replace(CONFIG, shift=shift)), []

        def guess(x, time, sketched):
            asked.extend(time.tolist())
            return (PIXELS - x) / broadcast_time(1 - time, x)

        monkeypatch.setattr(decoder, "velocity", guess)
        return decoder, asked

    return make


@torch.no_grad()
def test_a_right_velocity_has_no_loss_at_times_shifted_as_the_decoder_is_told(right):
    (plain, asked), (moved, later) = right(1.0), right(3.0)
    for decoder in (plain, moved):
        assert decoder(FEATURES, PIXELS, generators([2, 3, 4])).mean() < 1e-6
    torch.testing.assert_close(torch.tensor(later), shifted(torch.tensor(asked), 3.0))


@torch.no_grad()
@pytest.mark.parametrize(("zooms", "fold"), [((3,), 8), ((3, 2), 4), ((), 24)])
def test_the_zooms_lead_from_the_features_to_folded_pixels(zooms, fold):
    widths = (16,) * (len(zooms) + 1)
    config = replace(CONFIG, size=72, fold=fold, sketch_widths=widths, sketch_zooms=zooms, widths=(16,))
    assert PixelDecoder(config).sketch(torch.zeros(1, config.channels, 3, 3)).shape == (1, 3, 72, 72)


def test_zooms_lie_between_widths():
    with pytest.raises(ConfigError, match="2 sketch_zooms lie between 2 sketch_widths"):
        replace(CONFIG, sketch_widths=(16, 16), sketch_zooms=(3, 2))


def test_a_grid_that_the_unet_cannot_halve_is_refused():
    with pytest.raises(ConfigError, match="size 72 in squares of 8 px cannot be halved for each of 2 widths"):
        replace(CONFIG, size=72, fold=8)


@torch.no_grad()
def test_a_picture_stays_in_its_range_whatever_the_features(decoder):
    assert decoder.decode(1000 * FEATURES, generators([0, 1, 2]), steps=2).abs().max() == 1
