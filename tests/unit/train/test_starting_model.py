"""Runs that begin with the weights of others: of a whole model, of parts, and with words that are new to it."""

import json
from dataclasses import replace
from shutil import rmtree

import pytest
import torch
from PIL import Image
from published_toy import text_backbone
from transformers import LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from blip3o.api import BLIP3o
from blip3o.config import from_dict, to_dict
from blip3o.data.sources.image_folder import ImageFolderConfig
from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.tokenizer import CONTROL, adopt, make
from blip3o.train import starting_model
from blip3o.train.recipe import Recipe
from blip3o.train.starting_model import StartConfig
from blip3o.train.trainer import Trainer
from blip3o.weights import checkpoint, lora
from blip3o.weights.lora import AdapterConfig

TARGETS = ("unified.backbone.language_model.layers", "unified.head.denoiser.layers")


@pytest.fixture
def start(tiny, words, awake, tmp_path):
    """The folder of a model with random weights."""
    checkpoint.save(awake(Pipeline(tiny.model, words)), tmp_path / "start", dtype=None)
    return tmp_path / "start"


@pytest.fixture
def pictures(tmp_path):
    """Two pictures with captions, one with a word that the picture book lacks."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for color, caption in (("red", "a red rocket in the snow"), ("blue", "a blue dog in the snow")):
        Image.new("RGB", (72, 72), color).save(folder / f"{color}.png")
        (folder / f"{color}.txt").write_text(caption)
    return folder


@pytest.fixture
def adapting(tiny, start, pictures):
    """Gives a recipe that trains an adapter on the start."""

    def recipe(dropout=0.0, steps=3, save_every=0, **changes):
        stage = next(stage for stage in tiny.stages if stage.name == "instruction")
        objective = replace(stage.objective, draw={"draw": 1.0}, text={"caption": 1.0}, text_batch_size=2)
        adapter = AdapterConfig(rank=2, targets=TARGETS, dropout=dropout)
        stage = replace(stage, objective=objective, adapter=adapter, trains=(), steps=steps, batch_size=2)
        stage = replace(stage, **changes)
        values = {"source": ImageFolderConfig(path=str(pictures)), "start": StartConfig(model=str(start))}
        return replace(tiny, **values, stages=(stage,), save_every=save_every)

    return recipe


def ready(recipe, folder):
    return Trainer(recipe, folder, lambda progress: None)


def test_a_run_takes_the_weights_and_the_sizes_of_a_model(tiny, start, tmp_path):
    values = to_dict(tiny) | {"start": {"model": str(start)}}
    del values["model"]
    recipe = from_dict(Recipe, values)
    assert recipe.model == replace(tiny.model, name=recipe.name)
    taken, held = ready(recipe, tmp_path / "run").pipeline.state_dict(), checkpoint.load(start)[0].state_dict()
    assert all(torch.equal(taken[name], value) for name, value in held.items())


def test_a_run_may_begin_with_a_published_model(tiny, published):
    values = to_dict(replace(tiny, stages=tiny.stages[-1:])) | {"start": {"model": str(published)}}
    del values["model"]
    config = starting_model.config_of(str(published))
    assert from_dict(Recipe, values).model == replace(config, name="tiny")
    words = starting_model.tokenizer_of(StartConfig(model=str(published)))
    assert words is not None
    pipeline = Pipeline(config, words)
    starting_model.fill(pipeline, StartConfig(model=str(published)))
    held = BLIP3o.load(published, dtype="float32").pipeline.state_dict()
    assert all(torch.equal(value, held[name]) for name, value in pipeline.state_dict().items())


def test_a_recipe_without_sizes_and_start_is_refused(tiny):
    values = to_dict(tiny)
    del values["model"]
    with pytest.raises(ConfigError, match="model is missing"):
        from_dict(Recipe, values)


def test_a_start_of_other_sizes_is_refused(tiny, start, tmp_path):
    sampling = replace(tiny.model.sampling, steps=3)
    start = StartConfig(model=str(start))
    ready(replace(tiny, model=replace(tiny.model, sampling=sampling), start=start), tmp_path / "a")
    denoiser = replace(tiny.model.unified.denoiser, depth=1)
    model = replace(tiny.model, unified=replace(tiny.model.unified, denoiser=denoiser))
    with pytest.raises(ConfigError, match=r"does not fit the recipe's model: unified\.head\.denoiser\.layers\.1"):
        ready(replace(tiny, model=model, start=start), tmp_path / "b")


@pytest.mark.parametrize(
    "values", [{"model": "a", "backbone": "b"}, {"model": "a", "vision": "b"}, {"model": "a", "tokenizer": "b"}]
)
def test_a_whole_start_and_parts_exclude_each_other(values):
    with pytest.raises(ConfigError, match=r"start\.model"):
        StartConfig(**values)


@pytest.mark.parametrize("kind", ["llama3", "qwen3"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_backbone_of_the_hub_comes_with_its_tokenizer(tiny, tmp_path, kind, tied):
    network, words = {"llama3": LlamaForCausalLM, "qwen3": Qwen3ForCausalLM}[kind], make(("red", "dog"))
    theirs, vision = tmp_path / "theirs", tmp_path / "vision"
    config = text_backbone(kind, len(words) + 8, tied)
    facts = config.text.published() | {"tie_word_embeddings": tied}
    lm = network(network.config_class(**facts))
    lm.save_pretrained(theirs)
    save_without_controls(words, theirs)
    sizes = config.vision.published().to_dict()
    SiglipVisionModel(SiglipVisionConfig(**sizes)).save_pretrained(vision)

    pipeline = pipeline_of(tiny, config, adopt(theirs))
    start = StartConfig(backbone=str(theirs), vision=str(vision))
    starting_model.fill(pipeline, start)
    own, held = pipeline.unified.backbone.state_dict(), lm.state_dict()
    for name, value in own.items():
        if name.startswith("language_model.layers"):
            assert torch.equal(value, held[f"model.{name.removeprefix('language_model.')}"])
    kept = adopt(theirs).tokens_of(theirs)
    rows = held["model.embed_tokens.weight"]
    assert torch.equal(own["language_model.embed_tokens.weight"][kept], rows[kept])
    added = pipeline.template.words.control["[IMG]"]
    assert added not in kept
    torch.testing.assert_close(own["language_model.embed_tokens.weight"][added], rows[kept].mean(0))
    head = held["model.embed_tokens.weight" if tied else "lm_head.weight"]
    assert torch.equal(pipeline.unified.backbone.logits(torch.eye(32)).T[kept], head[kept])
    tower = SiglipVisionModel.from_pretrained(vision).state_dict()
    assert any(torch.equal(own[f"visual.tower.{name.removeprefix('vision_model.')}"], tower[name]) for name in tower)


def save_without_controls(words, folder):
    """A tokenizer that knows no picture."""
    blind = json.loads(words.tokenizer.backend_tokenizer.to_str())
    kept = [token for token in blind["model"]["vocab"] if token not in CONTROL[8:]]
    blind["model"]["vocab"] = {token: number for number, token in enumerate(kept)}
    added = [token for token in blind["added_tokens"] if token["content"] in kept]
    blind["added_tokens"] = [token | {"id": kept.index(token["content"])} for token in added]
    (folder / "tokenizer.json").write_text(json.dumps(blind))


def pipeline_of(tiny, backbone_config, words):
    unified = replace(tiny.model.unified, backbone=backbone_config)
    prompt = replace(
        tiny.model.prompt,
        picture_size=backbone_config.vision.image_size,
        patch_size=backbone_config.vision.patch_size,
        merge_size=1,
    )
    return Pipeline(replace(tiny.model, unified=unified, prompt=prompt), words)


def test_a_backbone_of_other_sizes_is_refused(tiny, tmp_path):
    words = make(("red", "dog"))
    config = text_backbone("qwen3", len(words) + 8, True)
    Qwen3ForCausalLM(Qwen3Config(**config.text.published())).save_pretrained(tmp_path)
    words.save(tmp_path)
    fewer = replace(config, text=replace(config.text, num_hidden_layers=1))
    with pytest.raises(CheckpointError, match=r"unknown: language_model\.layers\.1"):
        starting_model.fill(pipeline_of(tiny, fewer, words), StartConfig(backbone=str(tmp_path)))


def test_a_tower_for_a_backbone_that_has_its_own_is_refused(pipeline, tmp_path):
    with pytest.raises(ConfigError, match=r"start\.vision has an effect only"):
        starting_model.fill(pipeline, StartConfig(vision=str(tmp_path)))


def test_an_adapter_learns_and_the_weights_stay(adapting, start, tmp_path):
    trainer = ready(adapting(), tmp_path / "run")
    merged = trainer.run().state_dict()
    base = checkpoint.load(start)[0].state_dict()
    changed = {name for name, value in base.items() if not torch.equal(value, merged[name])}
    assert changed
    named = (*TARGETS, "unified.backbone.language_model.embed_tokens")
    assert all(name.startswith(named) for name in changed)
    kept = {path.name for path in (tmp_path / "run" / "stages" / "instruction").iterdir()}
    assert lora.WEIGHTS in kept
    assert checkpoint.WEIGHTS not in kept


def test_a_run_of_an_adapter_publishes_the_adapter_with_its_new_words(adapting, start, tmp_path):
    trainer = ready(adapting(learning_rate=1e-2), tmp_path / "run")
    trained = trainer.run()
    folder = trainer.publish()
    assert folder.name == "adapter"
    model = BLIP3o.load(start, adapters=[folder])
    assert model.about["adapters"] == str(folder)
    assert "rocket" in (model.pipeline.template.words.known or ())
    for name, value in model.pipeline.state_dict().items():
        torch.testing.assert_close(value, trained.state_dict()[name], rtol=0, atol=5e-3)
    assert model.generate("a red rocket in the snow")


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_state_of_an_adapter_goes_on_where_it_stopped(adapting, tmp_path, dropout):
    recipe = adapting(dropout, save_every=2, steps=4)
    whole = ready(recipe, tmp_path / "whole").run().state_dict()
    steps = ready(recipe, tmp_path / "broken").begin(recipe.stages[0])
    for _ in range(2):
        steps.step()
    steps.save()
    torch.rand(7)  # whatever else was drawn
    resumed = ready(recipe, tmp_path / "broken").run().state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_dropout_changes_training_alone(adapting, tmp_path):
    plain, dropped = (ready(adapting(share), tmp_path / str(share)).run() for share in (0.0, 0.5))
    assert any(not torch.equal(a, b) for a, b in zip(plain.parameters(), dropped.parameters(), strict=True))
    trainer = ready(adapting(0.5), tmp_path / "eval")
    lora.add(trainer.pipeline, trainer.recipe.stages[0].adapter or AdapterConfig())
    trainer.pipeline.eval()
    ids = torch.tensor([[5, 6, 7]])
    one, two = (trainer.pipeline.unified.backbone.embed(ids) for _ in range(2))
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert torch.equal(trainer.pipeline.unified.backbone(one, mask), trainer.pipeline.unified.backbone(two, mask))


def test_a_finished_run_needs_its_start_no_more(tiny, start, tmp_path):
    stages = tuple(replace(stage, steps=1) for stage in tiny.stages if stage.name in ("tower", "generation"))
    recipe = replace(tiny, start=StartConfig(model=str(start)), stages=stages)
    ready(recipe, tmp_path / "run").run("tower")
    rmtree(start)
    ready(recipe, tmp_path / "run").run()


def test_adapters_of_stages_are_published_as_one(adapting, start, tmp_path):
    recipe = adapting(learning_rate=1e-2)
    (last,) = recipe.stages
    objective = {"kind": "decoder", "feature_noise": 0.1}
    adapter = replace(last.adapter, targets=("space.decoder.unet",))
    first = replace(last, name="decoder", objective=objective, adapter=adapter)
    trainer = ready(replace(recipe, stages=(first, last)), tmp_path / "run")
    trained = trainer.run().state_dict()
    model = BLIP3o.load(start, adapters=[trainer.publish()])
    base = checkpoint.load(start)[0].state_dict()
    for name, value in model.pipeline.state_dict().items():
        torch.testing.assert_close(value, trained[name], rtol=0, atol=5e-3)
    changed = {name for name, value in base.items() if not torch.equal(value, trained[name])}
    assert {name.split(".")[0] for name in changed} == {"space", "unified"}
    again = ready(replace(recipe, stages=(first, last)), tmp_path / "run").run().state_dict()
    assert all(torch.equal(again[name], value) for name, value in trained.items())


def test_adapters_that_cannot_be_one_are_refused(tiny):
    one, other = (AdapterConfig(targets=(target,)) for target in TARGETS)
    stages = tiny.stages[-2:]

    def with_adapters(*adapters):
        replace(tiny, stages=tuple(replace(stage, adapter=own) for stage, own in zip(stages, adapters, strict=True)))

    with_adapters(one, other)
    with_adapters(None, other)
    for adapters, said in (
        ((one, None), "follows one with"),
        ((one, replace(other, rank=3)), "equal rank"),
        ((one, one), "same targets"),
    ):
        with pytest.raises(ConfigError, match=said):
            with_adapters(*adapters)


def test_parts_are_named_by_globs(pipeline):
    from torch import nn

    from blip3o.train.optim import trained

    names = trained(pipeline, nn.Identity(), ("unified.backbone.language_model.layers.*.self_attn",))
    assert names
    assert all(".self_attn." in name for name in names)
    trained(pipeline, nn.Identity(), ("unified",))
