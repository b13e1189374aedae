"""A model in the published layout goes through every verb: tied head, EVA and a VAE among its tensors, three shards."""

import json
from pathlib import Path
from shutil import copytree

import published_toy
import pytest
import torch
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.errors import CheckpointError
from blip3o.processing.conversation import Turn
from blip3o.processing.images import open_picture

FAST = ("--steps", 2, "--decoder-steps", 2)


@pytest.fixture
def own(published, tmp_path):
    """A copy to be broken."""
    return Path(copytree(published, tmp_path / "own"))


def test_it_draws_in_the_size_asked_for(blip3o, published):
    done = blip3o("generate", "a lighthouse at dawn", "-m", published, *FAST, "--size", 128, "-o", "a.png", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)[0]
    assert (facts["prompt"], facts["model"]) == ("a lighthouse at dawn", published.name)
    assert open_picture("a.png").size == (128, 128)


def test_it_edits_and_reads_pictures_of_any_shape(blip3o, published):
    Image.new("RGB", (200, 90), "green").save("wide.png")
    assert blip3o("edit", "wide.png", "make it night", "-m", published, *FAST, "-o", "b.png").code == 0
    assert open_picture("b.png").size == (64, 64)
    for asked in (["what is this?"], ["--task", "image_classification", "--labels", "cat,dog"], []):
        done = blip3o("understand", "wide.png", *asked, "-m", published)
        assert done.code == 0, done.err


def test_it_talks_shows_itself_is_scored_and_described(blip3o, published, monkeypatch):
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("hello\n"))
    assert blip3o("chat", "-m", published).code == 0
    assert blip3o("demo", "-m", published).code == 0
    done = blip3o("evaluate", "-m", published, "--limit", 1, "--group", "vqa", "--json")
    assert done.code == 0, done.err
    done = blip3o("info", published, "--json")
    assert done.code == 0, done.err
    assert set(json.loads(done.out)["parts"]) == {"language model", "vision tower", "head", "encoder", "decoder"}


def test_it_converts_there_and_back(blip3o, published):
    assert blip3o("convert", published, "ours").code == 0
    assert blip3o("generate", "a dog", "-m", "./ours", *FAST, "-o", "c.png").code == 0
    assert blip3o("convert", "./ours", "back").code == 0
    assert blip3o("generate", "a dog", "-m", "./back", *FAST, "-o", "d.png").code == 0
    assert open_picture("c.png").tobytes() == open_picture("d.png").tobytes()
    done = blip3o("convert", published, "ours")
    assert (done.code, done.err) == (2, "error: ours is not empty: name a new folder\n")


def test_it_reconstructs_a_picture(published):
    given = Image.new("RGB", (300, 150), "red")
    assert BLIP3o.load(published).reconstruct([given], steps=2)[0].size == (64, 64)


def test_compatible_pictures_come_from_one_stream(published):
    def drawn(model, seeds):
        return [image.tobytes() for image in model.generate(["a dog"] * 2, seed=seeds, steps=2, decoder_steps=2)]

    ours, theirs = BLIP3o.load(published), BLIP3o.load(published, compatible=True)
    assert drawn(ours, [5, 5])[0] == drawn(ours, [5, 5])[1]
    first = drawn(theirs, 5)
    assert first[0] != first[1]
    assert drawn(theirs, 5) == first
    assert drawn(theirs, 6)[0] != first[0]


@pytest.mark.parametrize(
    ("lost", "verb", "said"),
    [
        ("diffusion-decoder", ["generate", "a dog"], "copy the folder diffusion-decoder of BLIP3o/BLIP3o-Model-8B"),
        ("tokenizer.json", ["generate", "a dog"], "holds no tokenizer.json"),
        ("config.json", ["info"], "holds no config"),
        ("model-00002-of-00003.safetensors", ["generate", "a dog"], "model-00002-of-00003.safetensors does not exist"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(blip3o, own, lost, verb, said):
    path = own / lost
    path.rename(own.parent / "lost")
    model = [own] if verb == ["info"] else ["-m", own]
    done = blip3o(*verb, *model)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert said in done.err


def test_reading_needs_no_decoder_and_another_folder_may_hold_it(blip3o, own):
    Image.new("RGB", (60, 60)).save("a.png")
    (own / "diffusion-decoder").rename("elsewhere")
    assert blip3o("understand", "a.png", "what?", "-m", own).code == 0
    done = blip3o("generate", "a dog", "-m", own, "--decoder", "elsewhere", *FAST, "-o", "e.png")
    assert done.code == 0, done.err


def test_a_config_that_contradicts_its_tensors_and_a_decoder_of_other_width_are_refused(blip3o, own):
    config = own / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {"intermediate_size": 99}))
    done = blip3o("generate", "a dog", "-m", own)
    assert (done.code, "wrong shape" in done.err) == (2, True)
    config.write_text(json.dumps(facts))
    unet = own / "diffusion-decoder" / "unet" / "config.json"
    unet.write_text(json.dumps(json.loads(unet.read_text()) | {"cross_attention_dim": 64}))
    done = blip3o("generate", "a dog", "-m", own)
    assert (done.code, "the head imagines 112 channels, the decoder paints from 64" in done.err) == (2, True)


def test_a_model_of_the_hub_that_is_not_here_is_told_apart_from_a_folder(blip3o):
    done = blip3o("generate", "a dog", "-m", "nobody/nothing")
    assert done.code == 2
    assert "cannot fetch nobody/nothing: it is not on this machine" in done.err


def test_what_is_saved_is_loaded_the_same_in_its_own_dtype(published, tmp_path):
    model = BLIP3o.load(published, dtype="bfloat16")
    again = BLIP3o.from_pretrained(model.save_pretrained(tmp_path / "saved"))
    before, after = model.pipeline.state_dict(), again.pipeline.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value.float()) for name, value in before.items())
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "toy-4b" in card
    assert f"| head | {model.info()['parts']['head']:,} |" in card
    (tmp_path / "saved" / "README.md").write_text("my own")
    model.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "README.md").read_text() == "my own"


def test_a_push_sends_a_whole_model(published, monkeypatch):
    sent = {}

    def upload(repo_id, folder_path, **_):
        sent[repo_id] = sorted(path.name for path in folder_path.iterdir())
        return f"https://hub/{repo_id}"

    monkeypatch.setattr("blip3o.weights.hub.create_repo", lambda *_, **given: sent.update(given))
    monkeypatch.setattr("blip3o.weights.hub.upload_folder", upload)
    assert BLIP3o.load(published).push_to_hub("me/toy") == "https://hub/me/toy"
    assert sent["private"] is True
    assert {"README.md", "config.yaml", "model.safetensors", "tokenizer.json"} <= set(sent["me/toy"])


def test_a_push_that_the_hub_refuses_is_one_line(published):
    with pytest.raises(CheckpointError, match="cannot write me/toy on the Hub"):
        BLIP3o.load(published).push_to_hub("me/toy")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_runs_in_half_precision(published, dtype):
    model = BLIP3o.load(published, dtype=dtype)
    assert model.generate("a dog", steps=2, decoder_steps=2)[0].size == (64, 64)
    picture = Image.new("RGB", (90, 60), "red")
    assert isinstance(model.understand(picture, "what is this?", max_tokens=3)[0], str)
    assert model.reconstruct(picture, steps=2)[0].size == (64, 64)
    assert sum(model.classify(picture, ["cat", "dog"])[0].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", ["qwen3", "llama3"])
def test_other_backbones_load_from_the_same_layout(tmp_path, kind):
    folder = published_toy.write(tmp_path / kind, kind)
    model = BLIP3o.load(folder)
    assert model.pipeline.config.unified == published_toy.pipeline(kind).config.unified
    assert model.generate("a dog", steps=2, decoder_steps=2)[0].size == (64, 64)
    answers = model.understand([Image.new("RGB", (90, 60), color) for color in ("red", "blue")], "what?", max_tokens=3)
    assert len(answers) == 2


def test_several_pictures_and_a_batch_of_different_ones_are_read_as_each_alone(published):
    model = BLIP3o.load(published)
    given = [
        Image.new("RGB", size, color) for size, color in (((60, 60), "red"), ((200, 90), "blue"), ((40, 150), "white"))
    ]
    questions = ["what is this?", "which of all these colors do you see in the picture here?", "why?"]
    alone = [model.understand(image, text, max_tokens=6)[0] for image, text in zip(given, questions, strict=True)]
    assert model.understand(given, questions, max_tokens=6) == alone
    assert "".join(model.stream(given[1], questions[1], max_tokens=6)).strip() == alone[1]
    assert "".join(model.stream(given, "what do they share?", max_tokens=6))


@torch.no_grad()
def test_every_one_of_several_pictures_is_seen_in_its_place(published):
    pipeline = BLIP3o.load(published).pipeline
    torch.manual_seed(0)
    for parameter in pipeline.unified.backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # wide awake: small weights let the last words alone decide
    pictures = [pipeline.template.picture(Image.new("RGB", (60, 60), color)) for color in ("red", "blue", "white")]
    hidden = []
    for order in ([0, 1, 2], [2, 1, 0], [0, 1]):
        asked = pipeline.template.ask((Turn("user", (*(pictures[index] for index in order), "why?")),))
        batch, backbone = pipeline.template.collate([asked]), pipeline.unified.backbone
        positions = backbone.positions(batch.mask, batch.image_mask, batch.image_grid_thw)
        hidden.append(backbone(pipeline.unified.embed(batch), batch.mask, None, positions)[:, -1])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (hidden[one] - hidden[other]).abs().max() > 1e-4


def test_a_question_about_two_pictures_by_the_command_line(blip3o, published):
    for name, color in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (60, 60), color).save(f"{name}.png")
    done = blip3o("understand", "a.png", "which is red?", "--also", "b.png", "-m", published, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["also"] == ["b.png"]
    done = blip3o("understand", "a.png", "--also", "b.png", "-m", published)
    assert (done.code, "task caption takes no --also" in done.err) == (2, True)
