"""A value that is not finite is refused by the name of its tensor, wherever it stands."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from blip3o.errors import CheckpointError
from blip3o.weights.safetensors_files import Shards


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_refused_by_name(value, dtype, tmp_path):
    network = nn.Linear(3, 2)
    tensors = {name: tensor.to(dtype) for name, tensor in network.state_dict().items()}
    tensors["weight"][1, 2] = value
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="not finite: weight"):
        Shards.find(tmp_path).fill(network, lambda name: name)
