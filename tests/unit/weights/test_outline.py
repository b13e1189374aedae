"""What is told of a model by its headers is what the built model says of itself."""

import json
import shutil
from dataclasses import replace

import published_toy
import pytest
import torch
import yaml
from torch import nn

from blip3o.api import BLIP3o
from blip3o.config import load, to_dict
from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.decoders.pixel import PixelDecoderConfig
from blip3o.model.decoders.sana import SanaConfig
from blip3o.model.decoders.sdxl import SdxlConfig
from blip3o.model.layers.vae import VaeConfig
from blip3o.pipeline.pipeline import ModelConfig, Pipeline
from blip3o.weights import checkpoint, hub
from blip3o.weights.folders import SHIPPED, read_header
from blip3o.weights.outline import read
from blip3o.weights.placement.memory import MEMORIES, held, is_rounded, movable, peaks, working_numbers
from blip3o.weights.placement.working_memory import count_numbers
from blip3o.weights.safetensors_files import shapes_of

BACKBONES = ["qwen2_5_vl", "qwen3", "llama3"]


@pytest.fixture(scope="session", params=["ours", "ours, published parts", "shipped", *BACKBONES])
def folder(request, tmp_path_factory, tiny, words):
    """A folder with a model."""
    made = tmp_path_factory.mktemp("outlined") / "toy"
    if request.param == "shipped":
        return SHIPPED / "picturebook"
    if request.param in BACKBONES:
        return published_toy.write(made, request.param)
    built = Pipeline(tiny.model, words) if request.param == "ours" else published_toy.pipeline()
    checkpoint.save(built, made, about={"commit": "abc"})
    return made


@pytest.fixture(scope="session")
def pipeline(folder):
    """The same model, built, without its tensors."""
    return hub.open_model(folder).pipeline


def test_it_tells_what_the_loaded_model_tells(folder):
    told, model = read(folder).facts(), BLIP3o.load(folder)
    assert {key: value for key, value in told.items() if key != "peak"} == model.info()


def test_it_tells_the_memory_that_building_the_model_would_show(folder, pipeline):
    working = working_numbers(to_dict(pipeline.config.space.decoder))
    assert read(folder).facts()["peak"] == peaks(shapes_of(dict(pipeline.named_parameters())), working)


def test_what_is_rounded_are_the_matrices_of_repeated_blocks(folder, pipeline):
    stacks = tuple(f"{name}." for name, module in pipeline.named_modules() if isinstance(module, nn.ModuleList))
    blocks = {
        f"{name}.weight"
        for name, module in pipeline.named_modules()
        if isinstance(module, nn.Linear) and name.startswith(stacks)
    }
    assert {name for name, shape in read(folder).shapes.items() if is_rounded(name, shape, "int8")} == blocks


@pytest.mark.parametrize("memory", MEMORIES)
def test_what_is_held_is_what_the_modules_hold(folder, pipeline, memory):
    def numbers(module):
        return sum(parameter.numel() for parameter in module.parameters())

    def on_the_way(module):
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        return own + max(map(on_the_way, module.children()), default=0)

    parts = [pipeline.get_submodule(name) for name in movable(read(folder).shapes)]
    most = {
        "full": sum(map(numbers, parts)),
        "balanced": max(map(numbers, parts)),
        "low": max(map(on_the_way, parts)),
    }
    wanted = numbers(pipeline) - sum(map(numbers, parts)) + most[memory]
    assert held(read(folder).shapes, memory) == wanted


PIXEL = load(ModelConfig, SHIPPED / "picturebook" / "config.yaml").space.decoder
assert isinstance(PIXEL, PixelDecoderConfig)
SDXL = SdxlConfig(unet=published_toy.UNET, vae=published_toy.VAE, scheduler=published_toy.SCHEDULER, size=64)
WIDE = published_toy.VAE | {"block_out_channels": [16, 32, 64, 64], "norm_num_groups": 8, "layers_per_block": 2}


@pytest.mark.parametrize(
    "config",
    [
        PIXEL,
        replace(PIXEL, widths=(48,)),
        replace(PIXEL, blocks=3),
        replace(PIXEL, widths=(16, 128), size=144),
        replace(PIXEL, widths=(16, 32, 256), size=144),
        replace(PIXEL, fold=8, sketch_widths=(64, 32), sketch_zooms=(3,), widths=(32,)),
        SDXL,
        replace(SDXL, vae=WIDE, size=128),
        replace(SDXL, size=256),
        SanaConfig(
            kind="sana",
            transformer={"in_channels": 4, "out_channels": 4, "patch_size": 1, "num_layers": 1, "caption_channels": 8},
            vae=published_toy.TINY_DC_AE,
            channels=8,
            size=32,
        ),
        VaeConfig(kind="vae", vae=published_toy.VAE | {"latent_channels": 4}, size=64),
        None,
    ],
    ids=lambda config: type(config).__name__,
)
def test_what_a_decoder_works_with_is_what_it_has_there_when_it_paints(config):
    values = to_dict(config)
    counted = 0 if config is None else count_numbers(values)
    assert working_numbers(values) == counted


@pytest.fixture
def own(tmp_path):
    """A copy of the shipped model, to be broken."""
    return shutil.copytree(SHIPPED / "picturebook", tmp_path / "own")


def test_a_config_without_sense_is_told_at_once_and_builds_nothing(own, monkeypatch):
    config = yaml.safe_load((own / "config.yaml").read_text())
    config["unified"]["backbone"]["text"]["num_hidden_layers"] = 100_000_000
    (own / "config.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setattr(nn.Module, "__init__", lambda *_: pytest.fail("a network was built"))
    with pytest.raises(CheckpointError, match="num_hidden_layers is 100000000, but the files hold 399 tensors"):
        read(own)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda config: config.pop("sampling"), "is no config of a model .*'sampling'"),
        (lambda config: config["space"].pop("decoder"), "is no config of a model .*'decoder'"),
        (
            lambda config: config.update(sampling={"steps": 0, "decoder_steps": 1}),
            "steps is 0, expected a whole number",
        ),
        (lambda config: config.update(space=7), "is no config of a model"),
    ],
)
def test_a_config_that_lacks_what_is_told_is_one_line(own, broken, said):
    config = yaml.safe_load((own / "config.yaml").read_text())
    broken(config)
    (own / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises((CheckpointError, ConfigError), match=said):
        read(own)


def test_a_decoder_apart_is_not_for_a_model_that_has_its_own(own):
    with pytest.raises(ConfigError, match=r"holds its own decoder, .* would not be used: leave it out"):
        read(own, own)


@pytest.mark.parametrize(
    "damaged",
    [
        lambda data: data[:-1],
        lambda data: data[:100],
        lambda data: b"",
        lambda data: b"PK\x03\x04" + data,
        lambda data: (2).to_bytes(8, "little") + b"[]",
        lambda data: (20).to_bytes(8, "little") + json.dumps({"a": {"dtype": "F"}}).encode(),
    ],
)
def test_a_damaged_file_is_one_line(own, damaged):
    path = own / "model.safetensors"
    path.write_bytes(damaged(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"truncated or no safetensors file .*: copy it again"):
        read_header(path)


def test_shapes_are_those_of_the_library(own):
    with torch.device("meta"):
        assert read(own).shapes == shapes_of(dict(hub.open_model(own).pipeline.named_parameters()))
