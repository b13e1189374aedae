"""A digest tells values from how they are laid out, covers all that a checkpoint is, and refuses half of a save."""

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
import yaml

from blip3o.errors import CheckpointError
from blip3o.weights import checkpoint, digest, folders


@pytest.fixture(scope="module")
def saved(pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digest") / "saved"
    checkpoint.save(pipeline, folder)
    return folder


@pytest.fixture
def own(saved, tmp_path):
    return Path(copytree(saved, tmp_path / "own"))


def test_every_file_that_is_saved_is_in_the_digest(saved):
    files = {path.name for path in saved.iterdir()} - {digest.FILE}
    assert digest.of(saved).keys() == files | {"model.safetensors: tensors"}
    assert json.loads((saved / digest.FILE).read_text()) == digest.of(saved)


def test_formatting_and_facts_of_the_run_are_not_in_it(saved, own):
    config, words, tokenizer = own / "config.yaml", own / "words.txt", own / "tokenizer.json"
    facts = yaml.safe_load(config.read_text())
    facts["unified"]["backbone"]["text"]["rope_theta"] = 10000  # was 10000.0
    config.write_text("# mine\n" + yaml.safe_dump(facts, default_flow_style=True, sort_keys=True))
    words.write_bytes(words.read_bytes().replace(b"\n", b"\r\n"))
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()), indent=7))
    tensors, _ = checkpoint.read_tensors(own / checkpoint.WEIGHTS)
    checkpoint.write_tensors(own / checkpoint.WEIGHTS, tensors, {"commit": "another"})
    assert digest.of(own) == digest.of(saved)
    checkpoint.load(own)


@pytest.mark.parametrize("name", [*digest.SMALL, "model.safetensors"])
def test_a_file_lost_or_come_is_told_by_its_name(own, name):
    (own / name).rename(own / "away")
    with pytest.raises(CheckpointError, match=f"changed since it was saved: {name}"):
        digest.check(own)
    (own / "away").rename(own / name)
    (own / digest.FILE).write_text(json.dumps({key: value for key, value in digest.of(own).items() if key != name}))
    with pytest.raises(CheckpointError, match=f"changed since it was saved: {name}"):
        digest.check(own)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 0.999])
def test_one_bit_of_any_tensor_is_told(own, place):
    path = own / checkpoint.WEIGHTS
    content = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    content[begin + int(place * (len(content) - begin))] ^= 1
    path.write_bytes(content)
    digest.check(own)  # reads no tensor
    with pytest.raises(CheckpointError, match=r"changed since it was saved: model\.safetensors: tensors"):
        checkpoint.load(own)
    checkpoint.load(own, verify=False)


def test_bytes_are_summed_over_all_blocks(own, monkeypatch):
    whole = digest.of(own)
    monkeypatch.setattr(digest, "BLOCK_BYTES", 1000)
    assert digest.of(own) == whole


def test_an_older_folder_without_a_digest_loads(own):
    (own / digest.FILE).unlink()
    assert digest.check_tensors(own) is False
    checkpoint.load(own)


@pytest.mark.parametrize("existing", ["nothing", "an older one", "a whole one"])
@pytest.mark.parametrize("stops_at", ["config", "tokenizer", "weights", "digest"])
def test_a_save_that_was_stopped_is_refused(pipeline, own, tmp_path, monkeypatch, existing, stops_at):
    def stop(*_, **__):
        raise KeyboardInterrupt

    folder = tmp_path / "new" if existing == "nothing" else own
    if existing == "an older one":
        (own / digest.FILE).unlink()
    place = {
        "config": "blip3o.config.dump",
        "tokenizer": "blip3o.processing.tokenizer.Tokenizer.save",
        "weights": "blip3o.weights.checkpoint.write_tensors",
        "digest": "blip3o.weights.digest.of",
    }[stops_at]
    larger = {name: value + 1 for name, value in pipeline.state_dict().items()}
    with monkeypatch.context() as patch:
        patch.setattr(place, stop)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(pipeline, folder, larger)
    with pytest.raises(CheckpointError, match=r"holds no|was not saved to its end"):
        checkpoint.load(folder)
    checkpoint.save(pipeline, folder)
    checkpoint.load(folder)


def test_a_model_without_a_list_of_words_does_not_inherit_one(pipeline, own):
    words = pipeline.template.words
    type(words)(words.tokenizer).save(own)
    assert not (own / "words.txt").exists()


@pytest.mark.parametrize("folder", sorted(folders.SHIPPED.iterdir()), ids=lambda path: path.name)
def test_what_is_shipped_is_what_its_digest_says(folder):
    assert json.loads((folder / digest.FILE).read_text()) == digest.of(folder)


def test_weights_mostly_zero_are_refused_where_no_digest_vouches_for_them(pipeline, tmp_path):
    zeros = {name: torch.zeros_like(value) for name, value in pipeline.state_dict().items()}
    checkpoint.save(pipeline, tmp_path, zeros)
    checkpoint.load(tmp_path)
    (tmp_path / digest.FILE).unlink()
    with pytest.raises(CheckpointError, match="100% of the weights of tiny are 0"):
        checkpoint.load(tmp_path)
    checkpoint.load(tmp_path, verify=False)
