"""Recipes: what a training run is, as values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from blip3o.config import check, to_dict
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError
from blip3o.pipeline.pipeline import ModelConfig
from blip3o.plugins import find, read_config
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.objectives.objective import Objective
from blip3o.train.parallel import ParallelConfig
from blip3o.train.schedule import CosineScheduleConfig, OptimizerConfig, ScheduleConfig
from blip3o.train.starting_model import StartConfig, config_of
from blip3o.train.states import KeptConfig
from blip3o.train.trackers import TRACKERS
from blip3o.train.validation import ValidationConfig
from blip3o.weights.lora import AdapterConfig


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run."""

    name: str
    objective: Any
    """What is minimised: the config of an objective (train/objectives/objective.py), found by its `kind`."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Parts that begin the stage with the weights of others: the name of a part -> that of the other, such as
    `unified.backbone.image_experts: unified.backbone.language_model`."""
    trains: tuple[str, ...]
    """Parts of the model that learn, by the beginnings of their parameters' names or by globs of these, such as
    `unified.backbone.language_model.layers.*.self_attn`; empty where an adapter learns alone."""
    steps: int
    batch_size: int
    """Samples in one step."""
    micro_batch_size: int = 0
    """Samples that run through the networks together at most, the gradients of which are added up; 0 is any number."""
    learning_rate: float
    warmup: int = 100
    """Steps over which the learning rate rises."""
    weight_decay: float = 0.01
    ema: float = 0.999
    """Decay per step of the average of the weights that the stage ends with."""
    clip: float = 1.0
    """Largest norm of a step's gradient."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=CosineScheduleConfig)
    """How the learning rate goes after its warmup."""
    checkpointing: bool = False
    """Whether each layer runs once more for its gradient: less memory for more arithmetic (train/regions.py)."""
    compile: bool = False
    """Whether each layer is compiled by itself: a C++ compiler must be there, on a GPU Triton."""
    adapter: AdapterConfig | None = None
    """Small matrices that learn beside the weights, which stay as they are; only in the last stages. None is none."""

    def __post_init__(self) -> None:
        fault = _read_in_place(self, "objective", OBJECTIVES, Objective)
        kept = () if fault else self.objective.frozen
        frozen = sorted({part for part in kept for beginning in self.trains if _share(beginning, part)})
        check(
            (not fault, fault),
            (self.steps > 0, f"steps is {self.steps}, expected 1 or more"),
            (self.batch_size >= 0, f"batch_size is {self.batch_size}, expected 0 or more"),
            (self.micro_batch_size >= 0, f"micro_batch_size is {self.micro_batch_size}, expected 0 or more"),
            (self.learning_rate > 0, f"learning_rate is {self.learning_rate}, expected more than 0"),
            (0 <= self.ema < 1, f"ema is {self.ema}, expected 0 or more and less than 1"),
            (self.clip > 0, f"clip is {self.clip}, expected more than 0"),
            (self.warmup >= 0, f"warmup is {self.warmup}, expected 0 or more"),
            (self.weight_decay >= 0, f"weight_decay is {self.weight_decay}, expected 0 or more"),
            (bool(self.trains or self.adapter), "trains is empty: name the parts that learn"),
            (
                bool(fault) or not frozen,
                f"{', '.join(frozen)} may not learn where conditions are kept that they made: leave them out of trains",
            ),
            *(() if fault else self.objective.claims(self.batch_size)),
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: the model, its samples, its stages in order."""

    name: str
    description: str
    """Command, hardware, minutes and expected result."""
    model: ModelConfig = field(default=cast("ModelConfig", None))
    """May be left out where `start.model` is named, whose sizes are then taken."""
    source: Any
    """Where the samples come from: the config of a source (data/sources/source.py), found by its `kind`."""
    stages: tuple[Stage, ...]
    benchmark: str = ""
    """What scores the model while it trains: a benchmark's name or `module:Class`; empty is nothing."""
    space_from: str = ""
    """A model whose encoder and decoder the run takes and keeps, as BLIP3-o does with EVA-CLIP and SDXL."""
    features: str = ""
    """The folder of `blip3o data cache` with the features of the source's pictures; empty: the run encodes them."""
    seed: int = 0
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Arithmetic of the matrix products; weights and optimizer are always float32."""
    score_every: int = 0
    """Steps between sample grids and scores within a stage; 0 is only at its end."""
    save_every: int = 250
    """Steps between saved states."""

    skip_limit: float = 0.01
    """Share of the samples that may be skipped, for they cannot be read: more stop the run, with a report."""
    save_every_minutes: float = 0.0
    """Minutes between saved states, beside `save_every`; 0 is none for the time's sake."""
    keep: KeptConfig = field(default_factory=KeptConfig)
    """How many states are kept, and the best models by a score."""
    workers: int = 0
    """Threads that read the samples of the steps to come (data/loader.py); 0 is none: the step reads its own."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How several processes, started by torchrun, share the model."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    prompts: tuple[str, ...] = ()
    """What is drawn with every score, to be looked at; empty takes some requests as the stage learns them."""
    trackers: tuple[str, ...] = ()
    """Who else hears of losses and scores: `tensorboard`, `wandb`, `trackio`."""
    start: StartConfig = field(default_factory=StartConfig)
    """The model, or the parts of one, that training begins with."""
    frozen: Literal["float32", "bfloat16"] = "float32"
    """How weights are kept that do not learn: in bfloat16 they take half the memory, and go with this precision."""

    def __post_init__(self) -> None:
        fault = _read_in_place(self, "source", SOURCES, Source)
        check(
            (
                bool(self.model or self.start.model),
                "model is missing: give its sizes, or a start.model to take them from",
            )
        )
        if not self.model:
            object.__setattr__(self, "model", replace(config_of(self.start.model), name=self.name))
        names, space = [stage.name for stage in self.stages], self.model.space
        sizes = [part.size for part in (space.encoder, space.decoder) if part is not None]
        known = () if fault else find(self.source.kind, SOURCES, Source).tasks_of(self.source)
        unknown = sorted({*self.trackers} - TRACKERS.keys())
        strange = sorted({task for stage in self.stages for task in stage.objective.tasks} - {*known})
        encoding = [one.name for one in self.stages if any(_share(part, "space.encoder") for part in one.trains)]
        check(
            (not fault, fault),
            (
                set(sizes) <= {self.model.prompt.picture_size}
                or not any(stage.objective.shows_one_picture for stage in self.stages),
                f"model.prompt.picture_size is {self.model.prompt.picture_size}, encoder and decoder work at {sizes}: "
                "make them equal, training shows all of them one picture",
            ),
            (bool(fault) or not strange, f"no such tasks: {', '.join(strange)}; there are {', '.join(known)}"),
            (bool(names), "stages is empty: name at least one"),
            (
                not self.features or not encoding,
                f"features are kept in {self.features}, but stage {', '.join(encoding)} trains the encoder that made "
                "them: leave out one of the two",
            ),
            (self.frozen in ("float32", self.precision), "frozen bfloat16 goes with precision bfloat16: set both"),
            (
                not (self.start.model and self.space_from),
                "start.model brings its image space: leave space_from out",
            ),
            *self._adapters_fit(),
            (self.score_every >= 0, f"score_every is {self.score_every}, expected 0 or more"),
            (self.save_every >= 0, f"save_every is {self.save_every}, expected 0 or more"),
            (self.save_every_minutes >= 0, f"save_every_minutes is {self.save_every_minutes}, expected 0 or more"),
            (self.workers >= 0, f"workers is {self.workers}, expected 0 or more"),
            (0 <= self.skip_limit <= 1, f"skip_limit is {self.skip_limit}, expected 0 to 1"),
            (not unknown, f"no such trackers: {', '.join(unknown)}; there are {', '.join(TRACKERS)}"),
            (len(set(names)) == len(names), f"stages have equal names: {', '.join(names)}"),
        )

    def _adapters_fit(self) -> Iterator[tuple[bool, str]]:
        """For `check`: what must hold of the adapters of all stages."""
        adapters = [stage.adapter for stage in self.stages]
        own = [adapter for adapter in adapters if adapter is not None]
        targets = [target for adapter in own for target in adapter.targets]
        yield (
            adapters == [None] * (len(adapters) - len(own)) + own,
            "a stage without an adapter follows one with: an adapter belongs to the weights that it was trained on",
        )
        yield (
            len({replace(one, targets=("",), dropout=0.0) for one in own}) <= 1,
            "the adapters of the stages are one in the end: give them equal rank, alpha and dora",
        )
        yield (
            not own or self.parallel.shard == "none",
            "adapters are trained with whole weights in every process: set parallel.shard=none, not "
            f"{self.parallel.shard}",
        )
        yield len(targets) == len({*targets}), "two stages have adapters of the same targets: name each layer once"

    @staticmethod
    def upgraded(values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values of a recipe with a `book` and flat stages, as they were written first, in today's shape."""
        values = dict(values)
        if "book" in values:
            values["source"] = {**_BOOK, **values.get("source", {}), **values.pop("book")}
            values.setdefault("benchmark", "picturebook")
        if isinstance(stages := values.get("stages"), list | tuple):
            values["stages"] = [_upgraded(stage) if isinstance(stage, Mapping) else stage for stage in stages]
        return values

    @staticmethod
    def renamed(place: str) -> str:
        """A place, alone or with `=value`, under its name of today where it is one of such a recipe."""
        place = re.sub(r"^book\.", "source.", place)
        return re.sub(_FLAT_PLACE, lambda old: f"{old[1]}.objective.{_RENAMED.get(old[2], old[2])}", place)


def _share(one: str, other: str) -> bool:
    """Whether some parameter's name may begin with both; of a pattern, what stands before its first star."""
    one, other = (f"{part.partition('*')[0].rstrip('.')}." for part in (one, other))
    return one.startswith(other) or other.startswith(one)


PICTURES = "pictures"
"""What shipped recipes call the folder of the user's own data."""


def with_data(recipe: Recipe, folder: str) -> Recipe:
    """The recipe with a folder in place of `pictures`, where its source's paths name it. Raises ConfigError where they
    do not."""
    source = _moved(to_dict(recipe.source), folder)
    if source == to_dict(recipe.source):
        raise ConfigError(f"--data {folder} has no effect: no path of the recipe's source is, or lies in, {PICTURES}")
    return replace(recipe, source=source)


def _moved(values: Any, folder: str) -> Any:
    """Values of a source in which each `path` below `pictures` lies below the folder."""
    if not isinstance(values, Mapping):
        return values
    moved = {key: _moved(value, folder) for key, value in values.items()}
    path = moved.get("path")
    if isinstance(path, str) and (path == PICTURES or path.startswith(f"{PICTURES}/")):
        moved["path"] = folder + path.removeprefix(PICTURES)
    return moved


def _read_in_place(config: Any, field: str, registered: Mapping[str, str], base: type) -> str:
    """Replace the plain values in `field` by the plugin's config that they describe; gives their faults, or ""."""
    values = getattr(config, field)
    if not isinstance(values, Mapping | str | None):
        return ""
    try:
        object.__setattr__(config, field, read_config(values, registered, base, field))
    except ConfigError as error:
        return str(error)
    return ""


# --- recipes as they were written first -----------------------------------------------------------------------------

_BOOK = {"kind": "picturebook.source:Scenes"}
_KINDS = {
    "space": "picturebook.objectives:SpaceObjective",
    "tower": "picturebook.objectives:TowerObjective",
}
_FLAT = {
    "draw": {},
    "text": {},
    "text_batch_size": 0,
    "text_weight": 1.0,
    "feature_noise": 0.0,
    "telling_weight": 0.0,
}
"""Keys of an objective that stood in its stage -> what they were where nothing was said."""
_FLAT_PLACE = rf"^(stages\.[^.=]+)\.({'|'.join(_FLAT)})(?=[.=]|$)"
_RENAMED = {"telling_weight": "dense_caption_weight"}


def _upgraded(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stage with its objective's keys under `objective`."""
    objective = stage.get("objective")
    if isinstance(objective, str):
        objective = {"kind": _KINDS.get(objective, objective)}
    if not isinstance(objective, Mapping):
        return stage
    flat = {key: stage[key] for key in _FLAT if key in stage and stage[key] != _FLAT[key]}
    rest = {key: value for key, value in stage.items() if key not in _FLAT}
    return rest | {"objective": {**objective, **{_RENAMED.get(key, key): value for key, value in flat.items()}}}
