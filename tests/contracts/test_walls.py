"""The walls beyond the layers of import-linter: what a folder must not know, and the choices of a plural folder."""

import pytest

# folder -> what stands below it and is still none of its business
BLIND_TO: dict[str, tuple[str, ...]] = {
    "flow": ("batch", "config"),
    "evals": ("model", "flow", "batch", "train"),
    "serve": ("model", "flow", "batch", "train"),
    "learn": ("model", "flow", "batch", "train", "weights", "evals", "api"),
}

# A plural folder is a choice: its files stand side by side under the protocol named here.
PROTOCOLS = {
    "blip3o.model.backbones": "backbone",
    "blip3o.model.encoders": "encoder",
    "blip3o.model.heads": "head",
    "blip3o.model.denoisers": "denoiser",
    "blip3o.model.decoders": "decoder",
    "blip3o.data.sources": "source",
    "blip3o.train.objectives": "objective",
}


@pytest.mark.parametrize("folder", PROTOCOLS)
def test_choices_of_a_plural_folder_never_import_each_other(library, folder):
    protocol = f"{folder}.{PROTOCOLS[folder]}"
    choices = [s for s in library if ".".join(s.path.parent.parts) == folder and s.path.stem != "__init__"]
    offenders = [
        f"{source.path} imports {name}"
        for source in choices
        for name in source.imports
        if name.startswith(folder + ".") and not (name == protocol or name.startswith(protocol + "."))
    ]
    assert offenders == []


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
