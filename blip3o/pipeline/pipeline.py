"""The machine as one thing: the unified model, its image space, and the template that speaks to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from blip3o.config import check
from blip3o.flow.noise import generators
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.pipeline.parts import count_parameters
from blip3o.pipeline.sampling import ReasoningConfig, SamplingConfig
from blip3o.processing.chat_template import ChatTemplate, PromptConfig
from blip3o.processing.conversation import Picture
from blip3o.processing.images import square, stacked, to_pixels
from blip3o.processing.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything needed to build a model but its weights and its tokenizer."""

    name: str
    prompt: PromptConfig
    unified: UnifiedConfig
    space: SpaceConfig
    sampling: SamplingConfig
    reasoning: ReasoningConfig = field(default_factory=ReasoningConfig)

    def __post_init__(self) -> None:
        vision, head = self.unified.backbone.vision, self.unified.head
        encoder, decoder = self.space.encoder, self.space.decoder
        generated = (head.channels, head.side)
        encoded = None if encoder is None else (encoder.channels, encoder.side)
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
                encoded in (None, generated),
                f"the head imagines (channels, side) {generated}, the encoder makes {encoded}",
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
        highest, vocabulary = words.highest, config.unified.backbone.text.vocab_size
        fault = f"the tokenizer has a token {highest}, but the model has {vocabulary} embeddings: use its own"
        check((highest < vocabulary, fault))
        self.config = config
        self.unified = Unified(config.unified)
        self.space = ImageSpace(config.space, config.unified.head.channels)
        self.template = ChatTemplate(config.prompt, words)
        self.sizes = count_parameters({name: tuple(value.shape) for name, value in self.named_parameters()})
        """Parameters of each part."""

    def compile(self) -> None:
        """Compile what runs many times for one picture: the denoiser, and the networks of the decoder."""
        for part in (*self.unified.head.children(), *self.space.decoder.children()):
            part.compile()

    def know(self, words: Sequence[str]) -> None:
        """Give words that a closed vocabulary lacks the next free embeddings, which are yet to be learned.

        Raises ConfigError where there are too few.
        """
        extended = self.template.words.extended(words)
        vocabulary = self.config.unified.backbone.text.vocab_size
        free = vocabulary - 1 - self.template.words.highest
        fault = f"{len(words)} new words ({', '.join(words[:5])}), but {self.config.name} has {free} free embeddings"
        check((extended.highest < vocabulary, f"{fault}: use fewer, or train a model with a larger vocab_size"))
        self.template = ChatTemplate(self.config.prompt, extended)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.space.mean.device

    def squares(self, pictures: Sequence[Picture]) -> UInt8[Tensor, "batch height width 3"]:
        """The central squares of pictures at the size of the target space, on the CPU."""
        return stacked([square(picture, self.space.size) for picture in pictures])

    def features(self, pictures: Sequence[Picture]) -> Float[Tensor, "batch channel rows columns"]:
        """Features of pictures in the target space, of their central squares."""
        return self.encode(self.squares(pictures).to(self.device))

    def encode(self, images: UInt8[Tensor, "batch height width 3"]) -> Float[Tensor, "batch channel rows columns"]:
        """Features in the target space of stacked pictures of its size, on the device of the pipeline."""
        return self.space.encode(to_pixels(images).to(self.space.mean))

    def reconstruct(
        self, pictures: Sequence[Picture], seeds: Sequence[int], sampling: SamplingConfig
    ) -> Float[Tensor, "batch 3 height width"]:
        """Each picture to features and back to pixels in [-1, 1], by its own seed."""
        rows, images = sampling.rows or len(pictures), []
        for start in range(0, len(pictures), rows):
            indices = list(range(start, min(start + rows, len(pictures))))
            filled = indices + indices[:1] * (rows - len(indices))  # as `Drawer` does, and for the same reason
            features, rngs = self.features([pictures[i] for i in filled]), generators([seeds[i] for i in filled])
            null = self.space.blank() if self.space.decoder.guided else None
            steps, size = sampling.decoder_steps, sampling.size
            decoded = self.space.decoder.decode(features, rngs, steps=steps, null=null, size=size)
            images.append(decoded[: len(indices)])
        return torch.cat(images)
