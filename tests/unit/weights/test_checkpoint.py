"""A checkpoint comes back bit for bit, or not and with the reason; what cannot be written whole is not written."""

from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from blip3o import config as configs
from blip3o.errors import CheckpointError, ConfigError, OutputError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights import checkpoint

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2), "b": torch.tensor([1, 2, 3])}


class Small(nn.Module):
    """A module of exactly these tensors."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.register_buffer("b", torch.zeros(3, dtype=torch.long))


@pytest.fixture(scope="module")
def saved(pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    checkpoint.save(pipeline, folder, about={"seed": 7})
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    """A copy of the checkpoint to spoil."""
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_a_checkpoint_comes_back_bit_for_bit_in_bfloat16(pipeline, saved, tmp_path):
    loaded, about = checkpoint.load(saved)
    assert about == {"seed": 7}
    assert loaded.config == pipeline.config
    assert not loaded.training
    for name, tensor in pipeline.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.bfloat16().float()), name
    checkpoint.save(loaded, tmp_path, about=about)
    for file in saved.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_what_is_loaded_speaks_the_same_tokens(pipeline, saved):
    loaded, _ = checkpoint.load(saved)
    assert loaded.template.words.encode("a red dog") == pipeline.template.words.encode("a red dog")


def test_an_average_is_saved_in_place_of_the_weights(pipeline, tmp_path):
    average = {name: torch.zeros_like(tensor) for name, tensor in pipeline.state_dict().items()}
    checkpoint.save(pipeline, tmp_path, average)
    loaded, _ = checkpoint.load(tmp_path)
    assert max(tensor.abs().max() for tensor in loaded.state_dict().values()) == 0


def test_tensors_and_facts_come_back_as_they_were(tmp_path):
    checkpoint.write_tensors(tmp_path / "new" / "state", TENSORS, {"done": 3, "stage": "decoder"})
    tensors, about = checkpoint.read_tensors(tmp_path / "new" / "state")
    assert about == {"done": 3, "stage": "decoder"}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.pop("a.bias"), "missing: a.bias"),
        (lambda held: held.update(stranger=torch.ones(1)), "unknown: stranger"),
        (lambda held: held.update({"a.bios": held.pop("a.bias")}), r"missing: a.bias \[2\]; unknown: a.bios \[2\]"),
        (lambda held: held.update({"a.weight": torch.ones(3, 2)}), r"wrong shape: a.weight is \[3, 2\], not \[2, 3\]"),
    ],
    ids=["missing", "extra", "renamed", "misshapen"],
)
def test_tensors_that_do_not_fit_are_named_and_none_is_taken(tmp_path, change, said):
    held, module = dict(TENSORS), Small()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    change(held)
    with pytest.raises(CheckpointError, match=said) as raised:
        checkpoint.load_strictly(module, held, tmp_path / "model.safetensors")
    assert str(tmp_path / "model.safetensors") in str(raised.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_of_many_strangers_four_are_named_and_the_rest_counted(tmp_path):
    held = TENSORS | {f"extra{index}": torch.ones(1) for index in range(9)}
    with pytest.raises(
        CheckpointError, match=r"unknown: extra0 \[1\], extra1 \[1\], extra2 \[1\], extra3 \[1\] and 5 more"
    ):
        checkpoint.load_strictly(Small(), held, tmp_path)


def test_tensors_are_taken_in_the_precision_of_the_model(tmp_path):
    module = Small()
    checkpoint.load_strictly(module, {name: tensor.bfloat16() for name, tensor in TENSORS.items()}, tmp_path)
    assert module.a.weight.dtype == torch.float32
    assert torch.equal(module.a.weight, TENSORS["a.weight"])


def test_a_renamed_tensor_of_a_whole_checkpoint_is_named(copied):
    tensors, about = checkpoint.read_tensors(copied / checkpoint.WEIGHTS)
    tensors["unified.head.query"] = tensors.pop("unified.head.queries")
    checkpoint.write_tensors(copied / checkpoint.WEIGHTS, tensors, about)
    with pytest.raises(
        CheckpointError, match=r"missing: unified\.head\.queries \[.*\]; unknown: unified\.head\.query \["
    ):
        checkpoint.load(copied)


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(copied, share):
    file = copied / checkpoint.WEIGHTS
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is truncated"):
        checkpoint.load(copied)


def test_a_pickle_under_the_name_of_the_weights_is_never_read(copied):
    torch.save(TENSORS, copied / checkpoint.WEIGHTS)
    with pytest.raises(CheckpointError, match="no safetensors file"):
        checkpoint.load(copied)


@pytest.mark.parametrize("lost", [checkpoint.WEIGHTS, checkpoint.CONFIG, "tokenizer.json"])
def test_a_checkpoint_that_lacks_a_file_is_refused_with_its_name(copied, lost):
    (copied / lost).unlink()
    with pytest.raises(CheckpointError, match=lost):
        checkpoint.load(copied)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is no folder"):
        checkpoint.load(tmp_path / "nothing")


def test_an_unknown_key_of_the_config_is_named(copied):
    file = copied / checkpoint.CONFIG
    file.write_text(file.read_text() + "colour: red\n")
    with pytest.raises(ConfigError, match="unknown key colour"):
        checkpoint.load(copied)


def test_parts_that_do_not_fit_each_other_are_refused_together(tiny):
    with pytest.raises(ConfigError) as raised:
        replace(tiny.model, prompt=replace(tiny.model.prompt, slot_length=5, patch_size=18, merge_size=1))
    assert "slot_length is 5" in str(raised.value)
    assert "patches of (18, 1, 1)" in str(raised.value)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(tiny, words):
    unified = tiny.model.unified
    few = replace(unified.backbone, text=replace(unified.backbone.text, vocab_size=500))
    with pytest.raises(
        ConfigError, match=f"the tokenizer has a token {words.highest}, but the model has 500 embeddings"
    ):
        Pipeline(replace(tiny.model, unified=replace(unified, backbone=few)), words)


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    """A file that is there already."""
    path = tmp_path / "state.safetensors"
    checkpoint.write_tensors(path, TENSORS)
    return path


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("Io error: no space left")])
def test_a_disk_that_fills_leaves_the_old_file_and_nothing_else(file, monkeypatch, error):
    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise error

    before = file.read_bytes()
    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OutputError, match=f"cannot write {file} .*[Nn]o space left"):
        checkpoint.write_tensors(file, {"other": torch.ones(1)})
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_an_interrupt_while_writing_leaves_the_old_file_and_nothing_else(file, monkeypatch):
    def interrupt(tensors, path, metadata):
        save_file(tensors, path, metadata)
        raise KeyboardInterrupt

    before = file.read_bytes()
    monkeypatch.setattr(checkpoint, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_tensors(file, {"other": torch.ones(1)})
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_refused_by_name(pipeline, file):
    with pytest.raises(OutputError, match="cannot make"):
        checkpoint.write_tensors(file / "below" / "a.safetensors", TENSORS)
    with pytest.raises(OutputError, match="cannot make"):
        checkpoint.save(pipeline, file)
    with pytest.raises(OutputError, match="cannot write"):
        checkpoint.write_tensors(file.parent, TENSORS)
    assert not list(file.parent.parent.glob(f".{file.parent.name}.*"))


def test_what_is_saved_may_be_read_by_others(file):
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_saved_config_is_the_config(saved, pipeline):
    assert configs.load(type(pipeline.config), saved / checkpoint.CONFIG) == pipeline.config
