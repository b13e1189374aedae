"""The machine's parts are those a user would name, and together they are the machine."""

import published_toy
import pytest

from blip3o.pipeline.parts import PARTS


@pytest.mark.parametrize("tied", [True, False])
def test_the_parts_of_a_published_model_hold_all_its_parameters(tied):
    made = published_toy.pipeline(tied=tied)
    assert sum(made.sizes.values()) == sum(parameter.numel() for parameter in made.parameters())


def test_the_parts_hold_every_parameter_but_no_one_twice(pipeline):
    parameters = dict(pipeline.named_parameters())
    owned = [name for start in PARTS.values() for name in parameters if name.startswith(start)]
    assert len(set(owned)) == len(owned)
    assert set(owned) == set(parameters)
