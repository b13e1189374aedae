"""Tensors of one or many files go where they belong, and what is wrong with files or tensors is said by name."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from blip3o.errors import CheckpointError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights.safetensors_files import Shards, hollow, shapes_of, strange


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


@pytest.fixture
def tensors(network):
    return {f"there.{name}": value.detach().clone() for name, value in network.state_dict().items()}


@pytest.fixture
def three(tmp_path, tensors):
    """A folder of three files and their index."""
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[:1], "model-2.safetensors": names[1:3], "model-3.safetensors": names[3:]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, tmp_path / file)
    mapping = {name: file for file, held in parts.items() for name in held}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": mapping}))
    return tmp_path


def here(name):
    return name.removeprefix("there.")


def test_three_files_fill_a_network_as_one_does(three, network, tensors):
    with torch.device("meta"):
        empty = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    shards = Shards.find(three)
    shards.fill(empty, here, dtype=torch.float64)
    assert shards.shapes == {name: tuple(value.shape) for name, value in tensors.items()}
    for name, value in network.state_dict().items():
        assert empty.state_dict()[name].dtype == torch.float64
        assert torch.equal(empty.state_dict()[name].float(), value)


def test_a_name_without_use_is_passed_over(three, network, tensors):
    save_file({**tensors, "vae.x": torch.ones(1)}, three / "model-1.safetensors")
    with pytest.raises(CheckpointError, match=r"unknown: vae.x \[1\]"):
        Shards.find(three).fill(network, here)
    Shards.find(three).fill(network, lambda name: None if name.startswith("vae.") else here(name))


def test_a_leading_axis_of_one_does_not_count(tmp_path, network, tensors):
    save_file({name: value[None] for name, value in tensors.items()}, tmp_path / "model.safetensors")
    Shards.find(tmp_path).fill(network, here)
    assert network[0].weight.shape == (3, 2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop("there.0.bias"), r"missing: 0.bias \[3\]"),
        (lambda tensors: tensors.update(stranger=torch.ones(2)), r"unknown: stranger \[2\]"),
        (lambda tensors: tensors.update({"there.0.bias": torch.ones(4)}), r"wrong shape: 0.bias is \[4\], not \[3\]"),
    ],
)
def test_what_does_not_fit_is_listed_by_name_and_shape(change, told, tmp_path, network, tensors):
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=told):
        Shards.find(tmp_path).fill(network, here)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "model-2.safetensors").unlink(), "model-2.safetensors does not exist"),
        (lambda folder: (folder / "model-2.safetensors").write_bytes(b"x" * 20), "model-2.safetensors is truncated"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{"), "is no index"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("[]"), "is no index"),
    ],
)
def test_a_file_that_is_missing_or_broken_is_named(spoil, told, three):
    spoil(three)
    with pytest.raises(CheckpointError, match=told):
        Shards.find(three)


def test_a_pickle_is_not_read_but_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no model.safetensors: name"):
        Shards.find(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin is a pickle: convert it"):
        Shards.find(tmp_path)


FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_value_that_is_not_finite_is_found_wherever_it_stands(dtype, value):
    if dtype is torch.float8_e4m3fn:
        value = float("nan")  # it has no infinity
    for place in (0, 1, 999):
        tensor = torch.linspace(-3, 3, 1000).to(dtype)
        assert not strange(tensor)
        tensor[place] = value
        assert strange(tensor)
        assert strange(tensor.view(10, 100).mT)
    assert strange(torch.tensor(value).to(dtype))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_largest_values_a_single_one_and_none_at_all_are_finite(dtype):
    bounds = torch.finfo(dtype)
    for tensor in (torch.tensor([bounds.min, bounds.max], dtype=torch.float64).to(dtype), torch.zeros((), dtype=dtype)):
        assert not strange(tensor)
    assert not strange(torch.zeros((0, 3), dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_are_finite(dtype):
    assert not strange(torch.tensor([0, 1]).to(dtype))


def test_the_check_makes_nothing_of_the_tensors_size():
    class Made(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            self.most = max([self.most, *(t.numel() for t in tree_leaves(made) if isinstance(t, torch.Tensor))])
            return made

    tensor = torch.ones(10_000)
    with Made() as made:
        assert not strange(tensor)
    assert made.most < 10_000


def test_a_tensor_is_put_in_its_place_without_a_walk_through_all_modules(tmp_path, network, tensors, monkeypatch):
    save_file(tensors, tmp_path / "model.safetensors")
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *_, **__: pytest.fail("all modules were gone through"))
    network.requires_grad_(False)[0].requires_grad_(True)
    Shards.find(tmp_path).fill(network, here, dtype=torch.float64)
    assert all(torch.equal(value.float(), tensors[f"there.{name}"]) for name, value in network.state_dict().items())
    assert [parameter.requires_grad for parameter in network.parameters()] == [True, True, False, False]


def test_a_network_built_hollow_has_its_shapes_no_numbers_and_draws_none(tiny, words):
    before = torch.get_rng_state()
    with hollow():
        built = Pipeline(tiny.model, words)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.is_meta for parameter in built.parameters())
    assert shapes_of(built.state_dict()) == shapes_of(Pipeline(tiny.model, words).state_dict())
