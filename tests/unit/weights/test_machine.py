"""The machine's parts are those a user would name, and together they are the machine."""


def test_the_parts_hold_every_parameter_but_no_one_twice(machine):
    owned = [id(parameter) for part in machine.parts().values() for parameter in part.parameters()]
    assert len(set(owned)) == len(owned)
    assert set(owned) == {id(parameter) for parameter in machine.parameters()}
