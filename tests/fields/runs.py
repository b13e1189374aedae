"""The configs of training: losses, weights, and what is written on the way."""

from dataclasses import replace

from blip3o.api import BLIP3o
from blip3o.picturebook.detector import training
from blip3o.picturebook.objectives import TowerObjectiveConfig
from blip3o.picturebook.source import ScenesConfig
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train import trainer as loop
from blip3o.train.objectives.autoencoder import AutoencoderObjectiveConfig
from blip3o.train.objectives.decoder import DecoderObjectiveConfig
from blip3o.train.starting_model import StartConfig
from blip3o.weights import checkpoint
from blip3o.weights.lora import AdapterConfig
from fields.case import TINY, Case, Change


def trained(config, world):
    """All that a run leaves and tells: losses, weights after each stage, whether its state was kept, how often it was
    scored, and what is published."""
    folder, seen = world.folder(), []
    if config.space_from:
        checkpoint.save(world.awake(Pipeline(config.model, world.words)), folder / "other")
        config = replace(config, space_from=str(folder / "other"))
    if config.start.model:
        checkpoint.save(world.awake(Pipeline(config.model, world.words)), folder / "start")
        config = replace(config, start=StartConfig(model=str(folder / "start")))

    def observe(progress):
        seen.append((progress.stage, progress.step, progress.losses, (folder / "state.safetensors").is_file()))

    trainer = loop.Trainer(config, folder, observe, lambda made, samples: seen.append(samples.name) or {})
    made = trainer.run()
    published = BLIP3o.load(trainer.publish())
    return (
        seen,
        dict(made.state_dict()),
        published.sampling,
        published.name,
        published.about,
        sorted(path.name for path in (folder / "stages").iterdir()),
    )


def pages(config, world):
    """The pictures of a run."""
    source = loop.Trainer(replace(RECIPE, source=config), world.folder(), lambda progress: None).source
    return [source.picture(index).pixels for index in range(len(source))]


def run_of(stage, world):
    return trained(replace(RECIPE, stages=(stage,)), world)


def first(*names, **changes):
    """The stages of these names with three quick steps."""
    quick = {"steps": 3, "warmup": 1} | changes
    return tuple(replace(stage, **quick) for stage in TINY.stages if stage.name in names)


(SPACE,) = first("encoder")
(WHOLE,) = first("instruction", batch_size=2, trains=("unified.head", "unified.backbone.language_model"))
RECIPE = replace(TINY, stages=first("generation", batch_size=2), save_every=0)
(TOWER,) = first("tower")


def run_with(stage):
    """Gives what a run of this stage leaves with another objective."""
    return lambda objective, world: run_of(replace(stage, objective=objective), world)


def run_of_adapter(adapter, world):
    """The weights after a stage in which this adapter learns alone."""
    folder = world.folder()
    checkpoint.save(world.awake(Pipeline(TINY.model, world.words)), folder / "start")
    start, stage = StartConfig(model=str(folder / "start")), replace(WHOLE, adapter=adapter, trains=())
    trainer = loop.Trainer(replace(RECIPE, start=start, stages=(stage,)), folder / "run", lambda progress: None)
    return dict(trainer.run().state_dict())


DECODER = replace(SPACE, trains=("space.decoder",))


def learned(config, world):
    """The losses of a judge, and what it learned."""
    losses = []
    detector = training.train(config, lambda step, loss: losses.append(loss))
    return losses, dict(detector.state_dict())


RUNS = (
    Case(TINY.source, pages, {"seed": "other", "stories": 5}),
    Case(
        WHOLE,
        run_of,
        {
            "name": "other",
            "objective": replace(WHOLE.objective, text_weight=0.5),
            "trains": ("unified.head",),
            "steps": 2,
            "batch_size": 3,
            "micro_batch_size": 1,
            "learning_rate": 2e-3,
            "warmup": 3,
            "weight_decay": 0.5,
            "ema": 0.0,
            "clip": 0.01,
            "adapter": AdapterConfig(rank=2),
        },
    ),
    Case(
        replace(WHOLE.objective, text_batch_size=2),
        run_with(WHOLE),
        {
            "draw": {"edit": 1.0},
            "text": {"caption_short": 1.0},
            "text_batch_size": 3,
            "text_weight": 0.5,
            "features": "online",
        },
    ),
    Case(SPACE.objective, run_with(SPACE), {"feature_noise": 0.5, "dense_caption_weight": 0.5}),
    Case(AutoencoderObjectiveConfig(), run_with(SPACE), {"feature_noise": 0.5}),
    Case(TowerObjectiveConfig(), run_with(TOWER), {}),
    Case(DecoderObjectiveConfig(feature_noise=0.1), run_with(DECODER), {"feature_noise": 0.5}),
    Case(
        RECIPE,
        trained,
        {
            "name": "other",
            "model": replace(TINY.model, sampling=replace(TINY.model.sampling, guidance=5.0), name="other"),
            "source": ScenesConfig(seed="other", stories=3),
            "stages": first("generation", batch_size=3),
            "space_from": "other",
            "start": StartConfig(model="other"),
            "frozen": Change("bfloat16", given={"precision": "bfloat16"}),
            "seed": 1,
            "precision": "bfloat16",
            "score_every": 1,
            "save_every": 1,
        },
    ),
    Case(
        AdapterConfig(rank=2),
        run_of_adapter,
        {"rank": 3, "alpha": 8.0, "dropout": 0.5, "targets": ("unified.head.denoiser.layers",), "dora": True},
    ),
    Case(
        training.TrainingConfig(steps=2, batch=1),
        learned,
        {"steps": 3, "batch": 2, "learning_rate": 1e-2, "weight_decay": 0.5, "seed": 1},
    ),
)
