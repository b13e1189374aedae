"""Plugins: sources, objectives and benchmarks are classes that a recipe or a command names by a string."""

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

from blip3o.config import from_dict
from blip3o.errors import ConfigError, brief

Plugin = TypeVar("Plugin")


def find(name: str, registered: Mapping[str, str], base: type[Plugin]) -> type[Plugin]:
    """The subclass of `base` that a name stands for, as `resolve` finds it. Raises ConfigError for another class."""
    plugin_class = resolve(name, registered)
    if not isinstance(plugin_class, type) or not issubclass(plugin_class, base):
        raise ConfigError(f"{name!r} is no {base.__name__}: name a subclass of {base.__module__}.{base.__name__}")
    return plugin_class


def read_config(values: object, registered: Mapping[str, str], base: type, path: str) -> Any:
    """The config of the plugin that the `kind` of these values names: of the dataclass that its `config` is annotated
    with. `path` is where the values stand, for the messages. Raises ConfigError for every fault."""
    if not isinstance(values, Mapping) or not isinstance(kind := values.get("kind"), str):
        raise ConfigError(
            f"{path} is {values!r}, expected keys and values with a kind: one of "
            f"{', '.join((*registered, 'module:Class'))}"
        )
    config_class = get_type_hints(find(kind, registered, base))["config"]
    return from_dict(config_class, {**values, "kind": getattr(config_class, "kind", kind)}, path)


def build(config: Any, registered: Mapping[str, str], base: type[Plugin], *arguments: object) -> Plugin:
    """The plugin of a config that `read_config` has read; `arguments` follow the config."""
    plugin: Any = find(config.kind, registered, base)
    return plugin(config, *arguments)


def resolve(name: str, registered: Mapping[str, str]) -> object:
    """The class of a name: a key of `registered`, which stands for a `module:Class`, or such a string itself.

    The module is looked up below blip3o (`picturebook.source:Scenes`), then as an installed one or a file of the
    working directory (`squares:Squares`). Raises ConfigError for what is neither, cannot be imported, or is no class.
    """
    module_name, colon, class_name = registered.get(name, name).partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        near = get_close_matches(name, registered, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected module:Class or one of: {', '.join(registered)}"
        raise ConfigError(f"nothing is called {name!r}, {hint}")
    plugin_class = getattr(_module(module_name, name), class_name, None)
    if not isinstance(plugin_class, type):
        raise ConfigError(f"{name!r} names no class: {module_name} has no class {class_name}")
    return plugin_class


def _module(module: str, name: str) -> ModuleType:
    """The first of blip3o's own modules, the installed ones and the files of the working directory."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that no file there takes the place of an installed module
    invalidate_caches()
    for full in (f"blip3o.{module}", module):
        try:
            return import_module(full)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{full}.".startswith(f"{error.name}."):
                raise ConfigError(f"{name!r} cannot be imported: {brief(error)}") from error
        except (ImportError, SyntaxError) as error:
            raise ConfigError(f"{name!r} cannot be imported: {brief(error)}") from error
    raise ConfigError(f"{name!r} names no module: {module} is neither installed nor a file of {Path.cwd()}")
