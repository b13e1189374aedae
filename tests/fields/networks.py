"""The configs of networks: another size is another shape or another output."""

from dataclasses import replace
from functools import partial

import torch
from published_toy import SCHEDULER, TINY_DC_AE, TINY_SANA, TINY_VAE, UNET, VAE
from published_toy import backbone as toy_backbone
from sampled import sample

from blip3o.flow.noise import generators
from blip3o.model.backbones import BACKBONES
from blip3o.model.decoders import DECODERS
from blip3o.model.decoders.sana import SanaConfig
from blip3o.model.decoders.sdxl import SdxlConfig
from blip3o.model.denoisers.next_dit import NextDiT, NextDiTConfig
from blip3o.model.encoders import ENCODERS
from blip3o.model.encoders.dense_caption_loss import DenseCaptionConfig, DenseCaptionLoss
from blip3o.model.encoders.eva_clip import EvaClipConfig
from blip3o.model.encoders.siglip import SiglipEncoderConfig
from blip3o.model.heads import HEADS
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.heads.head import Reference, Sampling
from blip3o.model.heads.regression import RegressionHeadConfig
from blip3o.model.heads.transfusion import TransfusionHeadConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.model.layers.vae import VaeConfig
from fields.case import TINY, Case, Change, normal, shapes


def encoded(config, world):
    """A picture of the config's size as features."""
    network = world.awake(ENCODERS[config.kind](config))
    return shapes(network), network(normal(1, 3, config.size, config.size))


def painted(config, world, side=4):
    """Features as a picture, guided where the decoder can be."""
    network = world.awake(DECODERS[config.kind](config), std=0.1)
    features, null = normal(1, config.channels, side, side), normal(1, config.channels, side, side, seed=1)
    return shapes(network), network.decode(features, generators([0]), steps=2, null=null if network.guided else None)


def thought(config, world):
    """A picture among words, read and thought over, and what is written next."""
    network, vision = world.awake(BACKBONES[config.kind](config)), config.vision
    rows = getattr(vision, "image_size", 168) // vision.patch_size
    grid = torch.tensor([[1, rows, rows]])
    seen = network.encode_images(normal(rows**2, 3 * vision.temporal_patch_size * vision.patch_size**2), grid)
    tokens = torch.arange(len(seen) + 4)[None] % 32
    image_mask = torch.zeros_like(tokens, dtype=torch.bool)
    image_mask[:, 2 : 2 + len(seen)] = True
    mask = torch.ones_like(image_mask)
    embeddings = network.embed(tokens).masked_scatter(image_mask[..., None], seen)
    hidden = network(embeddings, mask, positions=network.positions(mask, image_mask, grid))
    return shapes(network), network.logits(hidden)


def denoised(config, world):
    """Noise of the config's grid, moved."""
    network, size = world.awake(NextDiT(config)), (2, config.channels, config.side, config.side)
    condition = network.condition(normal(2, 4, config.condition_width))
    reference, both = normal(*size, seed=1), torch.ones(2, dtype=torch.bool)
    return shapes(network), network(normal(*size), torch.tensor([0.2, 0.7]), condition, reference, both)


def told(config, world):
    """The loss of what is said of places."""
    torch.manual_seed(0)
    features = normal(2, config.channels, 1, config.positions)
    said = torch.full((2, config.places, config.vocabulary), 1 / config.vocabulary)
    return DenseCaptionLoss(config)(features, said)


def imagined(config, world):
    """The loss of a head, and what it imagines."""
    sizes = NextDiTConfig(
        channels=config.channels, side=config.side, condition_width=config.width, width=16, depth=1, num_heads=2
    )
    head = world.awake(HEADS[config.kind](config, partial(NextDiT, sizes)), std=0.4)
    data = normal(8, config.channels, config.side, config.side)
    filled = head.fill(data, Reference(features=data, present=torch.ones(8, dtype=torch.bool)), generators(range(8)))
    drawn = sample(head, lambda slot: slot, None, generators([0]), Sampling(steps=3, guidance=2.0))
    return shapes(head), filled.keep, head(filled.slot, filled), drawn


def sampled(config, world):
    """What a head generates."""
    sizes = NextDiTConfig(channels=6, side=2, condition_width=12, width=16, depth=1, num_heads=2)
    head = world.awake(HEADS["flow"](HEAD, partial(NextDiT, sizes)), std=0.4)
    return sample(head, lambda slot: slot, None, generators([0]), config)


HEAD = FlowHeadConfig(slot_length=4, width=12, channels=6, side=2, dropout=0.5, time_parts=0)
EVA = EvaClipConfig(size=16, patch_size=4, channels=8, depth=1, num_heads=1, mlp_width=16, pool=2)
TOWER = SiglipConfig(
    hidden_size=6, intermediate_size=12, num_hidden_layers=3, num_attention_heads=2, image_size=16, patch_size=4
)
SIGLIP = SiglipEncoderConfig(kind="siglip", tower=TOWER, side=2)
LATENTS = VaeConfig(kind="vae", vae=TINY_VAE, size=16)
SANA = SanaConfig(kind="sana", transformer=TINY_SANA, vae=TINY_DC_AE, channels=6, size=16)
SDXL = SdxlConfig(unet=UNET, vae=VAE, scheduler=SCHEDULER, size=64)
QWEN, LLAMA = (toy_backbone(kind, 64) for kind in ("qwen2_5_vl", "llama3"))
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0}

NETWORKS = (
    Case(
        TINY.model.space.encoder,
        encoded,
        {"size": 144, "channels": 6, "widths": (16, 16, 32), "strides": (3, 3), "blocks": 2, "variational": True},
    ),
    Case(
        EVA,
        encoded,
        {"size": 24, "patch_size": 8, "channels": 6, "depth": 2, "num_heads": 2, "mlp_width": 8, "pool": 1},
    ),
    Case(SIGLIP, encoded, {"tower": replace(TOWER, num_hidden_layers=2), "side": 1}),
    Case(
        TOWER,
        lambda config, world: encoded(replace(SIGLIP, tower=config), world),
        {
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "image_size": 24,
            "patch_size": 8,
        },
    ),
    Case(LATENTS, encoded, {"vae": TINY_VAE | {"scaling_factor": 1.0}, "size": 24}),
    Case(
        TINY.model.space.decoder,
        lambda config, world: painted(config, world, side=3),
        {
            "channels": 6,
            "size": Change(144, {"sketch_zooms": (6, 2)}),
            "fold": Change(8, {"sketch_widths": (16, 16), "sketch_zooms": (3,), "widths": (16,)}),
            "sketch_widths": (16, 32, 16),
            "sketch_zooms": (2, 3),
            "sketch_blocks": 2,
            "widths": (16, 32),
            "blocks": 2,
            "shift": 1.0,
        },
    ),
    Case(
        SANA,
        painted,
        {
            "transformer": TINY_SANA | {"num_layers": 1},
            "vae": TINY_DC_AE | {"scaling_factor": 0.5},
            "channels": 5,
            "size": 24,
            "guidance": 1.0,
            "shift": 3.0,
        },
    ),
    Case(
        SDXL,
        painted,
        {
            "unet": UNET | {"layers_per_block": 2},
            "vae": VAE | {"scaling_factor": 1.0},
            "scheduler": SCHEDULER | {"beta_end": 0.02},
            "size": 32,
            "original_size": 512,
            "guidance": 1.0,
        },
    ),
    Case(
        NextDiTConfig(channels=6, side=2, condition_width=12, width=16, depth=1, num_heads=2, mlp_multiple=16),
        denoised,
        {
            "channels": 5,
            "side": 3,
            "condition_width": 8,
            "width": 32,
            "depth": 2,
            "num_heads": 4,
            "mlp_multiple": 64,
            "with_reference": True,
        },
    ),
    Case(
        DenseCaptionConfig(vocabulary=5, places=3, channels=4, positions=6, width=8),
        told,
        {"vocabulary": 6, "places": 2, "channels": 5, "positions": 4, "width": 16},
    ),
    Case(
        HEAD,
        imagined,
        {
            "slot_length": 5,
            "width": 8,
            "channels": 5,
            "side": 3,
            "shift": 3.0,
            "dropout": 0.0,
            "null_scale": 0.5,
            "time_parts": 10,
            "draws": 2,
        },
    ),
    Case(
        RegressionHeadConfig(slot_length=4, width=12, channels=6, side=2),
        imagined,
        {
            "slot_length": Change(9, {"side": 3}),
            "width": 8,
            "channels": 5,
            "side": Change(3, {"slot_length": 9}),
            "with_reference": False,
        },
    ),
    Case(
        TransfusionHeadConfig(slot_length=4, width=12, channels=6, side=2, dropout=0.5),
        imagined,
        {
            "slot_length": Change(9, {"side": 3}),
            "width": 8,
            "channels": 5,
            "side": Change(3, {"slot_length": 9}),
            "shift": 3.0,
            "dropout": 0.0,
            "with_reference": False,
        },
    ),
    Case(
        Sampling(steps=3, guidance=3.0),
        sampled,
        {"steps": 4, "guidance": 1.0, "solver": "heun", "guided_from": 0.5, "guided_until": 0.3},
    ),
    Case(
        QWEN.text,
        lambda config, world: thought(replace(QWEN, text=config), world),
        {
            "vocab_size": 65,
            "hidden_size": Change(64, {"mrope_section": (4, 6, 6)}),
            "intermediate_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": Change(1, {"mrope_section": (4, 6, 6)}),
            "num_key_value_heads": 2,
            "mrope_section": (4, 2, 2),
            "rope_theta": 100.0,
            "tie_word_embeddings": False,
            "rms_norm_eps": 1.0,
        },
    ),
    Case(
        QWEN.vision,
        lambda config, world: thought(replace(QWEN, vision=config), world),
        {
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 16,
            "num_heads": 1,
            "patch_size": 7,
            "spatial_merge_size": 1,
            "temporal_patch_size": 1,
            "window_size": 56,
            "fullatt_block_indexes": (0,),
        },
    ),
    Case(
        QWEN,
        thought,
        {
            "text": replace(QWEN.text, num_hidden_layers=1),
            "vision": replace(QWEN.vision, depth=3),
            "reads_by_grid": False,
            "image_experts": True,
        },
    ),
    Case(
        LLAMA.text,
        lambda config, world: thought(replace(LLAMA, text=config), world),
        {
            "vocab_size": 65,
            "hidden_size": 64,
            "intermediate_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "tie_word_embeddings": False,
            "rope_theta": 100.0,
            "rope_scaling": {"rope_type": "linear", "factor": 4.0},
            "rms_norm_eps": 1.0,
            "max_position_embeddings": Change(4, given={"rope_scaling": DYNAMIC}),
        },
    ),
    Case(
        LLAMA,
        thought,
        {
            "kind": "qwen3",
            "text": replace(LLAMA.text, num_hidden_layers=1),
            "vision": replace(LLAMA.vision, num_hidden_layers=1),
            "image_experts": True,
        },
    ),
)
