"""Unified: a backbone that reads and writes and a head that generates image features, joined by the slot."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from blip3o.batch import IGNORED, Batch, BatchPlaces, LabelledAnswers
from blip3o.config import check
from blip3o.model.backbones import BACKBONES, BackboneConfig
from blip3o.model.backbones.backbone import CAUSAL, Cache, PromptStates, ReadStates, visible_pairs
from blip3o.model.denoisers import DENOISERS, DenoiserConfig
from blip3o.model.heads import HEADS, HeadConfig
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.heads.head import HeadSizes, HeadState, Reference, SlotInputs
from blip3o.model.layers.denoiser import Denoiser
from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss
from blip3o.model.prompts import ReadBatch, ReadPrompts

LOGITS_AT_ONCE = 2**26
"""Scores of words that the loss holds at once: 256 MB in float32, and as much for their gradient."""


@dataclass(frozen=True, kw_only=True)
class UnifiedConfig:
    """The backbone, the head, and the denoiser of a head that works through one; None for the others."""

    backbone: BackboneConfig
    head: HeadConfig
    denoiser: DenoiserConfig | None = None

    def __post_init__(self) -> None:
        head, denoiser, hidden = self.head, self.denoiser, self.backbone.text.hidden_size
        sizes = (head.width, head.channels, head.side)
        check(
            (head.width == hidden, f"head.width is {head.width} but the backbone's hidden states have width {hidden}"),
            (
                not self.backbone.image_experts or head.repeats,
                f"image_experts are for slots that the backbone denoises, and head {head.kind} does not work so: leave "
                "them out",
            ),
            (
                head.denoises == (denoiser is not None),
                f"head {head.kind} works with{'' if head.denoises else 'out'} a denoiser: "
                f"{'add its config' if head.denoises else 'leave it out'}",
            ),
        )
        if denoiser is not None:
            denoised = (denoiser.condition_width, denoiser.channels, denoiser.side)
            check((sizes == denoised, f"the head works on (width, channels, side) {sizes}, its denoiser on {denoised}"))

    @property
    def takes_reference(self) -> bool:
        """Whether a picture to start from changes what is drawn."""
        network = self.denoiser if isinstance(self.head, FlowHeadConfig) else self.head
        return network is not None and network.with_reference

    @staticmethod
    def upgraded(values: dict[str, Any]) -> dict[str, Any]:
        """Values of the first design as those of today: `thought_width`, and heads that had the fields of all heads."""
        head, denoiser = values.get("head"), values.get("denoiser")
        if isinstance(denoiser, dict) and "thought_width" in denoiser:
            renamed = {"condition_width" if key == "thought_width" else key: value for key, value in denoiser.items()}
            values = values | {"denoiser": renamed}
        if isinstance(head, dict) and head.get("kind") == "regression":
            unused = {field.name for field in fields(FlowHeadConfig)} - {"kind", *(f.name for f in fields(HeadSizes))}
            values = values | {"head": {key: value for key, value in head.items() if key not in unused}}
            if isinstance(
                unread := values.pop("denoiser", None), dict
            ):  # it said for every head whether references enter
                values["head"].setdefault("with_reference", unread.get("with_reference", False))
        return values


@dataclass(frozen=True, kw_only=True)
class UnifiedLosses:
    """The two losses of a batch; None where the batch asks for none."""

    text: WeightedLoss | None
    image: WeightedLoss | None


@dataclass(frozen=True, kw_only=True)
class ImageRequests:
    """Conversations that end in a slot, and the images to draw from them."""

    batch: Batch
    rows: Sequence[int]
    """The row of the batch that each image is drawn for; a row may be drawn for more than once."""
    apart: bool = False
    """Whether the slot of each image runs by itself."""

    @classmethod
    def each(cls, batch: Batch) -> "ImageRequests":
        """One image for every row."""
        return cls(batch=batch, rows=range(len(batch.tokens)))


@dataclass(frozen=True, kw_only=True)
class TextState:
    """Rows that are being written, between two tokens."""

    logits: Float[Tensor, "batch vocabulary"]
    """Scores of the next token."""
    mask: Bool[Tensor, "batch seq"]
    """True at every token so far but padding."""
    cache: Cache
    position: Int[Tensor, "axis batch 1"] | None
    """Where the next token stands, for a backbone that does not just count."""

    @property
    def next_position(self) -> Int[Tensor, "axis batch 1"]:
        """The same, counted where it is None."""
        return self.mask.sum(1)[None, :, None] if self.position is None else self.position


class Unified(nn.Module):
    """Reads text and pictures, writes text, generates image features."""

    def __init__(self, config: UnifiedConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = BACKBONES[config.backbone.kind](config.backbone)
        self.head = HEADS[config.head.kind](config.head, self._denoiser)

    def _denoiser(self) -> Denoiser:
        config = self.config.denoiser
        assert config is not None, "UnifiedConfig refuses a head that lacks its denoiser"
        return DENOISERS[config.kind](config)

    def embed(self, batch: Batch, places: BatchPlaces | None = None) -> Float[Tensor, "batch seq hidden"]:
        """Embeddings of words and of read pictures; what stands in the slot is left to the head. With `places`, the
        values of no tensor are read on the host."""
        embeddings = self.backbone.embed(batch.tokens)
        if batch.pixel_values is None or batch.image_grid_thw is None:
            return embeddings
        seen = self.backbone.encode_images(batch.pixel_values, batch.image_grid_thw).to(embeddings.dtype)
        if places is None:
            return embeddings.masked_scatter(batch.image_mask[..., None], seen)
        return embeddings.flatten(0, 1).index_copy(0, places.seen, seen).view_as(embeddings)

    def reference(self, *requests: "ImageRequests") -> Reference | None:
        """The picture that the slot may start from, for all images requested; None where no prompt has one."""
        like = next((one.batch.reference for one in requests if one.batch.reference is not None), None)
        if like is None:
            return None
        features, present = [], []
        for request in requests:
            batch, rows = request.batch, list(request.rows)
            blank = like.new_zeros(len(batch.tokens), *like.shape[1:])
            none = batch.mask.new_zeros(len(batch.tokens))
            features.append((blank if batch.reference is None else batch.reference)[rows])
            present.append((none if batch.referenced is None else batch.referenced)[rows])
        return Reference(features=torch.cat(features), present=torch.cat(present))

    def forward(self, batch: Batch, rngs: Sequence[Generator], places: BatchPlaces | None = None) -> UnifiedLosses:
        """The losses of a training batch, row k with generator k: next-token cross-entropy, and the head's.

        Only what they need is computed. Where the backbone is frozen and all rows end in their slots, gradients run
        through the slots alone: causality keeps them out of the prompts. Image experts run after their prompts, too. A
        `condition` of the batch stands in for the backbone. With `places` of the batch, no value of a tensor is read on
        the host.
        """
        places = BatchPlaces.of(batch) if places is None else places
        if batch.target is None:
            return UnifiedLosses(text=self.text_loss(self._hidden(batch, places), places.answers), image=None)
        inputs = self.head.fill(batch.target, _reference(batch), rngs)
        if batch.condition is not None:
            return UnifiedLosses(text=None, image=self.head(batch.condition, inputs))
        experts = self.backbone.image_experts
        own = set() if experts is None else set(experts.parameters())
        learns = any(one.requires_grad for one in self.backbone.parameters() if one not in own)
        if experts is not None or (places.ends_in_slot and not learns):
            with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
                states, before = self._read(batch, places)
            hidden = self._after_prompt(batch, places, inputs, states)
        else:
            before = self._hidden(batch, places, inputs)
            hidden = before.flatten(0, 1)[places.slots].view_as(inputs.slot)
        return UnifiedLosses(text=self.text_loss(before, places.answers), image=self.head(hidden, inputs))

    @torch.no_grad()
    def condition(
        self, batch: Batch, rngs: Sequence[Generator], places: BatchPlaces | None = None
    ) -> Float[Tensor, "batch slot hidden"]:
        """The hidden states of the slots: what a batch may carry as its `condition` for as long as backbone and queries
        are frozen. The batch has targets, as in training."""
        assert batch.target is not None, "only a batch with targets has slots to condition"
        places = BatchPlaces.of(batch) if places is None else places
        inputs = self.head.fill(batch.target, _reference(batch), rngs)
        return self._hidden(batch, places, inputs).flatten(0, 1)[places.slots].view_as(inputs.slot)

    def _hidden(
        self, batch: Batch, places: BatchPlaces, inputs: SlotInputs | None = None
    ) -> Float[Tensor, "batch seq hidden"]:
        """The hidden states of a whole batch, with what enters its slots."""
        embeddings = self.embed(batch, places)
        if inputs is not None:
            slots = inputs.slot.to(embeddings.dtype).flatten(0, 1)
            embeddings = embeddings.flatten(0, 1).index_copy(0, places.slots, slots).view_as(embeddings)
        length, runs = batch.mask.shape[1], self._runs(batch, places)
        plain = runs is None and batch.segments is None and not places.is_padded
        alone = self._alone(batch, inputs)
        visible = (
            batch.mask.new_ones(CAUSAL) if plain else visible_pairs(batch.mask, length, runs, batch.segments, alone)
        )
        return self.backbone(embeddings, batch.mask, segments=batch.segments, visible=visible)

    def _read(self, batch: Batch, places: BatchPlaces) -> tuple[PromptStates, Float[Tensor, "batch prompt hidden"]]:
        """The prompts of rows that end in their slots: keys and values, and hidden states."""
        assert places.ends_in_slot, "image experts work in rows that end in their slots"
        before, read = batch.mask[:, : -places.slot_length], ReadStates()
        embeddings = self.embed(batch, places)[:, : -places.slot_length]
        visible = visible_pairs(before, before.shape[1]) if places.is_padded else before.new_ones(CAUSAL)
        hidden = self.backbone(embeddings, before, read, visible=visible)
        return read.prompts(), hidden

    def _after_prompt(
        self, batch: Batch, places: BatchPlaces, inputs: SlotInputs, states: PromptStates
    ) -> Float[Tensor, "batch slot hidden"]:
        """The hidden states of slots after their prompts."""
        visible = visible_pairs(
            batch.mask, places.slot_length, self._runs(batch, places), alone=self._alone(batch, inputs)
        )
        slot = inputs.slot.to(self.backbone.dtype)
        return self.backbone(slot, batch.mask, states, visible=visible, of_images=True)

    def _alone(self, batch: Batch, inputs: SlotInputs | None) -> Bool[Tensor, " batch"] | None:
        """The rows whose slots do not see their prompts; None where the head drops its conditions itself."""
        return None if inputs is None or not self.config.head.repeats else ~inputs.keep

    def _runs(self, batch: Batch, places: BatchPlaces) -> Bool[Tensor, "batch seq"] | None:
        """The slots, where the head wants their positions to see each other; None where everything is causal."""
        return batch.slot if self.head.attention == "bidirectional" and places.slot_length else None

    def text_loss(self, hidden: Float[Tensor, "batch seq hidden"], answers: LabelledAnswers) -> WeightedLoss | None:
        """Cross-entropy of the labelled tokens, a mean for each answer; an answer weighs the root of its length.

        An answer is an unbroken run of labelled tokens. Neither the long nor the short ones drown the others ("square
        averaging", InternVL 2.5, arXiv 2412.05271). Only the logits of labelled tokens are computed, and of many of
        them not all at once.
        """
        if not len(answers.weights):
            return None
        losses = self.token_losses(hidden[answers.rows, answers.places], answers.tokens)
        sums = losses.new_zeros(len(answers.weights)).index_add(0, answers.answer, losses)
        return WeightedLoss(sum=(sums / answers.weights).sum(), weight=answers.weights.sum())

    def token_losses(
        self, hidden: Float[Tensor, "labelled hidden"], tokens: Int[Tensor, " labelled"]
    ) -> Float[Tensor, " labelled"]:
        """Cross-entropy of each token, in parts of at most `LOGITS_AT_ONCE` scores. Where there is more than one part,
        scores are computed once more for the gradient."""
        parts = max(1, -(-tokens.numel() * self.config.backbone.text.vocab_size // LOGITS_AT_ONCE))
        if parts == 1:
            return self._token_losses(hidden, tokens)
        pairs = zip(hidden.chunk(parts), tokens.chunk(parts), strict=True)
        again = partial(checkpoint, self._token_losses, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([again(*pair) for pair in pairs])

    def _token_losses(
        self, hidden: Float[Tensor, "labelled hidden"], tokens: Int[Tensor, " labelled"]
    ) -> Float[Tensor, " labelled"]:
        return F.cross_entropy(self.backbone.logits(hidden).float(), tokens, reduction="none")

    def start_features(
        self, requests: Sequence[ImageRequests], rngs: Sequence[Generator], samplings: Sequence[Sampling]
    ) -> HeadState:
        """What the features of all images requested start from, image k with generator k; the head takes the steps.

        The prompts of one batch run together, those of different batches by themselves, each of them once.
        """
        batches = {id(request.batch): request.batch for request in requests}
        read = {key: self.prefill(batch) for key, batch in batches.items()}
        places = tuple((read[id(request.batch)], row) for request in requests for row in request.rows)
        prompts = ReadPrompts(places=places, apart=any(request.apart for request in requests))
        return self.head.start(prompts, self.reference(*requests), rngs, samplings)

    def sample_features(
        self, requests: Sequence[ImageRequests], rngs: Sequence[Generator], sampling: Sampling
    ) -> Float[Tensor, "image channel height width"]:
        """Features of all images requested, image k with generator k."""
        state = self.start_features(requests, rngs, [sampling] * len(rngs))
        while any(state.remaining):
            state = self.head.step(state)
        return state.sampler.x

    def prefill(self, batch: Batch) -> ReadBatch:
        """Read what stands before the slots of these prompts (padded on the left, so that all end in their slot)."""
        return ReadBatch(self.backbone, batch, self.embed(batch), both_sides=self.head.attention == "bidirectional")

    def start_text(self, batch: Batch) -> TextState:
        """Read every row (padded on the left), to write on from there."""
        cache, mask = self.backbone.new_cache(), batch.mask
        positions = self.backbone.positions(mask, batch.image_mask, batch.image_grid_thw)
        hidden = self.backbone(self.embed(batch), mask, cache, positions)
        after = None if positions is None else positions.amax((0, 2))[None, :, None] + 1
        return TextState(logits=self.backbone.logits(hidden[:, -1]), mask=mask, cache=cache, position=after)

    def step_text(self, state: TextState, tokens: Int[Tensor, " batch"], going: Bool[Tensor, " batch"]) -> TextState:
        """Write a token in every row; what a row writes that is not `going` counts for nothing. Takes the cache of
        `state` over."""
        mask = torch.cat([state.mask, going[:, None]], dim=1)
        hidden = self.backbone(self.backbone.embed(tokens[:, None]), mask, state.cache, state.position)
        after = None if state.position is None else state.position + 1
        return TextState(logits=self.backbone.logits(hidden[:, -1]), mask=mask, cache=state.cache, position=after)

    def select_text(self, state: TextState, rows: Sequence[int]) -> TextState:
        """These rows alone, without padding that all of them have."""
        mask = state.mask[list(rows)]
        padding = int(mask.any(0).long().argmax())
        return TextState(
            logits=state.logits[list(rows)],
            mask=mask[:, padding:],
            cache=self.backbone.branch(state.cache, rows, padding),
            position=None if state.position is None else state.position[:, list(rows)],
        )

    def join_text(self, state: TextState, other: TextState) -> TextState:
        """The rows of both, those of `other` last; the shorter ones are padded on the left."""
        length = max(state.mask.shape[1], other.mask.shape[1])
        masks = [F.pad(one.mask, (length - one.mask.shape[1], 0)) for one in (state, other)]
        by_grid = state.position is not None or other.position is not None
        return TextState(
            logits=torch.cat([state.logits, other.logits]),
            mask=torch.cat(masks),
            cache=self.backbone.join(state.cache, other.cache),
            position=torch.cat([state.next_position, other.next_position], 1) if by_grid else None,
        )

    def score(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Log-probability of the labelled tokens of every row: how likely the model finds that answer."""
        positions = self.backbone.positions(batch.mask, batch.image_mask, batch.image_grid_thw)
        hidden = self.backbone(self.embed(batch), batch.mask, positions=positions)[:, :-1]
        labels: Int[Tensor, "batch seq"] = batch.labels[:, 1:]
        rows, places = (labels != IGNORED).nonzero(as_tuple=True)
        losses = self.token_losses(hidden[rows, places], labels[rows, places])
        return losses.new_zeros(len(labels)).index_add(0, rows, -losses)


def _reference(batch: Batch) -> Reference | None:
    """The pictures that slots start from, where a row has one."""
    if batch.reference is None or batch.referenced is None:
        return None
    return Reference(features=batch.reference, present=batch.referenced)
