"""No config of a model holds a number that cannot be, and none asks for more than its tensors are."""

import re
from typing import Any

import published_toy
import pytest

from blip3o.config import from_dict, to_dict
from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.pipeline import ModelConfig
from blip3o.weights.sizes import check_sizes

MAY_BE_NOTHING = ("time_parts", "rows", "fullatt_block_indexes")
AS_FILES_HAVE_THEM = ("space.decoder.unet.", "space.decoder.vae.", "space.decoder.scheduler.")
"""Configs of networks of `diffusers`, which builds them and says what it cannot."""


def numbers(values, place=""):
    """Every number of a config, and its place."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield from numbers(value, f"{place}.{key}" if place else str(key))
    if type(values) in (int, float):
        yield place, values


def put(values, place, value) -> Any:
    """The config with another value at a place."""
    key, _, rest = place.partition(".")
    if isinstance(values, list):
        index = int(key)
        return [*values[:index], put(values[index], rest, value) if rest else value, *values[index + 1 :]]
    return {**values, key: put(values[key], rest, value) if rest else value}


@pytest.fixture(scope="module", params=["picture book", "qwen2_5_vl", "qwen3", "llama3"])
def config(request, tiny):
    """A model's config as plain values."""
    made = tiny.model if request.param == "picture book" else published_toy.pipeline(request.param).config
    return to_dict(made)


def refusal(values):
    """What is said against a config; nothing where it is taken."""
    try:
        from_dict(ModelConfig, values)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "3"], ids=str)
def test_no_number_of_a_config_may_be_none_at_all(config, wrong):
    for place, value in numbers(config):
        given = wrong if isinstance(value, float) else "3"
        if given == "3" and place.startswith(AS_FILES_HAVE_THEM):
            continue
        assert f"{place} is {given!r} (" in refusal(put(config, place, given))


@pytest.mark.slow
def test_no_number_of_a_config_may_be_below_zero(config):
    for place, _ in numbers(config):
        if not place.startswith((*AS_FILES_HAVE_THEM, "prompt.mean")):
            assert "-1" in refusal(put(config, place, -1)), place


@pytest.mark.slow
def test_no_size_of_a_config_may_be_zero(config):
    for place, value in numbers(config):
        if type(value) is int and not any(name in place for name in (*MAY_BE_NOTHING, *AS_FILES_HAVE_THEM)):
            assert re.search(r"expected (1 or more|a whole number from [1-9])", refusal(put(config, place, 0))), place


@pytest.mark.slow
def test_what_asks_for_more_than_there_is_is_refused_before_it_is_built(config):
    shapes = {f"{index}": (4, 1000) for index in range(600)}
    built = from_dict(ModelConfig, config)
    check_sizes(built.name, to_dict(built), shapes)
    for place, value in numbers({key: config[key] for key in ("unified", "space")}):
        if type(value) is int and "heads" not in place:
            held = type(built)
            try:
                enormous = from_dict(held, put(config, place, 2**40))
            except ConfigError:
                continue  # at odds with another size already
            with pytest.raises(
                CheckpointError, match=f"{place} is {2**40}, but the files hold 600 tensors of 2,400,000"
            ):
                check_sizes(enormous.name, to_dict(enormous), shapes)


@pytest.mark.parametrize(
    ("place", "layers"),
    [
        ("unified.backbone.text.num_hidden_layers", 601),
        ("space.encoder.blocks", 601),
        ("unified.denoiser.depth", 10**9),
    ],
)
def test_every_layer_needs_a_tensor(tiny, place, layers):
    shapes = {f"{index}": (4, 1000) for index in range(600)}
    check_sizes("tiny", put(to_dict(tiny.model), place, 600), shapes)
    with pytest.raises(CheckpointError, match=f"asks for too much: {place} is {layers}"):
        check_sizes("tiny", put(to_dict(tiny.model), place, layers), shapes)
