"""A run before it begins: its networks built of shapes alone, and what they will take of memory, time and disk.

Parameters, floating-point operations and the tensors kept for the backward pass are counted by running each stage's
networks on tensors that have a shape and no numbers (torch's fake tensors): no formula to go wrong for a new network.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from blip3o.errors import ConfigError
from blip3o.model.backbones.backbone import CAUSAL, Backbone, PromptStates
from blip3o.model.decoders.pixel import PixelDecoder
from blip3o.model.encoders.encoder import NoEncoder
from blip3o.pipeline.parts import PARTS
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.tokenizer import make
from blip3o.train.objectives.unified import UnifiedObjectiveConfig
from blip3o.train.optim import Optimizer, linear_weights, trained
from blip3o.train.parallel import BUCKET_BYTES
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.sharding import blocks
from blip3o.train.starting_model import check_copies
from blip3o.train.steps import arithmetic

FLOAT_BYTES = 4
"""Of a weight, a gradient, a moment and an average: all are float32."""
SUMS = ("device", "host", "checkpointed")
"""Entries of `memory` that are no kind of their own."""
Run = Callable[[int], tuple[Tensor, int]]
"""Rows -> the loss of so many, and their tokens."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is not in the recipe and is to be assumed."""

    ranks: int = 1
    """Processes, each with a device of its own."""
    memory_bytes: int = 0
    """Of each device; 0 is unknown, and then nothing is refused."""
    flops_per_s: float = 0.0
    """What a device reaches, as a share of what it could; 0 is unknown, and then no hours are told."""
    prompt_tokens: int = 96
    """Tokens of a conversation before its slot."""
    text_tokens: int = 256
    """Tokens of a conversation that ends in words, of which a quarter is written by the model."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a micro-batch takes."""

    flops: int = 0
    """Forward and backward."""
    kept_bytes: int = 0
    """Of tensors that wait for the backward pass, weights left out."""
    checkpointed_bytes: int = 0
    """The same where each block keeps its input alone and runs anew."""
    tokens: int = 0
    """Of the backbone."""

    def __add__(self, other: "Work") -> "Work":
        return Work(
            flops=self.flops + other.flops,
            kept_bytes=max(self.kept_bytes, other.kept_bytes),  # one micro-batch forgets before the next
            checkpointed_bytes=max(self.checkpointed_bytes, other.checkpointed_bytes),
            tokens=self.tokens + other.tokens,
        )


def dry_run(recipe: Recipe, outlook: Outlook) -> dict[str, Any]:
    """All that is known of a run before it begins, as plain values; see `docs/json.md`.

    Raises ConfigError for a recipe whose parts do not fit together.
    """
    recipe.parallel.check_ranks(outlook.ranks)
    with torch.enable_grad(), FakeTensorMode():
        pipeline = Pipeline(recipe.model, make(["word"]))  # the words of a source change no size
        for stage in recipe.stages:
            check_copies(pipeline, stage.copies)
        stages = [stage_outlook(pipeline, recipe, stage, outlook) for stage in recipe.stages]
    hours = [stage["hours"] for stage in stages]
    return {
        "recipe": recipe.name,
        "ranks": outlook.ranks,
        "shard": recipe.parallel.shard,
        "parameters": sum(pipeline.sizes.values()),
        "source": source_outlook(recipe.source),
        "stages": stages,
        "hours": None if None in hours else sum(hours),
        "disk_bytes": disk_bytes(pipeline, recipe, stages),
    }


def check_fits(told: Mapping[str, Any], outlook: Outlook) -> None:
    """Raise ConfigError for a run that needs more memory than a device has, with what would help."""
    for stage in told["stages"]:
        needed = stage["memory"]["device"]
        if outlook.memory_bytes and needed > outlook.memory_bytes:
            raise ConfigError(
                f"stage {stage['stage']} needs {needed / 1e9:.4g} GB on each device, which has "
                f"{outlook.memory_bytes / 1e9:.4g} GB ({_largest(stage['memory'])}): {_remedy(told, stage, outlook)}"
            )


def _largest(memory: Mapping[str, int]) -> str:
    kinds = sorted((kind for kind in memory if kind not in SUMS), key=lambda kind: -memory[kind])
    return ", ".join(f"{kind} {memory[kind] / 1e9:.3g} GB" for kind in kinds[:3])


def _remedy(told: Mapping[str, Any], stage: Mapping[str, Any], outlook: Outlook) -> str:
    """What to change first."""
    memory = stage["memory"]
    if told["shard"] == "none" and outlook.ranks > 1:
        return "try parallel.shard=full"
    if memory["activations"] > memory["device"] / 2:
        return "try a smaller micro_batch_size"
    if told["shard"] != "none":
        return "try parallel.offload=true, or more processes"
    return "try several processes (--ranks) with parallel.shard=full"


def stage_outlook(pipeline: Pipeline, recipe: Recipe, stage: Stage, outlook: Outlook) -> dict[str, Any]:
    """Parameters, memory and work of a stage."""
    parameters = trained(pipeline, nn.Module(), stage.trains)
    step, micro = work_of(pipeline, recipe, stage, outlook)
    known = step.flops and outlook.flops_per_s
    seconds = step.flops / outlook.ranks / outlook.flops_per_s if known else None
    return {
        "stage": stage.name,
        "steps": stage.steps,
        "parts": parts(pipeline, set(parameters)),
        "memory": memory_of(pipeline, recipe, outlook, micro, by_muon(pipeline, stage, parameters)),
        "tokens_per_step": step.tokens,
        "flops_per_step": step.flops or None,
        "hours": None if seconds is None else seconds * stage.steps / 3600,
    }


def parts(pipeline: Pipeline, learning: set[str]) -> dict[str, dict[str, int]]:
    """Part of the model -> its parameters, and how many of them are trained and frozen."""
    counts = {}
    for part, start in PARTS.items():
        sizes = {name: value.numel() for name, value in pipeline.named_parameters() if name.startswith(start)}
        if sizes:
            learns = sum(size for name, size in sizes.items() if name in learning)
            total = sum(sizes.values())
            counts[part] = {"parameters": total, "trained": learns, "frozen": total - learns}
    return counts


def memory_of(
    pipeline: Pipeline, recipe: Recipe, outlook: Outlook, micro: Work, one_moment: set[str]
) -> dict[str, int]:
    """Bytes of one process by kind; `device` is the sum of what is on the device, `host` what waits beside it, and
    `checkpointed` what `activations` would be with activation checkpointing. AdamW keeps two moments of a parameter,
    Muon `one_moment`."""
    parallel = recipe.parallel
    sharded = parallel.shard != "none" and outlook.ranks > 1
    pieces = outlook.ranks // parallel.replicas if sharded else 1
    dealt = dealt_out(pipeline) if sharded else set()

    def held(name: str, value: Tensor) -> int:
        return FLOAT_BYTES * math.ceil(value.numel() / (pieces if name in dealt else 1))

    learns = {name: value for name, value in pipeline.named_parameters() if value.requires_grad}
    moments = {name: held(name, value) * (1 if name in one_moment else 2) for name, value in learns.items()}
    own = sum(held(name, value) for name, value in learns.items())
    waiting = {
        "weights": sum(held(name, value) for name, value in pipeline.named_parameters()),
        "gradients": own,
        "optimizer": sum(moments.values()),
        "average": own,
    }
    working = {
        "activations": micro.kept_bytes,
        "buffers": _buffers(pipeline, recipe) if sharded else (min(BUCKET_BYTES, own) if outlook.ranks > 1 else 0),
    }
    device = sum(working.values()) + (0 if sharded and parallel.offload else sum(waiting.values()))
    host = sum(waiting.values()) if sharded and parallel.offload else 0
    return {**waiting, **working, "device": device, "host": host, "checkpointed": micro.checkpointed_bytes}


def dealt_out(pipeline: Pipeline) -> set[str]:
    """The names of the parameters that `sharding.shard` deals out."""
    places = {id(value): name for name, value in pipeline.named_parameters()}
    networks = [pipeline.unified, pipeline.space.encoder]
    if not isinstance(pipeline.space.decoder, PixelDecoder):
        networks += blocks(pipeline.space.decoder)
    return {places[id(value)] for network in networks for value in network.parameters()}


def _buffers(pipeline: Pipeline, recipe: Recipe) -> int:
    """Bytes of what is gathered at a time: the largest block and the next one, and what belongs to no block."""
    size = 2 if recipe.precision == "bfloat16" else FLOAT_BYTES
    cut = [sum(value.numel() for value in block.parameters()) for block in blocks(pipeline.unified)]
    rest = sum(value.numel() for value in pipeline.unified.parameters()) - sum(cut)
    return 2 * size * max(cut, default=0) + FLOAT_BYTES * rest


def by_muon(pipeline: Pipeline, stage: Stage, learns: Mapping[str, nn.Parameter]) -> set[str]:
    """The names of the parameters that Muon, with one moment where AdamW has two, updates."""
    names = {id(value): name for name, value in learns.items()}
    optimizer = Optimizer(learns, linear_weights(pipeline, nn.Module()), stage)
    groups = [group for part in optimizer.parts if isinstance(part, torch.optim.Muon) for group in part.param_groups]
    return {names[id(value)] for group in groups for value in group["params"]}


# --- the work of a stage, done without numbers ----------------------------------------------------------------------


def work_of(pipeline: Pipeline, recipe: Recipe, stage: Stage, outlook: Outlook) -> tuple[Work, Work]:
    """What a step of all processes takes, and what one process's largest micro-batch does."""
    step, micro = Work(), Work()
    for rows, run in _batches(pipeline, stage, outlook):
        share = math.ceil(rows / outlook.ranks)
        at_once = min(share, stage.micro_batch_size or share)
        if at_once:
            one = counted(pipeline, recipe.precision, partial(run, at_once))
            step += Work(flops=one.flops * rows // at_once, tokens=one.tokens * rows // at_once)
            micro += one
    return step, micro


def _batches(pipeline: Pipeline, stage: Stage, outlook: Outlook) -> Iterator[tuple[int, Run]]:
    """Rows of each kind of batch in a step, and what runs some of them."""
    objective = stage.objective
    if isinstance(objective, UnifiedObjectiveConfig):
        online = objective.features == "online"
        yield stage.batch_size, lambda rows: draw(pipeline, rows, outlook.prompt_tokens, online=online)
        yield objective.text_batch_size, lambda rows: write(pipeline, rows, outlook.text_tokens)
    else:
        yield stage.batch_size, lambda rows: picture(pipeline, rows)


def counted(pipeline: Pipeline, precision: str, run: Callable[[], tuple[Tensor, int]]) -> Work:
    """The work of what gives a loss and its number of tokens, the backward pass included."""
    own = {_memory(value) for value in (*pipeline.parameters(), *pipeline.buffers())}
    kept: dict[int, Tensor] = {}
    blocks_kept: list[tuple[int, int]] = []

    def keep(tensor: Tensor) -> Tensor:
        if _memory(tensor) not in own:
            kept[_memory(tensor)] = tensor
        return tensor

    def before(block: nn.Module, inputs: tuple[Any, ...]) -> None:
        blocks_kept.append((_bytes(kept), _bytes({0: inputs[0]})))

    def after(block: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        start, size = blocks_kept.pop()
        done.append((_bytes(kept) - start, size))

    done: list[tuple[int, int]] = []
    networks = (pipeline.unified, pipeline.space.encoder, pipeline.space.decoder)
    hooks = [
        hook
        for block in blocks(*networks)
        for hook in (block.register_forward_pre_hook(before), block.register_forward_hook(after))
    ]
    try:
        with FlopCounterMode(display=False) as counter:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _arithmetic(precision):
                loss, tokens = run()
            size = _bytes(kept)
            if loss.requires_grad:
                loss.backward()
    finally:
        for hook in hooks:
            hook.remove()
        for value in pipeline.parameters():
            value.grad = None
    inside = [one for one, _ in done]
    saved = sum(inside) - sum(min(one, size) for one, size in done) - max(inside, default=0)
    return Work(
        flops=counter.get_total_flops(), kept_bytes=size, checkpointed_bytes=size - max(saved, 0), tokens=tokens
    )


def _arithmetic(precision: str) -> AbstractContextManager[object]:
    return arithmetic(precision, torch.device("cpu"))


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _bytes(tensors: Mapping[int, Tensor]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors.values())


def draw(pipeline: Pipeline, rows: int, prompt: int, *, online: bool) -> tuple[Tensor, int]:
    """The loss of conversations that end in a slot, and their tokens."""
    unified, head = pipeline.unified, pipeline.config.unified.head
    if online and not isinstance(pipeline.space.encoder, NoEncoder):
        with torch.no_grad():
            size = pipeline.space.size
            pipeline.space.encode(torch.empty(rows, 3, size, size))
    inputs = unified.head.fill(
        torch.empty(rows, head.channels, head.side, head.side), None, [Generator() for _ in range(rows)]
    )
    words = unified.backbone.embed(torch.zeros(rows, prompt, dtype=torch.long))
    slot = inputs.slot.to(words.dtype)
    if unified.backbone.image_experts is None:
        hidden = _read(pipeline, torch.cat([words, slot], dim=1))[:, prompt:]
    else:
        hidden = _read_by_experts(unified.backbone, words, slot)
    return unified.head(hidden, inputs).sum, rows * (prompt + head.slot_length)


def write(pipeline: Pipeline, rows: int, length: int) -> tuple[Tensor, int]:
    """The loss of conversations that end in words, and their tokens."""
    backbone, answered = pipeline.unified.backbone, max(length // 4, 1)
    hidden = _read(pipeline, backbone.embed(torch.zeros(rows, length, dtype=torch.long)))
    logits = backbone.logits(hidden[:, -answered:].flatten(0, 1)).float()
    labels = torch.zeros(len(logits), dtype=torch.long)
    return nn.functional.cross_entropy(logits, labels, reduction="sum"), rows * length


def _read(pipeline: Pipeline, embeddings: Tensor) -> Tensor:
    """The hidden states; without a mask, which the library would look into."""
    rows, length = embeddings.shape[:2]
    positions = torch.arange(length).expand(rows, -1)
    language_model = pipeline.unified.backbone.language_model
    read = language_model(inputs_embeds=embeddings, attention_mask=None, position_ids=positions, use_cache=False)
    return read.last_hidden_state


def _read_by_experts(backbone: Backbone, words: Tensor, slot: Tensor) -> Tensor:
    """The hidden states of slots after their prompts, which see all of both."""
    cache, mask = backbone.new_cache(), torch.ones(len(words), words.shape[1] + slot.shape[1], dtype=torch.bool)
    with torch.no_grad():
        backbone(words, mask[:, : words.shape[1]], cache, visible=mask.new_ones(CAUSAL))
    visible = mask[:, None, None].expand(-1, 1, slot.shape[1], -1)
    return backbone(slot, mask, PromptStates.of(cache), visible=visible, of_images=True)


def picture(pipeline: Pipeline, rows: int) -> tuple[Tensor, int]:
    """The loss of pictures by themselves: the parts of the space that learn, one pass each."""
    space, size, head = pipeline.space, pipeline.space.size, pipeline.config.unified.head
    learns = [name for name, value in pipeline.named_parameters() if value.requires_grad]
    pixels, features = torch.empty(rows, 3, size, size), torch.empty(rows, head.channels, head.side, head.side)
    losses = [torch.zeros(())]
    if any(name.startswith("space.encoder.") for name in learns):
        features = space.encode(pixels)
        losses.append(features.float().square().sum())
    inside = [name.removeprefix("space.decoder.") for name in learns if name.startswith("space.decoder.")]
    if isinstance(space.decoder, PixelDecoder) and inside and all(name.startswith("sketcher.") for name in inside):
        losses.append(space.decoder.sketch_loss(features, pixels).sum)
    elif inside:
        losses.append(space.decoder(features, pixels, [Generator() for _ in range(rows)]).sum)
    return torch.stack(losses).sum(), 0


# --- what lies on the disk ------------------------------------------------------------------------------------------


def source_outlook(source: Any) -> dict[str, Any]:
    """Where the samples lie, whether on this machine, and their bytes (None: unknown, or made on the way)."""
    path = getattr(source, "path", "")
    place = Path(path) if path and "://" not in str(path) else None
    there = place is not None and place.exists()
    files = [] if place is None or not there else ([place] if place.is_file() else list(place.rglob("*")))
    return {
        "kind": source.kind,
        "path": str(path),
        "here": there or not path,
        "bytes": sum(file.stat().st_size for file in files if file.is_file()) if there else None,
    }


def disk_bytes(pipeline: Pipeline, recipe: Recipe, stages: list[dict[str, Any]]) -> int:
    """Of the run's folder at its fullest: weights after each stage, the kept states and the one being written, and the
    checkpoint in bfloat16."""
    weights = FLOAT_BYTES * sum(value.numel() for value in pipeline.parameters())
    learns = [sum(part["trained"] for part in stage["parts"].values()) for stage in stages]
    states = 4 * FLOAT_BYTES * max(learns, default=0) * (recipe.keep.last + 1)
    return weights * len(stages) + states + weights // 2
