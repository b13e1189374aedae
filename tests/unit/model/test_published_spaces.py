"""Spaces of published parts: SigLIP 2 and SANA, and latents of a VAE; at true size they have their parameters."""

from dataclasses import replace

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from published_toy import TINY_DC_AE, TINY_SANA, TINY_VAE

from blip3o.errors import ConfigError
from blip3o.flow.noise import generators
from blip3o.flow.time import shifted, solver_times
from blip3o.model.decoders.sana import SCALE, SanaConfig, SanaDecoder
from blip3o.model.decoders.sdxl import SdxlConfig, SdxlDecoder
from blip3o.model.decoders.vae import VaeDecoder
from blip3o.model.encoders.eva_clip import EvaClip, EvaClipConfig
from blip3o.model.encoders.siglip import SiglipEncoder, SiglipEncoderConfig
from blip3o.model.encoders.vae import VaeEncoder
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.model.layers.vae import VaeConfig
from blip3o.model.space import ImageSpace, SpaceConfig

SANA_1600M = {
    "in_channels": 32,
    "out_channels": 32,
    "num_attention_heads": 70,
    "attention_head_dim": 32,
    "num_layers": 20,
    "num_cross_attention_heads": 20,
    "cross_attention_head_dim": 112,
    "cross_attention_dim": 2240,
    "caption_channels": 2304,
    "mlp_ratio": 2.5,
    "sample_size": 16,
    "patch_size": 1,
}
SDXL_VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
}
SDXL_UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 128,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 2,
    "attention_head_dim": [5, 10, 20],
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
}
"""Of SDXL-base, but for what it reads."""
TOWER = SiglipConfig(
    hidden_size=6, intermediate_size=12, num_hidden_layers=3, num_attention_heads=2, image_size=16, patch_size=4
)
ENCODER = SiglipEncoderConfig(kind="siglip", tower=TOWER, side=2)
SANA = SanaConfig(kind="sana", transformer=TINY_SANA, vae=TINY_DC_AE | {"scaling_factor": 0.5}, channels=6, size=16)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def pictures(count=2, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def space(awake):
    return awake(ImageSpace(SpaceConfig(encoder=ENCODER, decoder=SANA), 6), std=0.2)


def test_the_published_parts_have_their_parameters():
    tower = replace(
        TOWER,
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        image_size=512,
        patch_size=16,
    )
    eva = EvaClipConfig(size=448, patch_size=14, channels=1792, depth=64, num_heads=16, mlp_width=15360, pool=4)
    reads = {"cross_attention_dim": 2048, "projection_class_embeddings_input_dim": 2816}
    with torch.device("meta"):
        assert parameters(EvaClip(eva)) == 4_350_208_256
        assert parameters(SanaDecoder(replace(SANA, transformer=SANA_1600M)).transformer) == 1_604_462_752
        assert parameters(AutoencoderKL.from_config(SDXL_VAE)) == 83_653_863
        sdxl = SdxlDecoder(SdxlConfig(unet=SDXL_UNET | reads, vae=SDXL_VAE, scheduler={}))
        assert parameters(sdxl.unet) == 2_567_463_684
        assert SiglipEncoder(replace(ENCODER, tower=tower, side=8)).config.channels == 1152


@torch.no_grad()
def test_siglip_features_are_the_means_of_the_tokens_before_the_last_block(space):
    library = space.encoder.tower(pictures(), output_hidden_states=True)
    tokens = library.hidden_states[2].unflatten(1, (4, 4))  # of 3 blocks, the output of the second
    means = tokens.unflatten(1, (2, 2)).unflatten(3, (2, 2)).mean((2, 4))
    torch.testing.assert_close(space.encode(pictures()), means.movedim(-1, 1))
    assert not torch.allclose(library.hidden_states[2], library.last_hidden_state)


@torch.no_grad()
def test_sana_paints_by_seed_features_and_null(space):
    features, null = space.encode(pictures()), space.blank()

    def painted(seed=1, of=features, null=None, **given):
        return space.decoder.decode(of, generators([seed, 9]), steps=2, null=null, **given)

    plain = painted()
    assert plain.shape == (2, 3, 16, 16)
    assert torch.equal(plain, painted())
    torch.testing.assert_close(plain[:1], space.decoder.decode(features[:1], generators([1]), steps=2))
    for other in (painted(seed=2), painted(of=features.flip(0)), painted(null=null)):
        assert (other[0] - plain[0]).abs().max() > 1e-3
    assert painted(size=24).shape == (2, 3, 24, 24)
    with pytest.raises(ConfigError, match="size is 15, expected a multiple of 2"):
        painted(size=15)


@torch.no_grad()
def test_the_published_loop_of_sana_gives_the_same(space):
    """Sigma from 1 to 1/steps, velocity noise - data, both sides one after the other, as the public code has it."""
    features, null = space.encode(pictures(1)), space.blank()
    decoder, steps = space.decoder, 3
    assert isinstance(decoder, SanaDecoder)
    rng = torch.Generator().manual_seed(4)
    x = torch.randn(1, 4, 8, 8, generator=rng)
    for index, sigma in enumerate(torch.linspace(1, 1 / steps, steps)):
        told = sigma[None] * 1000
        moved, unasked = (
            decoder.transformer(x, decoder.connector(given.flatten(2).mT), told, return_dict=False)[0]
            for given in (features, null)
        )
        after = 1 - (index + 1) / steps
        x = x + (after - sigma) * (unasked + 3.0 * (moved - unasked))
    ours = decoder.decode(features, generators([4]), steps=steps, null=null)
    torch.testing.assert_close(
        ours, decoder.vae.decode(x / 0.5, return_dict=False)[0].clamp(-1, 1), rtol=1e-4, atol=1e-4
    )
    assert solver_times(steps).tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_connector_starts_at_the_size_of_words():
    assert SanaDecoder(SANA).state_dict()["connector.3.weight"].tolist() == pytest.approx([SCALE] * 12)


def test_the_loss_of_sana_teaches_transformer_and_connector_alone(space):
    space.zero_grad()
    loss = space.decoder(torch.randn(2, 6, 2, 2), pictures(), generators([0, 1]))
    assert loss.weight == 2
    loss.mean().backward()
    taught = {name.split(".")[0] for name, p in space.decoder.named_parameters() if p.grad is not None}
    assert taught == {"transformer", "connector"}


@torch.no_grad()
def test_a_sana_that_points_from_data_to_noise_has_no_loss_at_times_shifted_as_it_is_told(space, monkeypatch):
    decoder = space.decoder
    latents = decoder.vae.encode(pictures(), return_dict=False)[0] * decoder.vae.config["scaling_factor"]
    told = []

    def point_away(x, captions, timestep, *, return_dict):
        told.append(1 - timestep / 1000)
        return ((x - latents) / (timestep / 1000).view(-1, 1, 1, 1),)

    monkeypatch.setattr(decoder.transformer, "forward", point_away)
    for shift in (1.0, 3.0):
        monkeypatch.setattr(decoder, "config", replace(decoder.config, shift=shift))
        assert decoder(torch.randn(2, 6, 2, 2), pictures(), generators([0, 1])).mean() < 1e-6
    torch.testing.assert_close(told[1], shifted(told[0], 3.0))


@torch.no_grad()
def test_latents_of_a_vae_come_back_as_the_library_decodes_them(awake):
    library = awake(AutoencoderKL.from_config(TINY_VAE), std=0.2)
    encoder = VaeEncoder(VaeConfig(kind="vae", vae=TINY_VAE, size=16))
    decoder = VaeDecoder(VaeConfig(kind="vae", vae=TINY_VAE, size=16))
    for half in (encoder, decoder):
        half.vae.load_state_dict({name: library.state_dict()[name] for name in half.vae.state_dict()})
    latents = library.encode(pictures()).latent_dist.mean
    features = encoder(pictures())
    torch.testing.assert_close(features, (latents - 0.25) * 0.13025)
    assert features.shape == (2, encoder.config.channels, encoder.config.side, encoder.config.side)
    painted = decoder.decode(features, generators([0, 1]), steps=9)
    torch.testing.assert_close(painted, library.decode(latents).sample.clamp(-1, 1), rtol=1e-4, atol=1e-4)
    loss = decoder(features, library.decode(latents).sample - 2, generators([0, 1]))
    assert (loss.weight, loss.mean()) == (2, pytest.approx(4))
    assert parameters(encoder) + parameters(decoder) == parameters(library)
