"""Our models inside lmms-eval, whose tasks WISE, GEdit, ImgEdit and KRIS draw: found there by an entry point.

lmms-eval --model blip3o --model_args pretrained=BLIP3o/BLIP3o-Model-8B --tasks pope
lmms-eval --model blip3o --model_args pretrained=BLIP3o/BLIP3o-Model-8B,draws=True --tasks gedit_bench
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest  # pyright: ignore[reportMissingImports]


def manifest() -> "ModelManifest":
    """What lmms-eval asks the entry point for."""
    from lmms_eval.models.registry_v2 import ModelManifest  # pyright: ignore[reportMissingImports]

    return ModelManifest(model_id="blip3o", simple_class_path="blip3o.evals.lmms_model.Blip3o")
