"""The bounds of the numbers that a user gives: the command line and the API refuse the same ones, in the same words."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import cast

from blip3o.errors import ConfigError


@dataclass(frozen=True)
class Bounds:
    """The least and the most that a number may be, and whether it must be whole."""

    least: int
    most: int
    whole: bool = True

    def hold(self, value: object) -> bool:
        """Whether the value is such a number, of Python or of numpy; True and False are none."""
        kind = Integral if self.whole else Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        return bool(self.least <= cast("int", value) <= self.most)

    def __str__(self) -> str:
        return f"a {'whole ' * self.whole}number from {self.least} to {self.most}"


BOUNDS = {
    "seed": Bounds(0, 2**31 - 1),
    "count": Bounds(1, 1000),
    "steps": Bounds(1, 1000),
    "guidance": Bounds(0, 100, whole=False),
    "guided_from": Bounds(0, 1, whole=False),
    "guided_until": Bounds(0, 1, whole=False),
    "decoder_steps": Bounds(1, 1000),
    "size": Bounds(8, 4096),
    "rows": Bounds(0, 1024),
    "batch_size": Bounds(1, 4096),
    "max_tokens": Bounds(1, 32_768),
}
"""Name of an option or of a field -> its bounds."""


def within(name: str, value: object) -> tuple[bool, str]:
    """Whether the value of this name is within its bounds, and what to say if not: a claim for `config.check`."""
    return BOUNDS[name].hold(value), f"{name} is {value!r}, expected {BOUNDS[name]}"


def number(name: str, value: object) -> int | float:
    """The value of this name as Python's own int or float. Raises ConfigError where it is not within its bounds."""
    holds, fault = within(name, value)
    if not holds:
        raise ConfigError(fault)
    return int(cast("int", value)) if BOUNDS[name].whole else float(cast("float", value))


def whole(name: str, value: object) -> int:
    """The same for a name whose numbers are whole."""
    return int(number(name, value))
