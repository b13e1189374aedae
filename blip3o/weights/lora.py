"""Adapters: small matrices beside the weights of a model that stays as it is, by peft, in files of peft's own layout.

LoRA (arXiv 2106.09685): W x becomes W x + (alpha / rank) B A x, where only A [rank, in] and B [out, rank] learn; B
begins with 0. DoRA (arXiv 2402.09353) also learns the length of every row of the sum. An adapter may bring words that
the closed vocabulary of its model lacks, each with an embedding of its own, and parts that were trained whole.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from blip3o.config import check
from blip3o.errors import CheckpointError, ConfigError, brief
from blip3o.files import make_folder
from blip3o.pipeline.parts import belongs
from blip3o.pipeline.pipeline import Pipeline
from blip3o.weights import checkpoint
from blip3o.weights.folders import ADAPTER_CONFIG, ADAPTER_WEIGHTS, Shapes, existing, read_json, shapes_in, write_json
from blip3o.weights.safetensors_files import shapes_of

if TYPE_CHECKING:
    from peft import LoraConfig, LoraModel
else:  # opened when an adapter is
    LoraConfig = LoraModel = object

CONFIG, WEIGHTS, WHOLE_PARTS = ADAPTER_CONFIG, ADAPTER_WEIGHTS, "trained_parts.safetensors"
"""The third holds parts that were trained whole, where there are any."""
PREFIX = "base_model.model."
"""How the names of tensors begin in peft's files."""
ROWS = ".token_adapter.trainable_tokens_delta"
"""How the name of the embeddings of new words ends in peft's files."""
ADAPTED = (nn.Linear, nn.Conv2d)
"""The layers that may get an adapter."""
TRAINED = "trained"
"""peft's name for the adapter that learns."""


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Which layers get an adapter, and how large it is."""

    rank: int = 8
    """Width of A and B."""
    alpha: float = 16.0
    """The adapter's part is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Share of an adapter's inputs that are 0 in training, 0 or more and less than 1."""
    targets: tuple[str, ...] = ("unified.backbone.language_model.layers", "unified.head.denoiser.layers")
    """The linear layers and convolutions, by the beginnings of their names or globs of these."""
    dora: bool = False
    """DoRA instead of LoRA."""

    def __post_init__(self) -> None:
        check(
            (self.rank > 0, f"rank is {self.rank}, expected 1 or more"),
            (self.alpha > 0, f"alpha is {self.alpha}, expected more than 0"),
            (0 <= self.dropout < 1, f"dropout is {self.dropout}, expected 0 or more and less than 1"),
            (bool(self.targets), "targets is empty: name the layers that get an adapter"),
        )


@dataclass(frozen=True, kw_only=True)
class SavedAdapter:
    """An adapter in its folder; its tensors are not read yet."""

    folder: Path
    config: Mapping[str, Any]
    """What adapter_config.json says."""
    shapes: Shapes
    """Of its tensors, without peft's `PREFIX`."""
    about: Mapping[str, Any]
    """The facts written with them: the `base` it was trained on, its new `words`, and of which run it is."""
    parts: Shapes = field(default_factory=dict)
    """Of the parameters that were trained whole."""

    @classmethod
    def open(cls, folder: Path) -> "SavedAdapter":
        """Read all but the tensors. Raises CheckpointError for a folder that holds no adapter of this kind."""
        config = read_json(existing(folder / CONFIG))
        if config.get("peft_type") != "LORA":
            raise CheckpointError(f"{folder} is an adapter of kind {config.get('peft_type')}, expected LORA")
        shapes = {name.removeprefix(PREFIX): shape for name, shape in shapes_in([folder / WEIGHTS]).items()}
        parts = shapes_in([folder / WHOLE_PARTS]) if (folder / WHOLE_PARTS).is_file() else {}
        return cls(
            folder=folder, config=config, shapes=shapes, about=checkpoint.about_in(folder / WEIGHTS), parts=parts
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The words that it brings."""
        return tuple(map(str, self.about.get("words", ())))

    @property
    def dora(self) -> bool:
        """Whether it is DoRA."""
        return bool(self.config.get("use_dora"))

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return sum(torch.Size(shape).numel() for shape in (*self.shapes.values(), *self.parts.values()))

    def check_base(self, pipeline: Pipeline) -> None:
        """Raise CheckpointError where it was trained on a model of other sizes."""
        modules, held = dict(pipeline.named_modules()), shapes_of(pipeline.state_dict())
        expected: dict[str, tuple[int, ...]] = {}
        for name, shape in self.shapes.items():
            if name.endswith(ROWS):
                continue
            place, _, matrix = name.partition(".lora_")
            layer = modules.get(place)
            if isinstance(layer, ADAPTED):
                rows, *columns = layer.weight.shape
                sizes = {"A": (shape[0], *columns), "B": (rows, *shape[1:])}
                expected[name] = sizes.get(matrix[0], shape)
        expected |= {name: held[name] for name in self.parts if name in held}
        own = {name: shape for name, shape in self.shapes.items() if not name.endswith(ROWS)} | dict(self.parts)
        if own != expected:
            strange = next(name for name, shape in own.items() if expected.get(name) != shape)
            raise CheckpointError(
                f"the adapter {self.folder} was trained on {self.about.get('base', 'another model')} and does not fit "
                f"{pipeline.config.name}: {strange} is {list(own[strange])}, not {list(expected.get(strange, ()))}: "
                "name its own base with --model"
            )


# --- training ---------------------------------------------------------------------------------------------------------


def add(pipeline: Pipeline, config: AdapterConfig, words: Sequence[str] = ()) -> LoraModel:
    """Give the layers of a pipeline an adapter that changes nothing yet, and embeddings to words that the tokenizer has
    just got; gives what `merge` takes. Raises ConfigError for targets that name no linear layer."""
    layers = adapted_layers(pipeline, config.targets)
    rows = [pipeline.template.words.encode(word)[0] for word in words]
    with torch.no_grad():
        for name in _embeddings(pipeline) if rows else ():
            weight = _weight(pipeline, name)
            weight[rows] = weight[: min(rows)].mean(0)  # as the published training begins new tokens
    peft_config = _peft().LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        use_dora=config.dora,
        target_modules=layers,
        trainable_token_indices=dict.fromkeys(_embeddings(pipeline), rows) if rows else None,
    )
    tuner = _peft().LoraModel(pipeline, peft_config, TRAINED)
    pipeline.unified.backbone.tie()
    return tuner


def adapted_layers(pipeline: nn.Module, patterns: Sequence[str]) -> list[str]:
    """The names of the linear layers and convolutions that patterns name. Raises ConfigError for a pattern that names
    none."""
    names = [name for name, module in pipeline.named_modules() if isinstance(module, ADAPTED)]
    idle = [pattern for pattern in patterns if not any(belongs(name, pattern) for name in names)]
    if idle:
        raise ConfigError(
            f"targets names {', '.join(idle)}, where no linear layer or convolution is: see `blip3o info`"
        )
    return [name for name in names if any(belongs(name, pattern) for pattern in patterns)]


def is_adapter(name: str) -> bool:
    """Whether a parameter of a pipeline belongs to its adapter."""
    return ".lora_" in name or ROWS in name


def plain(name: str) -> str:
    """The name that a parameter of a pipeline with an adapter has without one."""
    return name.replace(".base_layer.", ".").replace(".token_adapter.", ".")


def save(
    pipeline: Pipeline,
    folder: Path,
    *,
    trained: Iterable[str],
    about: Mapping[str, object],
) -> None:
    """Write the adapter of a pipeline and, of the parameters `trained`, those that are no part of it; never half of it:
    adapter_model.safetensors comes last."""
    state = _peft().get_peft_model_state_dict(pipeline, adapter_name=TRAINED)
    parameters = dict(pipeline.named_parameters())
    parts = {plain(name): parameters[name] for name in trained if name in parameters and not is_adapter(name)}
    make_folder(folder)
    if parts:
        checkpoint.write_tensors(folder / WHOLE_PARTS, parts)
    config = pipeline.__dict__["peft_config"][TRAINED].to_dict()
    base = str(about.get("base", pipeline.config.name))
    listed = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    write_json(folder / CONFIG, listed | {"base_model_name_or_path": base, "inference_mode": True})
    named = {f"{PREFIX}{name}": value for name, value in state.items()}
    checkpoint.write_tensors(folder / WEIGHTS, named, {"base": base} | dict(about))


def joined(folders: Sequence[Path], place: Path) -> Path:
    """Write the adapters of stages that follow each other as one, in bfloat16, as checkpoints are shared; gives its
    folder. Each has layers of its own; the last names the words."""
    make_folder(place)
    configs = [read_json(folder / CONFIG) for folder in folders]
    targets = sorted({name for config in configs for name in config["target_modules"]})
    write_json(place / CONFIG, configs[-1] | {"target_modules": targets})
    for name in (WHOLE_PARTS, WEIGHTS):
        held = [checkpoint.read_tensors(folder / name) for folder in folders if (folder / name).is_file()]
        tensors = {key: value.to(torch.bfloat16) for one, _ in held for key, value in one.items()}
        if tensors:
            checkpoint.write_tensors(place / name, tensors, held[-1][1])
    return place


def merge(pipeline: Pipeline, tuner: LoraModel) -> None:
    """Add the adapters of a pipeline to its weights, which have their own names again."""
    tuner.merge_and_unload()
    pipeline.unified.backbone.tie()


# --- use --------------------------------------------------------------------------------------------------------------


def apply(pipeline: Pipeline, adapters: Sequence[tuple[SavedAdapter, float]], *, merged: bool = True) -> None:
    """Put adapters on a pipeline, each with its weight (1 is as it was trained): added to its weights, or beside them.

    Raises CheckpointError for an adapter of another base, ConfigError for DoRA with a weight other than 1 or together
    with others, for its sums cannot be scaled or added.
    """
    for adapter, weight in adapters:
        adapter.check_base(pipeline)
        if adapter.dora and (weight != 1 or len(adapters) > 1):
            raise ConfigError(
                f"{adapter.folder} is DoRA, which neither scales nor adds up: use it alone, with weight 1"
            )
    tuner, names = None, [f"adapter{number}" for number in range(len(adapters))]
    for name, (adapter, weight) in zip(names, adapters, strict=True):
        tuner = _apply_one(pipeline, tuner, adapter, weight, name)
        if merged and tuner is not None:
            merge(pipeline, tuner)
            tuner = None
    for layer in _lora_layers(pipeline):
        layer.set_adapter([name for name in names if name in layer.scaling], inference_mode=True)
    pipeline.requires_grad_(False)


def _apply_one(
    pipeline: Pipeline, tuner: LoraModel | None, adapter: SavedAdapter, weight: float, name: str
) -> LoraModel | None:
    """Put one more adapter beside the layers, as `name`, by the `tuner` of those that are there."""
    tensors, _ = checkpoint.read_tensors(adapter.folder / WEIGHTS)
    state = {key.removeprefix(PREFIX): value for key, value in tensors.items()}
    rows = {key.removesuffix(ROWS): state.pop(key) for key in list(state) if key.endswith(ROWS)}
    _take_words(pipeline, adapter.words, rows)
    _take_parts(pipeline, adapter, weight)
    peft = _peft()
    try:
        config = peft.LoraConfig.from_pretrained(str(adapter.folder))
    except Exception as error:  # whatever the library makes of a file that somebody changed
        raise CheckpointError(f"{adapter.folder / CONFIG} is no config of an adapter: {brief(error)}") from error
    config.trainable_token_indices, config.inference_mode = None, True
    config.target_modules = {key.partition(".lora_")[0] for key in state}
    if tuner is None:
        tuner = peft.LoraModel(pipeline, config, name)
    else:
        tuner.peft_config[name] = config
        tuner.inject_adapter(pipeline, name)
    peft.set_peft_model_state_dict(pipeline, state, adapter_name=name)
    for layer in _lora_layers(pipeline):
        if name in layer.scaling:
            layer.set_scale(name, weight)
    return tuner


def _take_words(pipeline: Pipeline, words: Sequence[str], rows: Mapping[str, Tensor]) -> None:
    """Let the tokenizer and the embeddings know the words of an adapter, one row for each."""
    if not words:
        return
    pipeline.know(words)
    tokens = [pipeline.template.words.encode(word)[0] for word in words]
    with torch.no_grad():
        for name, values in rows.items():
            weight = _weight(pipeline, name)
            weight[tokens] = values.to(weight)


@torch.no_grad()
def _take_parts(pipeline: Pipeline, adapter: SavedAdapter, weight: float) -> None:
    """Move parameters that were trained whole by a share of the way to their trained values."""
    if not adapter.parts:
        return
    tensors, _ = checkpoint.read_tensors(adapter.folder / WHOLE_PARTS)
    own = {plain(name): value for name, value in pipeline.named_parameters()}
    for name, value in tensors.items():
        own[name].lerp_(value.to(own[name]), weight)


def _embeddings(pipeline: Pipeline) -> list[str]:
    """The names of the layers that have a row for each token."""
    backbone = pipeline.unified.backbone
    layers = [backbone.language_model.get_input_embeddings()]
    if isinstance(backbone.lm_head, nn.Linear):
        layers.append(backbone.lm_head)
    return [name for name, module in pipeline.named_modules() if any(module is layer for layer in layers)]


def _weight(pipeline: Pipeline, layer: str) -> Tensor:
    weight = pipeline.get_submodule(layer).weight
    assert isinstance(weight, Tensor)
    return weight


def _lora_layers(pipeline: Pipeline) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (module for module in pipeline.modules() if isinstance(module, LoraLayer))


def _peft() -> Any:
    """The library. Raises ConfigError where it is not installed."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of kernels that nobody asked for
    try:
        import peft
    except ModuleNotFoundError:
        raise ConfigError("adapters take peft: pip install 'blip3o[train]'") from None
    return peft
