"""Adapters: what they change, what they weigh, how they are kept, and which base takes them."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Turn
from blip3o.weights import checkpoint, lora
from blip3o.weights.lora import AdapterConfig, SavedAdapter

LAYERS = ("unified.backbone.language_model.layers", "unified.head.denoiser.layers")


@pytest.fixture
def fresh(tiny, words, awake):
    """Gives a pipeline of its own, always of the same weights."""

    def build(model=tiny.model):
        torch.manual_seed(0)
        return awake(Pipeline(model, words)).eval()

    return build


def hidden(pipeline, text="a red dog"):
    """The scores of the next words."""
    batch = pipeline.template.collate([pipeline.template.encode((Turn("user", (text,)), Turn("assistant", ("a",))))])
    with torch.no_grad():
        embedded = pipeline.unified.embed(batch)
        return pipeline.unified.backbone.logits(pipeline.unified.backbone(embedded, batch.mask))


@pytest.fixture
def saved(fresh, tmp_path):
    """Gives the folder of an adapter whose matrices are random."""

    def make(name, seed=1, words=(), trained=(), **config):
        pipeline = fresh()
        if words:
            pipeline.know(words)
        config = AdapterConfig(**{"rank": 2, "alpha": 4.0, "targets": LAYERS} | config)
        lora.add(pipeline, config, words)
        torch.manual_seed(seed)
        for key, parameter in pipeline.named_parameters():
            if lora.is_adapter(key) or key in trained:
                torch.nn.init.normal_(parameter, std=0.1)
        lora.save(pipeline, tmp_path / name, trained=trained, about={"base": "tiny", "words": list(words)})
        return tmp_path / name, hidden(pipeline.eval(), words[0] if words else "a red dog")

    return make


@pytest.mark.parametrize("dora", [False, True])
def test_a_new_adapter_changes_nothing(fresh, dora):
    pipeline = fresh()
    before = hidden(pipeline)
    lora.add(pipeline, AdapterConfig(rank=3, targets=LAYERS, dora=dora))
    torch.testing.assert_close(hidden(pipeline), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("merged", [False, True])
def test_a_saved_adapter_does_what_the_trained_one_did(fresh, saved, dora, merged):
    folder, expected = saved("one", dora=dora)
    pipeline = fresh()
    assert not torch.allclose(hidden(pipeline), expected, atol=1e-2)
    lora.apply(pipeline, [(SavedAdapter.open(folder), 1.0)], merged=merged)
    torch.testing.assert_close(hidden(pipeline), expected, rtol=1e-5, atol=1e-5)


def test_merging_leaves_the_names_of_the_weights(fresh, saved):
    pipeline = fresh()
    names = list(pipeline.state_dict())
    lora.apply(pipeline, [(SavedAdapter.open(saved("one")[0]), 1.0)])
    assert list(pipeline.state_dict()) == names


def test_adapters_add_up_by_their_weights(fresh, saved):
    folders = [SavedAdapter.open(saved(name, seed)[0]) for name, seed in (("one", 1), ("two", 2))]
    pipelines = [fresh() for _ in range(4)]
    lora.apply(pipelines[1], [(folders[0], 1.0)])
    lora.apply(pipelines[2], [(folders[1], 1.0)])
    lora.apply(pipelines[3], [(folders[0], 1.0), (folders[1], -0.5)])
    base, one, two, both = (pipeline.state_dict() for pipeline in pipelines)
    for name, value in both.items():
        torch.testing.assert_close(value, one[name] - 0.5 * (two[name] - base[name]), rtol=1e-4, atol=1e-6)


def test_several_adapters_beside_the_weights_do_what_merged_ones_do(fresh, saved):
    adapters = [(SavedAdapter.open(saved("one", 1)[0]), 0.5), (SavedAdapter.open(saved("two", 2)[0]), 2.0)]
    merged, beside = fresh(), fresh()
    lora.apply(merged, adapters)
    lora.apply(beside, adapters, merged=False)
    torch.testing.assert_close(hidden(beside), hidden(merged), rtol=1e-5, atol=1e-5)
    assert any(lora.is_adapter(name) for name in beside.state_dict())


def test_dora_is_neither_scaled_nor_added(fresh, saved):
    dora, other = SavedAdapter.open(saved("dora", dora=True)[0]), SavedAdapter.open(saved("lora")[0])
    for adapters in ([(dora, 0.5)], [(dora, 1.0), (other, 1.0)]):
        with pytest.raises(ConfigError, match="use it alone"):
            lora.apply(fresh(), adapters)


def test_an_adapter_holds_its_own_numbers_alone(fresh, saved):
    adapter = SavedAdapter.open(saved("one", rank=2)[0])
    layers = [module for name, module in fresh().named_modules() if name in lora.adapted_layers(fresh(), LAYERS)]
    assert adapter.parameters == sum(2 * (layer.in_features + layer.out_features) for layer in layers)
    assert (adapter.folder / lora.WEIGHTS).stat().st_size < 4 * adapter.parameters + 40_000


def test_peft_itself_reads_an_adapter(fresh, saved):
    import peft

    folder, expected = saved("one")
    assert json.loads((folder / lora.CONFIG).read_text())["peft_type"] == "LORA"
    pipeline = fresh()
    peft.PeftModel.from_pretrained(pipeline, str(folder))
    torch.testing.assert_close(hidden(pipeline), expected, rtol=1e-5, atol=1e-5)


def test_a_new_word_comes_with_its_embedding(fresh, saved):
    folder, expected = saved("one", words=("rocket", "rockets"))
    for merged in (False, True):
        pipeline = fresh()
        known = len(pipeline.template.words.known)
        lora.apply(pipeline, [(SavedAdapter.open(folder), 1.0)], merged=merged)
        assert len(pipeline.template.words.known) == known + 2
        assert len(pipeline.template.words.encode("rocket")) == 1
        torch.testing.assert_close(hidden(pipeline, "rocket"), expected, rtol=1e-5, atol=1e-5)


def test_words_of_two_adapters_stand_side_by_side(fresh, saved):
    one, two = (SavedAdapter.open(saved(word, seed, words=(word,))[0]) for seed, word in enumerate(("rocket", "spoon")))
    pipeline = fresh()
    lora.apply(pipeline, [(one, 1.0), (two, 1.0)])
    embedding = pipeline.unified.backbone.language_model.get_input_embeddings().weight
    for adapter, word in ((one, "rocket"), (two, "spoon")):
        tensors, _ = checkpoint.read_tensors(adapter.folder / lora.WEIGHTS)
        (row,) = next(value for name, value in tensors.items() if name.endswith(lora.ROWS))
        assert torch.equal(embedding[pipeline.template.words.encode(word)[0]], row)


def test_parts_that_were_trained_whole_come_along(fresh, saved):
    folder, _ = saved("one", trained=("unified.head.queries",))
    base, pipeline = fresh(), fresh()
    lora.apply(pipeline, [(SavedAdapter.open(folder), 0.5)])
    tensors, _ = checkpoint.read_tensors(folder / lora.WHOLE_PARTS)
    halfway = (base.unified.head.queries + tensors["unified.head.queries"]) / 2
    torch.testing.assert_close(pipeline.unified.head.queries, halfway)


def test_a_base_of_other_sizes_is_refused(fresh, saved, tiny):
    text = replace(tiny.model.unified.backbone.text, intermediate_size=64)
    backbone = replace(tiny.model.unified.backbone, text=text)
    other = replace(tiny.model, name="wider", unified=replace(tiny.model.unified, backbone=backbone))
    with pytest.raises(CheckpointError, match=r"trained on tiny and does not fit wider: .* is \[.*\], not \[.*\]"):
        lora.apply(fresh(other), [(SavedAdapter.open(saved("one")[0]), 1.0)])


def test_what_is_no_adapter_is_refused(saved, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no adapter_config\.json"):
        SavedAdapter.open(tmp_path)
    folder, _ = saved("one")
    (folder / lora.CONFIG).write_text('{"peft_type": "IA3"}')
    with pytest.raises(CheckpointError, match="IA3"):
        SavedAdapter.open(folder)


def test_targets_that_name_no_layer_are_refused(fresh):
    with pytest.raises(ConfigError, match=r"targets names unified\.tail"):
        lora.add(fresh(), AdapterConfig(targets=(*LAYERS, "unified.tail")))


def test_targets_may_be_globs(fresh):
    names = lora.adapted_layers(fresh(), ("unified.backbone.language_model.layers.*.self_attn",))
    assert len(names) == 2 * 4
    assert all("self_attn" in name for name in names)


def test_words_beyond_the_free_embeddings_are_refused(fresh):
    with pytest.raises(ConfigError, match=r"200 new words .* free embeddings"):
        fresh().know([f"w{'x' * number}" for number in range(200)])


def test_a_tokenizer_stays_as_it_is_when_another_is_extended(words):
    before = copy.copy(words.known)
    assert words.extended(["rocket"]).known != before
    assert words.known == before
