"""What each command opens of the libraries that take long to open, and that it says nothing of them."""

import shlex
import subprocess
import sys

import pytest
from PIL import Image
from verbs import VERBS

HEAVY = {
    *("torch", "transformers", "diffusers", "tokenizers", "safetensors", "huggingface_hub", "numpy", "PIL"),
    *("accelerate", "peft", "psutil", "torchvision", "bitsandbytes", "kernels", "torchao", "triton"),
    *("torch._dynamo", "torch._inductor", "torch.distributed.tensor", "torch.distributed.fsdp", "sympy"),
    *("scipy", "sklearn", "pandas", "onnx", "pyarrow", "openai", "datasets", "matplotlib", "tensorboard", "wandb"),
}
PICTURES = {"PIL", "numpy"}
TENSORS = {"torch", "numpy", "PIL", "tokenizers", "safetensors", "huggingface_hub", "psutil"}
MODEL = TENSORS | {"transformers", "accelerate"}  # transformers opens accelerate's hooks, where it is there
COMPILED = {"torch._dynamo", "torch._inductor", "torch.distributed.tensor", "torch.distributed.fsdp", "sympy"}

# a command -> what it may open; MODEL and PICTURE stand for a checkpoint and a picture
COMMANDS: dict[str, set[str]] = {
    "--help": set(),
    "generate --help": set(),
    "train --help": set(),
    "serve --help": set(),
    "evaluate --help": set(),
    "convert --help": set(),
    "evaluate compare --help": set(),
    "evaluate distance --help": set(),
    "info MODEL": set(),
    "info MODEL --json": set(),
    "generate 'a red dog' -m MODEL -o a.png": MODEL,
    "edit PICTURE 'make it night' -m MODEL -o a.png": MODEL,
    "understand PICTURE 'what color is the dog?' -m MODEL": MODEL,
    "understand PICTURE -m MODEL --labels dog,cat --task image_classification": MODEL,
    "chat -m MODEL -o talk": MODEL,
    "demo -m MODEL -o demo": MODEL,
    "data preview picturebook -n 2": PICTURES,
    "data check rows.jsonl": PICTURES | {"torch", "tokenizers"},
    "data pack rows.jsonl -o shards": PICTURES | {"torch", "tokenizers"},
    "data cache rows.jsonl -m MODEL -o kept": MODEL | {"tokenizers"},
    "info PUBLISHED": TENSORS,
    "generate 'a dog' -m PUBLISHED --steps 1 --decoder-steps 1 -o a.png": MODEL | {"diffusers", "scipy"} | COMPILED,
    "convert PUBLISHED converted": MODEL | {"diffusers", "scipy", "sklearn"} | COMPILED,
    "evaluate -m MODEL --limit 1 --group vqa": MODEL | {"scipy"} | COMPILED,
}
SCRIPT = """
import sys
from pathlib import Path
from blip3o.cli.app import main
names = Path(sys.argv.pop(1))
try:
    main()
finally:
    names.write_text(" ".join(sys.modules))
"""


def opened(tmp_path, script, *words):
    """The heavy modules that a process opens, and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "names"), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set((tmp_path / "names").read_text().split()), done.stderr


def test_of_every_verb_there_is_a_command():
    assert {verb for verb in VERBS if not any(f"{command} ".startswith(f"{verb} ") for command in COMMANDS)} == set()


@pytest.mark.slow
@pytest.mark.parametrize("asked", COMMANDS)
def test_a_command_opens_what_it_needs_and_says_nothing_of_it(tmp_path, weights, published, asked):
    Image.new("RGB", (72, 72), "red").save(tmp_path / "picture.png")
    (tmp_path / "rows.jsonl").write_text('{"image": "picture.png", "caption": "red"}')
    places = {"MODEL": str(weights), "PUBLISHED": str(published), "PICTURE": str(tmp_path / "picture.png")}
    found, said = opened(tmp_path, SCRIPT, *(places.get(word, word) for word in shlex.split(asked)))
    assert found - COMMANDS[asked] == set()
    assert said == ""


@pytest.mark.slow
def test_the_api_opens_no_library_of_networks_before_there_is_one_to_build(tmp_path):
    script = "import sys, blip3o.api; open(sys.argv[1], 'w').write(' '.join(sys.modules))"
    found, said = opened(tmp_path, script)
    assert found - TENSORS == set()
    assert said == ""


@pytest.mark.slow
def test_a_library_of_rounding_is_opened_for_rounding_alone_and_in_silence(tmp_path, weights):
    places = ["generate", "a red dog", "-m", str(weights), "-o", "a.png"]
    assert "bitsandbytes" not in opened(tmp_path, SCRIPT, *places)[0]
    found, said = opened(tmp_path, SCRIPT, *places, "--quantize", "int8")
    assert "bitsandbytes" in found
    assert said == ""
