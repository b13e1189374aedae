"""Configs: frozen dataclasses to and from YAML, every fault of a file reported at once.

A config is a `@dataclass(frozen=True, kw_only=True)` whose fields are bool, int, float, str, Path, Any, Literal, unions
with None, dict[str, X], tuples and other configs. A place in it is spelled as the command line spells it: `head.steps`,
`stages.0.steps`, or `stages.generation.steps` where the items of a list have a field `name`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml

from blip3o.errors import ConfigError
from blip3o.files import write_text

Config = TypeVar("Config")

# What stands between two faults of one message.
_BETWEEN = "; "


# --- dataclass <-> plain values -------------------------------------------------------------------------------------


def from_dict(cls: type[Config], values: object, path: str = "") -> Config:
    """Build a config from plain values; `path` is where they stand in a larger one, for the messages.

    Raises ConfigError naming every fault: unknown keys (with the nearest known one), wrong types, missing required
    fields, and what the `__post_init__` of each config objects to.
    """
    values, errors, config = _upgraded(values, cls), [], None
    unusable = list(_unusable(values, path))
    text = json.dumps({"config": values}, default=str, skipkeys=True)
    try:
        config = _adapter(cls).validate_json(text)["config"]
    except ValueError as error:
        errors = [(each["loc"][1:], each) for each in error.errors()]  # pyright: ignore[reportAttributeAccessIssue]
    _refuse([*_faults(errors, values, cls, path), *unusable])
    return config  # pyright: ignore[reportReturnType]


def finite(values: Any) -> Any:
    """Plain values, as they are. Raises ConfigError for numbers among them that are nan or infinite."""
    _refuse(_unusable(values, ""))
    return values


def to_dict(config: Any) -> Any:
    """The plain values of a config, ready for YAML or JSON: `from_dict(type(config), to_dict(config)) == config`."""
    if is_dataclass(config):
        return {field.name: to_dict(getattr(config, field.name)) for field in fields(config)}
    if isinstance(config, Mapping):
        return {key: to_dict(value) for key, value in config.items()}
    if isinstance(config, tuple | list):
        return [to_dict(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def check(*claims: tuple[bool, str]) -> None:
    """For `__post_init__`: raise one ConfigError with the message of every claim that does not hold.

    `check((self.steps > 0, f"steps is {self.steps}, expected 1 or more"), ...)`
    """
    _refuse(message for holds, message in claims if not holds)


def _refuse(faults: Iterable[str]) -> None:
    if message := _BETWEEN.join(dict.fromkeys(faults)):
        raise ConfigError(message)


def sizes(config: Any, *but: str) -> Iterator[tuple[bool, str]]:
    """For `check`: that every whole number of a config, alone or in a tuple, is 1 or more; not of fields `but`."""
    for field in fields(config):
        value = getattr(config, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if type(number) is int and field.name not in but:
                yield number > 0, f"{field.name} is {value}, expected 1 or more"


# --- the numbers that a user gives: the command line and the API refuse the same ones, in the same words ------------

BOUNDS: dict[str, tuple[int, int] | tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "count": (1, 1000),
    "best_of": (1, 64),
    "steps": (1, 1000),
    "guidance": (0.0, 100.0),
    "guided_from": (0.0, 1.0),
    "guided_until": (0.0, 1.0),
    "decoder_steps": (1, 1000),
    "size": (8, 4096),
    "rows": (0, 1024),
    "batch_size": (1, 4096),
    "max_tokens": (1, 32_768),
}
"""Name of an option or of a field -> the least and the most that it may be, whole where these are."""


def within(name: str, value: object) -> tuple[bool, str]:
    """Whether the value of this name is within its bounds, and what to say if not: a claim for `check`."""
    (least, most), whole = BOUNDS[name], isinstance(BOUNDS[name][0], int)
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    expected = f"a {'whole ' * whole}number from {least:.0f} to {most:.0f}"
    return is_number and bool(least <= cast("int", value) <= most), f"{name} is {value!r}, expected {expected}"


def number(name: str, value: object) -> int | float:
    """The value of this name as Python's own int or float. Raises ConfigError where it is not within its bounds."""
    check(within(name, value))
    return type(BOUNDS[name][0])(cast("int", value))


def whole(name: str, value: object) -> int:
    """The same for a name whose numbers are whole."""
    return int(number(name, value))


# --- files ----------------------------------------------------------------------------------------------------------


def load(cls: type[Config], path_or_name: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config from a YAML file, or from a shipped recipe by its name, and change it by `a.b=3` overrides.

    A file may say `extends: <recipe or file>` and `changes: {a.b: 3, ...}`: it is the other one with these overrides.
    """
    path = Path(path_or_name)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        path = recipe_path(str(path_or_name))
    try:
        values = _extended(cls, read_yaml(path), path)
        for override in overrides:
            values = _override(values, getattr(cls, "renamed", str)(override))
        return from_dict(cls, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested without end, expected keys and values") from None


def dump(config: Any, path: str | Path) -> None:
    """Write a config as YAML, whole or not at all; raises OutputError where the file cannot be written."""
    write_text(Path(path), yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True, width=120))


def _extended(cls: type, values: Any, path: Path) -> Any:
    """The values of a file, or those of the file it extends, changed."""
    if not isinstance(values, Mapping) or "extends" not in values:
        return _upgraded(values, cls)
    strange = sorted(values.keys() - {"extends", "changes"})
    if strange:
        raise ConfigError(f"unknown key {strange[0]} beside extends; put it under changes")
    beside = path.parent / str(values["extends"])
    other = beside if beside.is_file() else recipe_path(str(values["extends"]))
    extended = _extended(cls, read_yaml(other), other)
    for place, value in (values.get("changes") or {}).items():
        extended = _replaced(extended, getattr(cls, "renamed", str)(str(place)).split("."), value, "")
    return _upgraded(extended, cls)


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe, such as `picturebook`; raises ConfigError listing the names there are."""
    recipes = {path.stem: path for path in _recipe_folder().glob("*.yaml")}
    if name not in recipes:
        raise ConfigError(f"no recipe or file {name!r}{_nearest(name, sorted(recipes))}")
    return recipes[name]


def _recipe_folder() -> Path:
    beside, above = (folder / "configs" for folder in Path(__file__).parents[:2])
    return beside if beside.is_dir() else above  # in a wheel they lie beside


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2, and a key written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge" and isinstance(key.value, str)]
        names = [key.value for key in keys]
        twice = [key for index, key in enumerate(keys) if key.value in names[:index]]
        if twice:
            problem = f"key {', '.join(sorted({key.value for key in twice}))} stands twice"
            raise yaml.constructor.ConstructorError(None, None, problem, twice[0].start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> Any:
    """The values of a YAML file. Raises ConfigError where it cannot be read or is no YAML."""
    try:
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not text in UTF-8, expected YAML") from None


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source} is not YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # a date of no calendar, a number of no end
        raise ConfigError(f"{source} is not YAML: {' '.join(str(error).split())}") from None


# --- overrides ------------------------------------------------------------------------------------------------------


def _override(values: Any, override: str) -> Any:
    place, equals, text = override.partition("=")
    if not equals or not all(place.split(".")):
        raise ConfigError(f"override is {override!r}, expected key=value such as head.steps=20")
    return _replaced(values, place.split("."), _parse(text, f"the value of override {override!r}"), "")


def _replaced(values: Any, keys: Sequence[str], value: Any, path: str) -> Any:
    """A copy of `values` with `value` at the place `keys`; a mapping that is not there yet is made."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    below = _join(path, key)
    if isinstance(values, list):
        index = _index(values, key, path)
        return [*values[:index], _replaced(values[index], rest, value, below), *values[index + 1 :]]
    if values is not None and not isinstance(values, Mapping):
        raise ConfigError(f"override {below} cannot be set: {path} is {_show(values)}, which has no keys")
    values = values or {}
    return {**values, key: _replaced(values.get(key), rest, value, below)}


def _index(items: list[Any], key: str, path: str) -> int:
    names = [_name(item, index) for index, item in enumerate(items)]
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    raise ConfigError(f"{path} has no item {key!r}{_nearest(key, names)}")


# --- what pydantic finds, in words for who writes the YAML ----------------------------------------------------------


@cache
def _adapter(cls: type) -> Any:
    """Checks {"config": values of the class}: the dictionary hands the rules down to all configs in it."""
    from pydantic import TypeAdapter

    held: Any = dict
    rules: Any = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
    return TypeAdapter(held[str, cls], config=rules)


def _upgraded(values: Any, kind: Any) -> Any:
    """The values with the keys of today: a config whose keys have changed has static `upgraded` and `renamed`."""
    if isinstance(values, list) and get_origin(kind) is tuple:
        return [_upgraded(item, get_args(kind)[0]) for item in values]
    if not isinstance(values, Mapping) or not is_dataclass(kind):
        return values
    types = get_type_hints(kind)
    return {key: _upgraded(value, types.get(key)) for key, value in getattr(kind, "upgraded", dict)(values).items()}


def _unusable(value: Any, path: str) -> Iterator[str]:
    """A fault for each key that is no text, each number that is not finite, and what no YAML file can hold."""
    for key, item, place in _items(value, path):
        if isinstance(value, Mapping) and not isinstance(key, str):
            yield _wrong(key, "str", f"a key of {path or 'the config'}")
        yield from _unusable(item, place)
    if isinstance(value, float) and not isfinite(value):
        yield _wrong(value, "a finite number", path)
    if not isinstance(value, Mapping | list | tuple | str | int | float | Path | None):
        yield _wrong(value, "a plain value", path)


_Errors = Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]]
"""Errors of pydantic, each with the way to its place from where one stands."""


def _faults(errors: _Errors, value: Any, kind: Any, path: str) -> Iterator[str]:
    """What is wrong with a value that should be of `kind`."""
    below: dict[Any, _Errors] = {}
    for way, error in errors:
        if way:
            below[way[0]] = [*below.get(way[0], ()), (way[1:], error)]
        elif error["type"] == "value_error":
            yield from (f"{path}: {fault}" if path else fault for fault in str(error["ctx"]["error"]).split(_BETWEEN))
        elif not isinstance(value, float) or isfinite(value):  # else it is refused as such
            yield _wrong(value, _spell(kind), path)
    alternatives = [alternative for alternative in _alternatives(kind) if alternative is not NoneType]
    if below and len(alternatives) == 1:
        yield from _faults_of_items(below, value, alternatives[0], path)
    elif below and not isinstance(value, Mapping):
        yield _wrong(value, _spell(kind), path)
    elif below:
        yield from _faults_of_union(below, value, [each for each in alternatives if is_dataclass(each)], path)


def _faults_of_union(below: Mapping[str, _Errors], value: Any, configs: Sequence[Any], path: str) -> Iterator[str]:
    """The faults of the config that the value's `kind` means, or, where it says none, of the one that fits best."""
    kinds = {config: get_args(get_type_hints(config).get("kind")) for config in configs}
    by_fit = sorted(configs, key=lambda config: len(below[config.__name__]))
    meant = [config for config in by_fit if "kind" not in value or value["kind"] in kinds[config]]
    if meant:
        yield from _faults(below[meant[0].__name__], value, meant[0], path)
    else:
        yield _wrong(value["kind"], _one_of(sum(kinds.values(), ())), _join(path, "kind"))


def _faults_of_items(below: Mapping[Any, _Errors], value: Any, kind: Any, path: str) -> Iterator[str]:
    types = get_args(kind)
    if is_dataclass(kind):
        hints, known = get_type_hints(kind), [field.name for field in fields(kind)]
        yield from (f"unknown key {_join(path, key)}{_nearest(key, known)}" for key in value if key not in known)
        missing = (key for key in known if key in below and key not in value)
        yield from (f"missing key {_join(path, key)}, expected {_spell(hints[key])}" for key in missing)
        types = [hints.get(key) for key in value]
    elif get_origin(kind) is dict or types[-1] is Ellipsis:
        types = (types[get_origin(kind) is dict],) * len(value)
    elif len(types) != len(value):
        yield _wrong(value, f"{len(types)} values", path)
    for (key, item, place), expected in zip(_items(value, path), types, strict=False):
        if key in below and expected is not None:
            yield from _faults(below[key], item, expected, place)


# --- words for the messages -----------------------------------------------------------------------------------------


def _wrong(value: Any, expected: str, path: str) -> str:
    return f"{path or 'the config'} is {_show(value)}, expected {expected}"


def _show(value: Any) -> str:
    """The value and its type, cut short; nothing at all is said in words."""
    if value is None:
        return "empty"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _spell(kind: Any) -> str:
    """A type in the words of the person who writes the YAML."""
    if is_dataclass(kind):
        return "keys and values"
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    if len(_alternatives(kind)) > 1:
        return " or ".join(dict.fromkeys(map(_spell, _alternatives(kind))))
    if get_origin(kind) is tuple:
        return "a list of " + ", ".join(_spell(item) for item in get_args(kind) if item is not Ellipsis)
    if get_origin(kind) is dict:
        return f"keys with values of {_spell(get_args(kind)[1])}"
    return "null" if kind is NoneType else getattr(kind, "__name__", str(kind))


def _alternatives(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _one_of(choices: Iterable[object]) -> str:
    return "one of " + ", ".join(map(repr, choices))


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else f", expected one of: {', '.join(known) or '(none)'}"


def _name(item: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else str(index)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _items(value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """Key, value and place of all that a mapping or a list holds; nothing for what holds none."""
    if isinstance(value, Mapping):
        yield from ((key, item, _join(path, str(key))) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((index, item, _join(path, _name(item, index))) for index, item in enumerate(value))
