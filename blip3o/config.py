"""Configs: frozen dataclasses to and from YAML, every fault of a file reported at once.

A config is a `@dataclass(frozen=True, kw_only=True)` whose fields are bool, int, float, str, Path, Any, Literal, unions
with None, dict[str, X], tuples and other configs. A place in it is spelled as the command line spells it: `head.steps`,
`stages.0.steps`, or `stages.generation.steps` where the items of a list have a field `name`.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from blip3o.errors import ConfigError, OutputError

Config = TypeVar("Config")

# What stands between two faults of one message.
_BETWEEN = "; "

# A word cannot resemble a key less than this and still be a misspelling of it (difflib's ratio, 0 to 1).
_RESEMBLANCE = 0.5


# --- dataclass <-> plain values -------------------------------------------------------------------------------------


def from_dict(cls: type[Config], values: object, path: str = "") -> Config:
    """Build a config from plain values; `path` is where they stand in a larger one, for the messages.

    Raises ConfigError naming every fault: unknown keys (with the nearest known one), wrong types, missing required
    fields, and what the `__post_init__` of each config objects to.
    """
    faults: list[str] = []
    config = _read(_upgraded(cls, values), cls, path, faults)
    if faults:
        raise ConfigError(_BETWEEN.join(faults))
    return config


def finite(values: Any) -> Any:
    """Plain values, as they are. Raises ConfigError for numbers among them that are nan or infinite."""
    faults: list[str] = []
    _read_any(values, "", faults)
    if faults:
        raise ConfigError(_BETWEEN.join(faults))
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
    faults = [message for holds, message in claims if not holds]
    if faults:
        raise ConfigError(_BETWEEN.join(faults))


def sizes(config: Any, *but: str) -> Iterator[tuple[bool, str]]:
    """For `check`: that every whole number of a config, alone or in a tuple, is 1 or more; not of fields `but`."""
    for field in fields(config):
        value = getattr(config, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if type(number) is int and field.name not in but:
                yield number > 0, f"{field.name} is {value}, expected 1 or more"


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
            values = _override(cls, values, override)
        return from_dict(cls, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested without end, expected keys and values") from None


def dump(config: Any, path: str | Path) -> None:
    """Write a config as YAML, whole or not at all; raises OutputError where the file cannot be written."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    text = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True, width=120)
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OutputError(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from None


def _upgraded(cls: type, values: Any) -> Any:
    """The values with the keys of today: a config whose keys have changed has a static method `upgraded`."""
    return getattr(cls, "upgraded", dict)(values) if isinstance(values, Mapping) else values


def _renamed(cls: type, place: str) -> list[str]:
    """The keys of a place by their names of today: such a config has a static method `renamed`, too."""
    return getattr(cls, "renamed", str)(place).split(".")


def _extended(cls: type, values: Any, path: Path) -> Any:
    """The values of a file, or those of the file it extends, changed."""
    if not isinstance(values, Mapping) or "extends" not in values:
        return _upgraded(cls, values)
    strange = sorted(values.keys() - {"extends", "changes"})
    if strange:
        raise ConfigError(f"unknown key {strange[0]} beside extends; put it under changes")
    beside = path.parent / str(values["extends"])
    other = beside if beside.is_file() else recipe_path(str(values["extends"]))
    extended = _extended(cls, read_yaml(other), other)
    for place, value in (values.get("changes") or {}).items():
        extended = _replaced(extended, _renamed(cls, str(place)), value, "")
    return _upgraded(cls, extended)


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe, such as `picturebook`; raises ConfigError listing the names there are."""
    recipes = {path.stem: path for path in _recipe_folder().glob("*.yaml")}
    if name not in recipes:
        raise ConfigError(f"no recipe or file {name!r}{_nearest(name, sorted(recipes))}")
    return recipes[name]


def _recipe_folder() -> Path:
    package = Path(__file__).parent
    in_wheel = package / "configs"
    return in_wheel if in_wheel.is_dir() else package.parent / "configs"


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2, and a key written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if isinstance(key, str) and keys.count(key) > 1}
        if twice:
            problem = f"key {', '.join(sorted(twice))} stands twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
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
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:  # a date of no calendar, a number of no end
        raise ConfigError(f"{source} is not YAML: {error}") from None


# --- overrides ------------------------------------------------------------------------------------------------------


def _override(cls: type, values: Any, override: str) -> Any:
    place, equals, text = override.partition("=")
    if not equals or not all(place.split(".")):
        raise ConfigError(f"override is {override!r}, expected key=value such as head.steps=20")
    return _replaced(values, _renamed(cls, place), _parse(text, f"the value of override {override!r}"), "")


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


# --- one reader for each kind of annotation -------------------------------------------------------------------------


def _read(value: Any, kind: Any, path: str, faults: list[str]) -> Any:
    """The value as an instance of `kind`; what is wrong with it is appended to `faults`."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_config(value, kind, path, faults)
    return _READERS.get(get_origin(kind), _read_plain)(value, kind, path, faults)


def _read_config(value: Any, kind: type, path: str, faults: list[str]) -> Any:
    if not isinstance(value, Mapping):
        return _wrong(value, "keys and values", path, faults)
    value = getattr(kind, "upgraded", dict)(value)
    known = {field.name: field for field in fields(kind) if field.init}
    types = get_type_hints(kind)
    before = len(faults)
    unknown = [str(key) for key in value if key not in known]
    faults += [f"unknown key {_join(path, key)}{_nearest(key, list(known))}" for key in unknown]
    required = [name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    faults += [
        f"missing key {_join(path, name)}, expected {_spell(types[name])}" for name in required if name not in value
    ]
    chosen = {key: _read(value[key], types[key], _join(path, key), faults) for key in value if key in known}
    if len(faults) > before:
        return None
    try:
        return kind(**chosen)
    except ValueError as error:
        faults += [f"{path}: {fault}" if path else fault for fault in str(error).split(_BETWEEN)]
        return None


def _read_union(value: Any, kind: Any, path: str, faults: list[str]) -> Any:
    """The first alternative that fits; where none does, the faults of the one that fits best."""
    alternatives = [alternative for alternative in get_args(kind) if alternative is not type(None)]
    if value is None and len(alternatives) < len(get_args(kind)):
        return None
    tried: list[list[str]] = []
    for alternative in alternatives:
        found: list[str] = []
        read = _read(value, alternative, path, found)
        if not found:
            return read
        tried.append(found)
    if not isinstance(value, Mapping | list | tuple):
        return _wrong(value, _spell(kind), path, faults)
    faults += min(tried, key=len)
    return None


def _read_literal(value: Any, kind: Any, path: str, faults: list[str]) -> Any:
    for choice in get_args(kind):
        if value == choice and type(value) is type(choice):
            return choice
    return _wrong(value, _spell(kind), path, faults)


def _read_tuple(value: Any, kind: Any, path: str, faults: list[str]) -> Any:
    if not isinstance(value, list | tuple):
        return _wrong(value, _spell(kind), path, faults)
    kinds = get_args(kind)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        return _wrong(value, f"{len(kinds)} values", path, faults)
    items = enumerate(zip(value, kinds, strict=True))
    return tuple(_read(item, kind, _join(path, _name(item, index)), faults) for index, (item, kind) in items)


def _read_dict(value: Any, kind: Any, path: str, faults: list[str]) -> Any:
    if not isinstance(value, Mapping):
        return _wrong(value, _spell(kind), path, faults)
    key_kind, value_kind = get_args(kind)
    return {
        _read(key, key_kind, _join(path, str(key)), faults): _read(item, value_kind, _join(path, str(key)), faults)
        for key, item in value.items()
    }


def _read_plain(value: Any, kind: Any, path: str, faults: list[str]) -> Any:
    if kind is Any:
        return _read_any(value, path, faults)
    if kind is float and type(value) is int and abs(value) < 2**1023:
        return float(value)
    if kind is float and isinstance(value, float) and not isfinite(value):
        return _wrong(value, "a finite number", path, faults)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    return _wrong(value, _spell(kind), path, faults)


def _read_any(value: Any, path: str, faults: list[str]) -> Any:
    """A value of any kind, in which every number is finite."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _read_any(item, _join(path, str(key)), faults)
    return _read_plain(value, float, path, faults) if isinstance(value, float) else value


_READERS = {
    Literal: _read_literal,
    Union: _read_union,
    UnionType: _read_union,
    tuple: _read_tuple,
    dict: _read_dict,
}


# --- words for the messages -----------------------------------------------------------------------------------------


def _wrong(value: Any, expected: str, path: str, faults: list[str]) -> None:
    faults.append(f"{path or 'the config'} is {_show(value)}, expected {expected}")


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
        return "one of " + ", ".join(repr(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_spell(alternative) for alternative in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of " + ", ".join(_spell(item) for item in get_args(kind) if item is not Ellipsis)
    if get_origin(kind) is dict:
        return f"keys with values of {_spell(get_args(kind)[1])}"
    return "null" if kind is type(None) else getattr(kind, "__name__", str(kind))


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=_RESEMBLANCE)
    return f", did you mean {near[0]}?" if near else f", expected one of: {', '.join(known) or '(none)'}"


def _name(item: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else str(index)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
