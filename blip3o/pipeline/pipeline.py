"""The machine as one thing: the unified model, its image space, and the template that speaks to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.config import check
from blip3o.flow.noise import generators
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.model.unified import ImageRequests, Unified, UnifiedConfig
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.processing.chat_template import ChatTemplate, PromptConfig, TokenizedSample
from blip3o.processing.conversation import Picture
from blip3o.processing.images import squared, to_pixels
from blip3o.processing.tokenizer import Tokenizer


@dataclass(kw_only=True)
class Call:
    """What all pictures of one call share, in however many batches they are drawn; it ends with the call."""

    sampling: SamplingConfig
    null: Float[Tensor, "1 channel height width"] | None = None
    """Features of an empty prompt, from the first picture on."""
    stream: Generator | None = None
    """Where the random numbers of a `compatible` call come from."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything needed to build a model but its weights and its tokenizer."""

    name: str
    prompt: PromptConfig
    unified: UnifiedConfig
    space: SpaceConfig
    sampling: SamplingConfig

    def __post_init__(self) -> None:
        vision, head = self.unified.backbone.vision, self.unified.head
        encoder, decoder = self.space.encoder, self.space.decoder
        imagined = (head.channels, head.side)
        made = None if encoder is None else (encoder.channels, encoder.side)
        tower = (vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
        reading = (self.prompt.patch_size, self.prompt.merge_size, self.prompt.temporal_patch_size)
        check(
            (
                tower == reading,
                f"prompt reads patches of {reading} but the vision tower takes {tower}: make them equal",
            ),
            (
                self.prompt.slot_length == head.slot_length,
                f"prompt.slot_length is {self.prompt.slot_length} but the head's slot has {head.slot_length} positions",
            ),
            (
                made in (None, imagined),
                f"the head imagines (channels, side) {imagined}, the encoder makes {made}",
            ),
            (
                decoder is None or decoder.channels == head.channels,
                f"the head imagines {head.channels} channels, the decoder paints from {decoder and decoder.channels}",
            ),
        )


class Pipeline(nn.Module):
    """The networks and the template of one model."""

    def __init__(self, config: ModelConfig, words: Tokenizer) -> None:
        super().__init__()
        vocabulary = config.unified.backbone.text.vocab_size
        check(
            (
                words.highest < vocabulary,
                f"the tokenizer has a token {words.highest}, but the model has {vocabulary} embeddings: use its own",
            )
        )
        self.config = config
        self.unified = Unified(config.unified)
        self.space = ImageSpace(config.space, config.unified.head.channels)
        self.template = ChatTemplate(config.prompt, words)
        self.sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in self.parts().items()}
        """Parameters of each part."""

    def parts(self) -> dict[str, nn.Module]:
        """The parts that a user would name."""
        output = self.unified.backbone.lm_head
        return {
            "language model": self.unified.backbone.language_model,
            **({} if output is None else {"output head": output}),
            "vision tower": self.unified.backbone.get_submodule("visual"),
            "head": self.unified.head,
            "encoder": self.space.encoder,
            "decoder": self.space.decoder,
        }

    def movable(self) -> dict[str, nn.Module]:
        """The modules, by their names, that need not be on the device while others work. What is used outside of a
        forward (embeddings, queries) is in none of them."""
        head, decoder = "unified.head.", "space.decoder."
        return {
            "unified.backbone.language_model.layers": self.unified.backbone.language_model.get_submodule("layers"),
            "unified.backbone.visual": self.unified.backbone.get_submodule("visual"),
            **{head + name: part for name, part in self.unified.head.named_children()},
            "space.encoder": self.space.encoder,
            **{decoder + name: part for name, part in self.space.decoder.named_children()},
        }

    def compile(self) -> None:
        """Compile what runs many times for one picture: the denoiser, and the networks of the decoder."""
        for part in (*self.unified.head.children(), *self.space.decoder.children()):
            part.compile()

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.space.mean.device

    def facts(self) -> dict[str, Any]:
        """What the model is made of: parts with their parameters, bytes of these by dtype, the size it paints at, and
        the words of a closed vocabulary."""
        decoder, total = self.config.space.decoder, sum(self.sizes.values())
        return {
            "parts": self.sizes,
            "parameters": total,
            "bytes": {"float32": 4 * total, "bfloat16": 2 * total, "float16": 2 * total},
            "picture_size": None if decoder is None else decoder.size,
            "words": self.template.words.known,
        }

    @property
    def target_size(self) -> int:
        """Height and width in px of pictures as the encoder sees them."""
        encoder = self.config.space.encoder
        return 1 if encoder is None else encoder.size  # where there is none, it will say so

    def features(self, pictures: Sequence[Picture]) -> Float[Tensor, "batch channel rows columns"]:
        """Features of pictures in the target space, of their central squares."""
        pixels = to_pixels([squared(picture, self.target_size) for picture in pictures])
        return self.space.encode(pixels.to(self.device, self.space.mean.dtype))

    def draw(
        self, asked: Sequence[TokenizedSample], seeds: Sequence[int], call: "Call"
    ) -> Float[Tensor, "batch 3 height width"]:
        """The picture in [-1, 1] for the slot of each conversation, by its own seed, as a part of a call."""
        if call.sampling.compatible:
            rng = call.stream = call.stream or Generator(self.device).manual_seed(seeds[0])
            return torch.cat([self._drawn([row], [rng], call) for row in asked])

        def drawn(indices: Sequence[int]) -> Float[Tensor, "rows 3 height width"]:
            rngs = generators([seeds[index] for index in indices])
            return self._drawn([asked[index] for index in indices], rngs, call)

        return _in_passes(drawn, len(asked), call.sampling.rows)

    def _drawn(
        self, asked: Sequence[TokenizedSample], rngs: Sequence[Generator], call: "Call"
    ) -> Float[Tensor, "rows 3 height width"]:
        sampling = call.sampling
        features = self._imagined(asked, rngs, sampling)
        if self.space.decoder.guided and call.null is None:
            call.null = self.null(sampling, rngs[0])
        return self.space.decode(features, rngs, steps=sampling.decoder_steps, null=call.null, size=sampling.size)

    def _imagined(
        self, asked: Sequence[TokenizedSample], rngs: Sequence[Generator], sampling: SamplingConfig
    ) -> Float[Tensor, "rows channel height width"]:
        """Features for these conversations; equal ones are thought over once."""
        known: list[TokenizedSample] = []
        places = [_place(item, known) for item in asked]
        apart = [[item] for item in known] if sampling.rows else [known]
        batches = [self.template.collate(items, left=True).to(self.device) for items in apart]
        prompts = (
            [ImageRequests(batch=batches[place], rows=[0]) for place in places]
            if sampling.rows
            else [ImageRequests(batch=batches[0], rows=places)]
        )
        return self.unified.sample_features(prompts, rngs, sampling)

    def null(self, sampling: SamplingConfig, rng: Generator) -> Float[Tensor, "1 channel height width"]:
        """Features of an empty prompt: what a decoder's guidance leads away from.

        They have a seed of their own; published code takes their noise from the stream of the first image (`rng`).
        """
        rngs = [rng] if sampling.compatible else generators([0])
        return self._imagined([self.template.nothing()], rngs, sampling)

    def reconstruct(
        self, pictures: Sequence[Picture], seeds: Sequence[int], sampling: SamplingConfig
    ) -> Float[Tensor, "batch 3 height width"]:
        """Each picture to features and back to pixels in [-1, 1], by its own seed."""

        def painted(indices: Sequence[int]) -> Float[Tensor, "rows 3 height width"]:
            features = self.features([pictures[index] for index in indices])
            rngs = generators([seeds[index] for index in indices])
            null = self.space.blank() if self.space.decoder.guided else None
            return self.space.decode(features, rngs, steps=sampling.decoder_steps, null=null, size=sampling.size)

        return _in_passes(painted, len(pictures), sampling.rows)


def _place(item: TokenizedSample, known: list[TokenizedSample]) -> int:
    """Where an equal conversation stands among the known ones; it is put there where none does."""
    for place, other in enumerate(known):
        if item.tokens == other.tokens and not (item.pictures or other.pictures):
            return place
    known.append(item)
    return len(known) - 1


def _in_passes(make: Callable[[Sequence[int]], Tensor], count: int, rows: int) -> Tensor:
    """What `make` makes of the items 0 to `count` - 1, `rows` at a time; the last pass is filled up with its first."""
    rows = rows or count
    made = []
    for start in range(0, count, rows):
        indices = list(range(start, min(start + rows, count)))
        made.append(make(indices + indices[:1] * (rows - len(indices)))[: len(indices)])
    return torch.cat(made)
