"""The five methods of the paper, the smallest of each: trained by its stages, resumed, and used through every verb."""

import io
import json
import sys
from pathlib import Path

import pytest

TINY = Path(__file__).parents[1] / "tiny.yaml"
TRANSFUSION = ["model.unified.head={kind: transfusion, slot_length: 9, width: 32, channels: 8, side: 3}"]
TRANSFUSION += ["model.unified.denoiser=null"]
VARIATIONAL = ["model.space.encoder.variational=true", "stages.0.objective.divergence_weight=0.01"]
GENERATION, INSTRUCTION = 4, 5
"""The numbers of the stages of tests/tiny.yaml in which drawing is learned."""
EXPERTS = ["model.unified.backbone.image_experts=true"]
EXPERTS += [f"stages.{GENERATION}.copies={{unified.backbone.image_experts: unified.backbone.language_model}}"]
EXPERTS += [
    f"stages.{stage}.trains=[unified.head, unified.backbone.image_experts]" for stage in (GENERATION, INSTRUCTION)
]
METHODS = {
    "clip-mse": [
        "model.unified.head={kind: regression, slot_length: 9, width: 32, channels: 8, side: 3}",
        "model.unified.denoiser=null",
    ],
    "clip-flow": [],
    "vae-flow": VARIATIONAL,
    "transfusion": VARIATIONAL + TRANSFUSION,
    "lmfusion": VARIATIONAL + TRANSFUSION + EXPERTS,
}


def tensors(folder):
    """Name -> tensor of the weights in a folder."""
    from blip3o.weights.safetensors_files import Shards

    shards = Shards.find(Path(folder))
    return dict(shards.read(shards.shapes))


@pytest.fixture
def interrupted_once(monkeypatch):
    """Has the step of this number, over all stages, end as by Ctrl-C, once."""
    from blip3o.train.steps import StageSteps

    step, done = StageSteps.step, []

    def interrupted(number):
        def counted(steps):
            done.append(steps)
            if len(done) == number:
                raise KeyboardInterrupt
            return step(steps)

        monkeypatch.setattr(StageSteps, "step", counted)

    return interrupted


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_trained_resumed_and_does_all_that_a_model_does(
    blip3o, picture, method, interrupted_once, monkeypatch
):
    train = ["train", "--config", TINY, *METHODS[method]]
    assert blip3o(*train, "--output", "whole").code == 0
    interrupted_once(19)  # the third of `generation`
    assert [blip3o(*train, "--output", "parts").code for _ in range(2)] == [130, 0]
    whole, parts = tensors("whole/checkpoint"), tensors("parts/checkpoint")
    assert whole.keys() == parts.keys()
    assert [name for name in whole if not (whole[name] == parts[name]).all()] == []
    model = ["-m", "whole/checkpoint"]
    drawn = blip3o("generate", "a red dog", "-o", "dog.png", *model, "--json")
    assert json.loads(drawn.out)[0]["prompt"] == "a red dog"
    for words in (
        ("edit", picture, "make it night", "-o", "night.png"),
        ("understand", picture, "what is this?"),
        ("understand", picture, "--labels", "dog,cat"),
        ("info", "whole/checkpoint"),
    ):
        where = [] if words[0] == "info" else model
        assert blip3o(*words, *where).code == 0, words
    assert Path("night.png").is_file()
    monkeypatch.setattr(sys, "stdin", io.StringIO("draw a red dog\n"))
    assert blip3o("chat", "-o", "talk", *model).code == 0


@pytest.mark.slow
def test_words_of_lmfusion_are_the_same_before_and_after_it_learns_to_draw(blip3o):
    """To the last bit: every tensor of the language model, of its head and of its tower."""
    assert blip3o("train", "--config", TINY, *METHODS["lmfusion"], "--output", "run").code == 0
    before, after = (
        {name: value for name, value in tensors(f"run/stages/{stage}").items() if name.startswith("unified.backbone")}
        for stage in ("understanding", "instruction")
    )
    experts = {name for name in before if ".image_experts." in name}
    assert experts
    changed = {name for name in before if not (before[name] == after[name]).all()}
    assert changed
    assert changed <= experts
