"""Every adapter goes both ways: each tensor has a name in published files, and sizes are read as they are written."""

import published_toy
import pytest

from blip3o.model.decoders.sana import SanaConfig
from blip3o.model.encoders.siglip import SiglipEncoderConfig
from blip3o.model.layers.siglip import SiglipConfig
from blip3o.weights.published import BACKBONES, DECODERS, ENCODERS
from blip3o.weights.published.adapter import Names, recognised
from blip3o.weights.published.next_dit import NEXT_DIT
from blip3o.weights.published.sana import SANA
from blip3o.weights.published.siglip import SIGLIP
from blip3o.weights.published.siglip_backbones import TEXT_BACKBONE
from blip3o.weights.safetensors_files import hollow, shapes_of

TOY = published_toy.pipeline().config
TOWER = SiglipConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=4
)
CONFIGS = [
    *(published_toy.backbone(kind, 64) for kind in ("qwen2_5_vl", "qwen3", "llama3")),
    TOY.unified.denoiser,
    TOY.space.encoder,
    TOY.space.decoder,
    SiglipEncoderConfig(kind="siglip", tower=TOWER, side=2),
    SanaConfig(
        kind="sana",
        transformer=published_toy.TINY_SANA | {"sample_size": 8},
        vae=published_toy.TINY_DC_AE,
        channels=32,
        size=16,
    ),
]
TABLES = (BACKBONES, ENCODERS, DECODERS, (NEXT_DIT,))
CASES = [
    pytest.param(adapter, table, next(config for config in CONFIGS if type(config) is adapter.kind), id=f"{index}")
    for table in TABLES
    for index, adapter in ((f"{adapter.kind.__name__}{len(adapter.names.rows)}", adapter) for adapter in table)
]


@pytest.fixture
def shapes(adapter, config):
    """Our names of all tensors of the smallest such network -> their shapes."""
    with hollow():
        return shapes_of(published_toy.network(config).state_dict())


@pytest.mark.parametrize(("adapter", "table", "config"), CASES)
def test_a_name_there_and_back_is_the_same(adapter, table, config, shapes):
    published = adapter.names.inverse.renamed(shapes)
    assert len(published) == len(shapes)
    assert adapter.names.renamed(published) == shapes


@pytest.mark.parametrize(("adapter", "table", "config"), CASES)
def test_sizes_are_read_as_they_are_written(adapter, table, config, shapes):
    found = adapter.read(adapter.write(config), shapes)
    if type(config) is SanaConfig:
        assert found.vae.items() >= config.vae.items()
        assert found.transformer == config.transformer
    else:
        assert found == config


@pytest.mark.parametrize(("adapter", "table", "config"), CASES)
def test_a_network_is_told_from_the_others_by_its_tensors(adapter, table, config, shapes):
    if not adapter.folders:
        alike = [other for other in table if not other.folders]
        assert recognised(alike, adapter.names.inverse.renamed(shapes)) is adapter


def test_the_longest_row_that_fits_is_replaced_and_a_name_without_one_stays():
    names = Names([("a.", "x."), ("a.b.", "y."), (".in.", ".out."), ("a.c.", None)], {"x.": Names([("d", "e")])})
    replaced = {"a.d": "x.e", "a.b.d": "y.d", "z.in.w": "z.out.w", "a.c.d": None, "other": "other", "in.w": "in.w"}
    assert {name: names(name) for name in replaced} == replaced
    kept = {old: new for old, new in replaced.items() if new}
    assert {names.inverse(new): new for new in kept.values()} == kept


@pytest.mark.parametrize(
    ("adapter", "published", "ours"),
    [
        (SIGLIP, "encoder.vision_tower.vision_tower.vision_model.embeddings.w", "tower.embeddings.w"),
        (SIGLIP, "encoder.vision_model.encoder.vision_model.w", "tower.encoder.vision_model.w"),
        (SIGLIP, "encoder.vision_tower.vision_model.head.probe", None),
        (SIGLIP, "other.vision_model.w", None),
        (SANA, "transformer.vae.decoder.w", "vae.decoder.w"),
        (TEXT_BACKBONE, "model.language_model.layers.0.w", "language_model.layers.0.w"),
        (TEXT_BACKBONE, "model.visual.projector.0.w", "visual.projector.0.w"),
    ],
)
def test_a_network_may_be_wrapped_otherwise_than_it_is_published(adapter, published, ours):
    assert adapter.names(published) == ours
