"""Unified: a backbone that reads and writes and a head that generates image features, joined by the slot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from blip3o.batch import IGNORED, Batch
from blip3o.config import check
from blip3o.model.backbones import BACKBONES, BackboneConfig
from blip3o.model.backbones.backbone import Cache
from blip3o.model.denoisers import DENOISERS, DenoiserConfig
from blip3o.model.heads import HEADS, HeadConfig
from blip3o.model.heads.flow import FlowHeadConfig
from blip3o.model.heads.head import HeadSizes, HeadState, Reference
from blip3o.model.heads.regression import RegressionHeadConfig
from blip3o.model.layers.denoiser import Denoiser
from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss

CompleteRows = Callable[[Sequence[int], Tensor], Tensor]
"""(rows of a batch, what fills their slots [image, slot, hidden]) -> the hidden states of these slots."""


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
        network = self.head if isinstance(self.head, RegressionHeadConfig) else self.denoiser
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
class LabelledAnswers:
    """The unbroken runs of labelled tokens in a batch."""

    labelled: Bool[Tensor, "batch seq_less_one"]
    """Whether the token after each is to be written."""
    answer: Int[Tensor, " labelled"]
    """The answer that each labelled token belongs to, counted through the batch."""
    weights: Float[Tensor, " answer"]
    """The root of the length of each."""

    @classmethod
    def of(cls, labels: Int[Tensor, "batch seq"]) -> "LabelledAnswers":
        """Those of a batch's labels."""
        padded = F.pad(labels[:, 1:] != IGNORED, (1, 0))
        starts = (padded[:, 1:] & ~padded[:, :-1]).flatten().cumsum(0)  # answers that start up to each token
        labelled = padded[:, 1:]
        answer = starts[labelled.flatten()] - 1
        return cls(labelled=labelled, answer=answer, weights=answer.bincount().sqrt())


@dataclass(frozen=True, kw_only=True)
class ImageRequests:
    """Conversations that end in a slot, and the images to draw from them."""

    batch: Batch
    rows: Sequence[int]
    """The row of the batch that each image is drawn for; a row may be drawn for more than once."""

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

    def embed(self, batch: Batch) -> Float[Tensor, "batch seq hidden"]:
        """Embeddings of words and of read pictures; what stands in the slot is left to the head."""
        embeddings = self.backbone.embed(batch.tokens)
        if batch.pixel_values is None or batch.image_grid_thw is None:
            return embeddings
        seen = self.backbone.encode_images(batch.pixel_values, batch.image_grid_thw).to(embeddings.dtype)
        return embeddings.masked_scatter(batch.image_mask[..., None], seen)

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

    def bidirectional(self, batch: Batch) -> Bool[Tensor, "batch seq"] | None:
        """The slots, where the head wants their positions to see each other; None where everything is causal."""
        return batch.slot if self.head.attention == "bidirectional" and batch.slot.any() else None

    def forward(self, batch: Batch, rngs: Sequence[Generator]) -> UnifiedLosses:
        """The losses of a training batch, row k with generator k: next-token cross-entropy, and the head's."""
        embeddings = self.embed(batch)
        inputs = None
        if batch.target is not None:
            inputs = self.head.fill(batch.target, self.reference(ImageRequests.each(batch)), rngs)
            embeddings = embeddings.masked_scatter(batch.slot[..., None], inputs.slot.to(embeddings.dtype))
        hidden = self.backbone(embeddings, batch.mask, None, None, self.bidirectional(batch), batch.segments)
        image = None
        if inputs is not None:
            image = self.head(hidden[batch.slot].view(len(hidden), -1, hidden.shape[-1]), inputs)
        return UnifiedLosses(text=self.text_loss(hidden, batch), image=image)

    def text_loss(self, hidden: Float[Tensor, "batch seq hidden"], batch: Batch) -> WeightedLoss | None:
        """Cross-entropy of the labelled tokens, a mean for each answer; an answer weighs the root of its length.

        An answer is an unbroken run of labelled tokens. Neither the long nor the short ones drown the others ("square
        averaging", InternVL 2.5, arXiv 2412.05271). Only the logits of labelled tokens are computed.
        """
        answers = LabelledAnswers.of(batch.labels)
        if not len(answers.weights):
            return None
        logits = self.backbone.logits(hidden[:, :-1][answers.labelled]).float()
        losses = F.cross_entropy(logits, batch.labels[:, 1:][answers.labelled], reduction="none")
        sums = losses.new_zeros(len(answers.weights)).index_add(0, answers.answer, losses)
        return WeightedLoss(sum=(sums / answers.weights).sum(), weight=answers.weights.sum())

    def start_features(
        self, requests: Sequence[ImageRequests], rngs: Sequence[Generator], samplings: Sequence[Sampling]
    ) -> HeadState:
        """What the features of all images requested start from, image k with generator k; the head takes the steps.

        The prompts of one batch run together, those of different batches by themselves, each of them once.
        """
        batches = {id(request.batch): request.batch for request in requests}
        prompts = {key: self.prefill(batch) for key, batch in batches.items()}

        def complete(slot: Float[Tensor, "image slot hidden"]) -> Float[Tensor, "image slot hidden"]:
            slots = slot.split([len(request.rows) for request in requests])
            return torch.cat(
                [prompts[id(request.batch)](request.rows, part) for request, part in zip(requests, slots, strict=True)]
            )

        return self.head.start(complete, self.reference(*requests), rngs, samplings)

    def sample_features(
        self, requests: Sequence[ImageRequests], rngs: Sequence[Generator], sampling: Sampling
    ) -> Float[Tensor, "image channel height width"]:
        """Features of all images requested, image k with generator k."""
        state = self.start_features(requests, rngs, [sampling] * len(rngs))
        while any(state.remaining):
            state = self.head.step(state)
        return state.sampler.x

    def prefill(self, batch: Batch) -> CompleteRows:
        """The hidden states of the slots of these prompts (padded on the left, so that all end in their slot), as a
        function of what fills them. What stands before the slots runs here, once.
        """
        length = int(batch.slot[0].sum())
        assert batch.slot[:, -length:].all(), "every row must end in its slot"
        cache = self.backbone.new_cache()
        before = batch.mask.shape[1] - length
        self.backbone(self.embed(batch)[:, :before], batch.mask[:, :before], cache)

        def go_on(rows: Sequence[int], slot: Float[Tensor, "image slot hidden"]) -> Float[Tensor, "image slot hidden"]:
            branch, bidirectional = self.backbone.branch(cache, rows), self.bidirectional(batch)
            runs = None if bidirectional is None else bidirectional[list(rows)]
            return self.backbone(slot, batch.mask[list(rows)], branch, None, runs)

        return go_on

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
        logs = self.backbone.logits(hidden).float().log_softmax(-1)
        labelled = labels != IGNORED
        return (logs.gather(-1, labels.clamp(min=0)[..., None])[..., 0] * labelled).sum(-1)
