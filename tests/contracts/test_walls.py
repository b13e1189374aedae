"""The walls beyond the layers of import-linter: what a folder must not know, and the choices of a plural folder."""

import ast
from importlib import import_module

import pytest

# folder -> what stands below it and is still none of its business
BLIND_TO: dict[str, tuple[str, ...]] = {
    "flow": ("batch", "config"),
    "processing": ("model", "flow"),
    "data": ("model", "flow"),
    "evals": ("model", "flow", "batch", "train"),
    "serve": ("model", "flow", "batch", "train"),
    "learn": ("model", "flow", "batch", "train", "weights", "evals", "api"),
}

# A plural folder is a choice: its files stand side by side under the protocol of the module named here.
PROTOCOLS = {
    "blip3o.model.backbones": "blip3o.model.backbones.backbone",
    "blip3o.model.encoders": "blip3o.model.encoders.encoder",
    "blip3o.model.heads": "blip3o.model.heads.head",
    "blip3o.model.denoisers": "blip3o.model.layers.denoiser",  # heads, which stand beside denoisers, know it too
    "blip3o.model.decoders": "blip3o.model.decoders.decoder",
    "blip3o.data.sources": "blip3o.data.sources.source",
    "blip3o.train.objectives": "blip3o.train.objectives.objective",
}


@pytest.mark.parametrize("folder", PROTOCOLS)
def test_choices_of_a_plural_folder_never_import_each_other(library, folder):
    protocol = PROTOCOLS[folder]
    choices = [s for s in library if ".".join(s.path.parent.parts) == folder and s.path.stem != "__init__"]
    offenders = [
        f"{source.path} imports {name}"
        for source in choices
        for name in source.imports
        if name.startswith(folder + ".") and not (name == protocol or name.startswith(protocol + "."))
    ]
    assert offenders == []


def test_every_protocol_is_a_file(library):
    modules = {".".join(source.path.with_suffix("").parts) for source in library}
    assert set(PROTOCOLS.values()) - modules == set()


@pytest.mark.parametrize("folder", PROTOCOLS)
def test_a_plural_folder_has_its_table(folder):
    """A dict from names to what they stand for, in the __init__.py of the folder, under the folder's name."""
    table = getattr(import_module(folder), folder.rpartition(".")[2].upper())
    assert isinstance(table, dict)


@pytest.mark.parametrize("folder", BLIND_TO)
def test_a_folder_imports_nothing_it_must_not_know(library, folder):
    hidden = tuple(f"blip3o.{name}" for name in BLIND_TO[folder])
    inside = [source for source in library if source.path.parts[1] == folder]
    offenders = [
        f"{source.path} imports {name}"
        for source in inside
        for name in source.imports
        if name.startswith(tuple(f"{module}." for module in hidden)) or name in hidden
    ]
    assert offenders == []


def test_below_the_front_door_only_the_version_is_taken_from_it(library):
    """The contracts of pyproject.toml leave out what the front door imports for types: no more goes through."""
    below = [source for source in library if str(source.path) != "blip3o/__init__.py"]
    taken = [(source.path, alias.name) for source in below for alias in front_door(source)]
    submodules = {source.path.parts[1].removesuffix(".py") for source in library}
    assert [f"{path} imports {name}" for path, name in taken if name not in {"__version__", *submodules}] == []


def front_door(source):
    froms = (node for node in source.nodes if isinstance(node, ast.ImportFrom) and node.module == "blip3o")
    return (alias for node in froms for alias in node.names)
