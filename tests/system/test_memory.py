"""A model larger than the device gives the same pictures and answers, and never has more there than was told."""

import hashlib
import json
import os
import subprocess
import sys
from math import prod

import numpy as np
import published_toy
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from blip3o.api import BLIP3o
from blip3o.errors import CheckpointError, ConfigError
from blip3o.processing.images import open_picture
from blip3o.weights import hub
from blip3o.weights.outline import read
from blip3o.weights.placement.memory import ROUNDED_MULTIPLES, held, is_rounded, saved_bytes
from blip3o.weights.placement.working_memory import working_bytes
from blip3o.weights.published.convert import to_published
from blip3o.weights.safetensors_files import shapes_of


@pytest.fixture(scope="module")
def untied(tmp_path_factory):
    """A published folder with an output head of its own."""
    return to_published(published_toy.pipeline(tied=False), tmp_path_factory.mktemp("untied") / "toy-8b")


def pixels(image):
    return np.asarray(image, np.float32)


def digest(image):
    """Of every bit of a picture: two of these are told apart at once, where pytest would set out thousands of bytes."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def does_everything(model):
    picture = Image.new("RGB", (90, 60), "red")
    drawn = [digest(image) for image in model.generate(["a dog", "two cats"], steps=2, decoder_steps=2)]
    said = model.understand(picture, "what is this?", max_tokens=4)
    return [*drawn, *said, digest(model.reconstruct(picture, steps=2)[0])]


class Watched(TorchDispatchMode):
    """The most parameters of a machine that are there at a time, seen whenever a matrix is used."""

    HEAVY = ("linear", "mm", "conv", "norm")

    def __init__(self, pipeline):
        super().__init__()
        self.pipeline, self.most = pipeline, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(name in str(func) for name in self.HEAVY):
            held = sum(value.numel() for value in self.pipeline.parameters() if not value.is_meta)
            self.most = max(self.most, held)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("memory", ["balanced", "low"])
@pytest.mark.parametrize("head", ["tied", "untied"])
def test_what_waits_in_files_changes_nothing(published, untied, memory, head):
    folder = published if head == "tied" else untied
    offloaded = BLIP3o.load(folder, memory=memory, dtype="bfloat16")
    assert does_everything(offloaded) == does_everything(BLIP3o.load(folder, dtype="bfloat16"))


@pytest.mark.parametrize("memory", ["balanced", "low"])
def test_what_no_file_holds_keeps_its_type(published, memory):
    held, wanted = (
        dict(BLIP3o.load(published, memory=one, dtype="bfloat16").pipeline.named_buffers()) for one in (memory, "full")
    )
    assert {name: value.dtype for name, value in held.items()} == {name: one.dtype for name, one in wanted.items()}
    assert all(torch.equal(held[name], wanted[name]) for name in wanted)


def test_a_model_of_ours_may_wait_in_its_file_too(weights):
    drawn = [BLIP3o.load(weights, memory=memory).generate("a dog")[0].tobytes() for memory in ("full", "low")]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("memory", ["full", "balanced", "low"])
def test_no_more_is_there_than_was_told(published, memory):
    decoder = hub.open_model(published).pipeline.space.decoder
    told = read(published).facts()["peak"]["float32"][memory]
    told -= working_bytes(decoder.measure_memory, torch.float32)
    model = BLIP3o.load(published, memory=memory)
    with Watched(model.pipeline) as watched:
        model.generate("a dog", steps=1, decoder_steps=1)
        model.reconstruct(Image.new("RGB", (9, 9)), steps=1)
    assert 0.9 * told <= 4 * watched.most <= told


def test_less_memory_is_told_for_each_mode_and_each_kind_of_numbers(published):
    told = read(published).facts()["peak"]
    assert all(sizes["full"] > sizes["balanced"] > sizes["low"] for kind, sizes in told.items() if len(sizes) > 1)
    assert told["float32"]["full"] > told["bfloat16"]["full"] > told["int8"]["full"]


def test_what_is_worked_with_is_counted_until_it_is_dropped():
    def work():
        first = torch.empty(100, device="meta")
        second = first + 1
        del first
        return second.sum() + torch.empty(50, device="meta").sum()

    assert working_bytes(work, torch.float32) == 4 * 200


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_matrices_rounded_to_8_bits_draw_nearly_the_same(published, dtype):
    model, whole = BLIP3o.load(published, quantize="int8", dtype=dtype), BLIP3o.load(published, dtype=dtype)
    weight = model.pipeline.get_parameter("unified.head.denoiser.layers.0.to_out.weight")
    assert (weight.dtype.itemsize, weight.nbytes) == (1, 32 * 32)
    assert model.info()["parts"] == whole.info()["parts"]
    drawn, wanted = (pixels(one.generate("a dog", steps=2, decoder_steps=2)[0]) for one in (model, whole))
    assert (model.features(Image.new("RGB", (9, 9))) != whole.features(Image.new("RGB", (9, 9)))).any()
    assert np.abs(drawn - wanted).mean() < 1
    assert isinstance(model.understand(Image.new("RGB", (60, 60)), "what?", max_tokens=2)[0], str)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_the_shipped_model_draws_and_reads_rounded_and_takes_the_bytes_that_were_told(kind):
    model, whole = BLIP3o.load(quantize=kind), BLIP3o.load()
    drawn = model.generate("a red dog")[0]
    assert np.abs(pixels(drawn) - pixels(whole.generate("a red dog")[0])).mean() < 40
    assert model.understand(drawn, "what color is the dog?") == ["red"]
    shapes = shapes_of(dict(whole.pipeline.named_parameters()))
    told = 4 * held(shapes) - saved_bytes(shapes, kind, size=4)
    taken = sum(value.nbytes for value in model.pipeline.parameters())
    scales = sum(prod(shape) for name, shape in shapes.items() if is_rounded(name, shape, kind)) * 4 / 64
    assert taken == pytest.approx(told - (scales if kind == "nf4" else 0), abs=1)


def test_a_model_of_which_nothing_can_be_rounded_says_so(published, monkeypatch):
    monkeypatch.setitem(ROUNDED_MULTIPLES, "nf4", (32, 4096))
    with pytest.raises(ConfigError, match=r"quantize nf4 rounds nothing of this model, none .* multiple of 32 x 4096"):
        BLIP3o.load(published, quantize="nf4")


@pytest.mark.parametrize(
    ("fault", "said"), [(RuntimeError("no kernel"), "cannot round .*no kernel"), (None, "wrongly")]
)
def test_a_machine_that_cannot_round_says_so_in_one_line(published, monkeypatch, fault, said):
    def rounded(self, linear, value):
        if fault:
            raise fault
        return linear

    monkeypatch.setattr("blip3o.weights.placement.quantize.Quantizer._rounded", rounded)
    with pytest.raises(ConfigError, match=said):
        BLIP3o.load(published, quantize="int8")


def test_only_a_whole_model_is_saved(published, tmp_path):
    for model in (BLIP3o.load(published, memory="low"), BLIP3o.load(published, quantize="int8")):
        with pytest.raises(CheckpointError, match="load it with memory full and without quantize"):
            model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_choices_that_do_not_go_together_are_refused(published):
    with pytest.raises(ConfigError, match="leave out quantize int8, or choose memory full"):
        BLIP3o.load(published, memory="low", quantize="int8")
    with pytest.raises(ConfigError, match="memory is 'tiny': choose one of full, balanced, low"):
        BLIP3o.load(published, memory="tiny")


def test_too_little_memory_is_told_before_loading_with_what_would_fit(blip3o, published, monkeypatch):
    told = read(published).facts()["peak"]
    free = told["float32"]["low"] + 1
    monkeypatch.setattr("blip3o.weights.placement.device.DevicePlacement.free_bytes", lambda _: free)
    monkeypatch.setattr("blip3o.weights.safetensors_files.Shards.read", lambda *_: pytest.fail("a tensor was read"))
    done = blip3o("generate", "a dog", "-m", published)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "toy-4b needs 0.0 GB of memory on cpu, of which 0.0 GB are free: choose memory low (0.0 GB) or" in done.err
    assert "quantize int8" in done.err
    monkeypatch.setattr("blip3o.weights.placement.device.DevicePlacement.free_bytes", lambda _: 0)
    assert "no choice of dtype, memory and quantize fits" in blip3o("generate", "a dog", "-m", published).err


def test_a_model_without_bitsandbytes_is_not_rounded(published, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match=r"pip install 'blip3o\[quantize\]'"):
        BLIP3o.load(published, quantize="int8")


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="torch compiles nothing for a processor without AVX2"
)
def test_a_compiled_model_draws_the_same(published, tmp_path):
    # another process, for what checks shapes here cannot be compiled; a cache of its own, for torch's may hold
    # code for other instructions
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    asked = ["generate", "a dog", "-m", published, "--steps", "2", "--decoder-steps", "2", "--compile", "-o", "a.png"]
    subprocess.run([sys.executable, "-m", "blip3o", *asked], check=True, cwd=tmp_path, env=os.environ | cache)
    wanted = BLIP3o.load(published).generate("a dog", steps=2, decoder_steps=2)[0]
    assert np.abs(pixels(open_picture(tmp_path / "a.png")) - pixels(wanted)).max() <= 1


def test_a_machine_that_cannot_compile_says_so(published, tmp_path):
    asked = ["generate", "a dog", "-m", published, "--steps", "1", "--decoder-steps", "1", "--compile"]
    lacking = {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "blip3o", *asked], capture_output=True, text=True, cwd=tmp_path, env=os.environ | lacking
    )
    assert (done.returncode, done.stderr.count("error:")) == (2, 1)
    assert "error: cannot compile the model here (InvalidCxxCompiler: " in done.stderr
    assert done.stderr.endswith("): leave out --compile\n")


def test_all_of_it_by_the_command_line(blip3o, published):
    for number, asked in enumerate((["--memory", "low"], ["--quantize", "int8"])):
        done = blip3o("generate", "a dog", "-m", published, *asked, "--steps", 1, "--decoder-steps", 1, "-o", "a.png")
        assert done.code == 0, (number, done.err)
    peak = json.loads(blip3o("info", published, "--json").out)["peak"]
    assert peak == read(published).facts()["peak"]
