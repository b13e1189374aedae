"""The SDXL-type decoder: sizes told to the UNet, guidance, seeds, and what its loss teaches."""

import json
from pathlib import Path

import pytest
import torch

from blip3o.flow.noise import generators
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder

FOLDER = Path(__file__).parents[3] / "parity" / "published_8b_layout" / "diffusion-decoder"


def read(name):
    return json.loads((FOLDER / name).read_text())


@pytest.fixture(scope="module")
def decoder(awake):
    config = SdxlConfig(
        unet=read("unet/config.json"),
        vae=read("vae/config.json"),
        scheduler=read("scheduler/scheduler_config.json"),
        size=32,
    )
    return awake(SdxlDecoder(config), std=0.1)


def features(seed, count=2):
    return torch.randn(count, 96, 2, 2, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_pictures_have_the_size_asked_for_and_the_range_of_pixels(decoder):
    pictures = decoder.decode(features(0), generators([1, 2]), steps=2, null=features(1, 1))
    assert pictures.shape == (2, 3, 32, 32)
    assert pictures.abs().max() <= 1


@torch.no_grad()
def test_seed_features_and_null_each_change_the_latents(decoder):
    def painted(seed=1, of=0, null=None):
        noise = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(seed))
        return decoder.latents(features(of), noise, steps=2, null=null)

    plain = painted()
    assert torch.equal(plain, painted())
    for other in (painted(seed=2), painted(of=3), painted(null=features(5, 1))):
        assert (other - plain).abs().max() > 1e-4


@torch.no_grad()
def test_guidance_away_from_the_features_themselves_changes_nothing(decoder):
    noise = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    plain, same = (decoder.latents(features(0), noise, steps=2, null=null) for null in (None, features(0)))
    torch.testing.assert_close(plain, same, rtol=1e-3, atol=1e-3)


def test_the_loss_teaches_the_unet_and_leaves_the_vae_alone(decoder):
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    loss = decoder(features(0), pixels, generators([0, 1]))
    assert loss.weight == 2
    loss.mean().backward()
    assert decoder.unet.conv_in.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in decoder.vae.encoder.parameters())
    decoder.zero_grad()


@torch.no_grad()
def test_a_unet_that_finds_the_noise_of_its_scaled_latents_has_no_loss(decoder, monkeypatch):
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = decoder.vae.encode(pixels, return_dict=False)[0].mean * decoder.vae.config["scaling_factor"]
    scheduler, steps = decoder.scheduler(), []

    def find(seen, step, **_):
        sigmas = scheduler.sigmas[[scheduler.index_for_timestep(one) for one in step]].view(-1, 1, 1, 1)
        steps.extend(step.tolist())
        return (((seen * (sigmas.square() + 1).sqrt() - latents) / sigmas),)

    monkeypatch.setattr(decoder.unet, "forward", find)
    count = 64
    loss = decoder(features(0, 1).expand(count, -1, -1, -1), pixels.expand(count, -1, -1, -1), generators(range(count)))
    assert loss.mean() < 1e-6
    total = len(scheduler.timesteps)
    assert torch.tensor(steps).histc(4, 0, total).min() > 4
    assert max(steps) < total
