"""What decays, by whichever optimizer it learns."""

from dataclasses import replace

import torch
from torch import nn

from blip3o.train.optim import Optimizer


def test_matrices_decay_and_vectors_do_not_where_no_gradient_pulls(tiny):
    stage = replace(tiny.stages[0], weight_decay=0.5)
    network = nn.ModuleDict({"linear": nn.Linear(3, 2), "words": nn.Embedding(4, 3)})
    parameters = dict(network.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optimizer = Optimizer(parameters, {"linear.weight"}, stage)
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)
    kept = {"linear.weight": 0.95, "words.weight": 0.95, "linear.bias": 1.0}
    for name, share in kept.items():
        torch.testing.assert_close(parameters[name].detach(), share * before[name])
