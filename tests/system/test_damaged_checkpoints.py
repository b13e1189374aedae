"""Whatever happens to a checkpoint's files: one line that names the fault, at once, in our layout and the published."""

import io
from pathlib import Path
from shutil import copytree

import pytest
from damage import OURS, PUBLISHED, UNTOLD, in_json, told
from verbs import VERBS, names


def assert_refused(done, *said):
    assert done.code == 2, done
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert done.out == ""
    for words in said:
        assert words in done.err


def refusing(blip3o, folder, said):
    """The line that a damaged checkpoint is refused with; `info`, which reads no tensor, may find nothing wrong."""
    assert_refused(blip3o("generate", "a red dog", "--model", folder), said)
    assert list(Path().iterdir()) == []
    looked = blip3o("info", folder)
    assert looked.code == 0 or looked.err == blip3o("info", folder).err
    if looked.code:
        assert_refused(looked)


def test_there_are_enough_kinds_of_damage():
    assert len(OURS) + len(UNTOLD) >= 64
    assert len(PUBLISHED) >= 40


@pytest.mark.parametrize("kind", OURS)
def test_a_damaged_checkpoint_is_refused_in_one_line(kind, blip3o, own_weights):
    damage, said = OURS[kind]
    (own_weights / "digest.json").unlink()  # an older one, which cannot tell by itself
    damage(own_weights)
    refusing(blip3o, own_weights, said)


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_damaged_published_checkpoint_is_refused_in_one_line(kind, blip3o, published, tmp_path_factory):
    damage, said = PUBLISHED[kind]
    own = Path(copytree(published, tmp_path_factory.mktemp("published") / "own"))
    damage(own)
    refusing(blip3o, own, said)


@pytest.mark.parametrize("pooling", ["early_pool2d_0", "early_pool2d_3", "all"])
def test_a_target_encoder_that_cannot_pool_so_is_refused_where_it_is_needed(
    pooling, blip3o, published, tmp_path_factory
):
    own = Path(copytree(published, tmp_path_factory.mktemp("published") / "own"))
    in_json("gen_pooling", pooling)(own)
    assert_refused(blip3o("info", own), "describes no network")
    assert blip3o("generate", "a dog", "-m", own, "--steps", 1, "--decoder-steps", 1).code == 0


@pytest.mark.parametrize("kind", UNTOLD)
def test_a_checkpoint_that_changed_since_it_was_saved_is_refused_unless_it_is_asked_for(kind, blip3o, own_weights):
    UNTOLD[kind](own_weights)
    assert_refused(blip3o("generate", "a red dog", "--model", own_weights), "changed since it was saved", "--no-verify")
    done = blip3o("generate", "a red dog", "--model", own_weights, "--no-verify")
    assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("verb", [verb for verb in VERBS if "--no-verify" in names(verb)])
def test_every_verb_that_loads_a_checkpoint_refuses_one_that_changed(verb, blip3o, own_weights, picture, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr("blip3o.picturebook.benchmarks.benchmark.JUDGED_SCENES", 20)
    monkeypatch.setattr("blip3o.serve.openai.run", lambda app, **how: app.state.models.close(0.0))
    told("sampling.solver", "heun")(own_weights)
    words = {
        "generate": ["a dog", "-m", own_weights],
        "edit": [picture, "make it night", "-m", own_weights],
        "understand": [picture, "-m", own_weights],
        "info": [own_weights],
        "evaluate": ["--limit", 1, "--group", "vqa", "-m", own_weights],
        "convert": [own_weights, "out"],
    }.get(verb, ["-m", own_weights])
    assert_refused(blip3o(verb, *words), "changed since it was saved")
    done = blip3o(verb, *words, "--no-verify")
    assert done.code == 0 or (verb, "has no place for" in done.err) == ("convert", True), done.err
