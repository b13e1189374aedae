"""A heavy dependency has one door: the only files of the library that may import it."""

import subprocess
import sys

import pytest

# dependency -> the files it may be imported by, as patterns of Path.match below blip3o/
DOORS: dict[str, tuple[str, ...]] = {
    "transformers": (
        "model/backbones/*.py",
        "model/layers/siglip.py",
        "model/layers/siglip_tower.py",
        "processing/*.py",
        "evals/generation/mask2former.py",
        "evals/generation/colors.py",
        "evals/distributions/encoders.py",
        "evals/distributions/clipscore.py",
    ),
    "tokenizers": ("processing/*.py",),
    "diffusers": ("model/decoders/*.py", "model/encoders/vae.py"),
    "PIL": (
        "processing/*.py",
        "data/sources/*.py",
        "picturebook/*.py",
        "picturebook/*/*.py",
        "api.py",
        "pipeline/*.py",
        "evals/*.py",
        "evals/*/*.py",
        "serve/*.py",
        "cli/*.py",
    ),
    "grain": ("data/*.py", "data/sources/*.py"),
    "webdataset": ("data/sources/*.py", "data/pack.py"),
    "fsspec": ("data/sources/*.py", "data/parquet_rows.py"),
    "datasets": ("data/sources/*.py",),
    "huggingface_hub": ("weights/*.py", "weights/published/convert.py"),
    "safetensors": ("weights/*.py", "weights/*/*.py"),
    "accelerate": ("weights/placement/offload.py",),
    "bitsandbytes": ("weights/placement/quantize.py",),
    "psutil": ("weights/placement/device.py",),
    "lmms_eval": ("evals/lmms.py", "evals/lmms_model.py"),
    "pyarrow": ("evals/columnar.py", "data/parquet_rows.py"),
    "jinja2": ("evals/report.py", "data/report.py", "train/report.py"),
    "py3langid": ("data/languages.py",),
    "openai": ("evals/judges/chat.py",),
    "torch.distributed": ("train/parallel.py", "train/sharding.py", "cli/lean.py"),
    "peft": ("weights/lora.py",),
    "tensorboard": ("train/trackers.py",),
    "wandb": ("train/trackers.py",),
    "trackio": ("train/trackers.py",),
    "scipy": ("evals/*.py", "evals/*/*.py", "picturebook/*/*.py"),
    "fastapi": ("serve/openai.py",),
    "uvicorn": ("serve/openai.py",),
    "gradio": ("serve/page.py",),
    "typer": ("cli/*.py",),
    "click": ("cli/*.py",),
    "rich": ("cli/*.py",),
    "yaml": ("config.py",),
    "pydantic": (
        "serve/schemas.py",
        "serve/openai.py",
        "config.py",
    ),
}

# subjects that no tensor may enter
WITHOUT_TORCH = (
    "errors.py",
    "files.py",
    "config.py",
    "plugins.py",
    "picturebook/vocabulary.py",
    "picturebook/world/*.py",
    "picturebook/world/*/*.py",
    "learn/*.py",
    "cli/[!l]*.py",  # but for lean.py, which opens torch to leave parts of it closed
)

# what the project does without, whatever is installed
BANNED = ("torchvision", "timm", "flash_attn", "xformers", "deepspeed", "pickle", "dill", "cloudpickle", "joblib")


def imports(source, dependency):
    return any(name == dependency or name.startswith(dependency + ".") for name in source.imports)


def stands_at(source, patterns):
    return any(source.path.match("blip3o/" + pattern) for pattern in patterns)


@pytest.mark.parametrize("dependency", DOORS)
def test_a_dependency_is_imported_at_its_door_only(library, dependency):
    doors = DOORS[dependency]
    assert [
        str(source.path) for source in library if imports(source, dependency) and not stands_at(source, doors)
    ] == []


def test_scenes_lessons_configs_and_verbs_know_no_torch(library):
    assert [str(s.path) for s in library if stands_at(s, WITHOUT_TORCH) and imports(s, "torch")] == []


@pytest.mark.parametrize("dependency", BANNED)
def test_nothing_imports_what_the_project_does_without(sources, dependency):
    assert [str(source.path) for source in sources if imports(source, dependency)] == []


@pytest.mark.parametrize("module", ["blip3o", "blip3o.config", "blip3o.cli"])
def test_a_module_on_the_way_to_help_opens_no_heavy_dependency(module):
    heavy = {"torch", "transformers", "diffusers", "numpy", "PIL"}
    script = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
