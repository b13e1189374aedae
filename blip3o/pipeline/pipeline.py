"""The machine as one thing: the unified model, its image space, and the template that speaks to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blip3o.config import check
from blip3o.flow.noise import generators
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.processing.chat_template import ChatTemplate, PromptConfig
from blip3o.processing.conversation import Picture
from blip3o.processing.images import square, to_pixels
from blip3o.processing.tokenizer import Tokenizer


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
        tied = self.config.unified.backbone.text.tie_word_embeddings
        return {
            "language model": self.unified.backbone.language_model,
            **({} if tied else {"output head": self.unified.backbone.lm_head}),
            "vision tower": self.unified.backbone.get_submodule("visual"),
            "head": self.unified.head,
            "encoder": self.space.encoder,
            "decoder": self.space.decoder,
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

    def pixels(self, pictures: Sequence[Picture]) -> Float[Tensor, "batch 3 height width"]:
        """The central squares of pictures at the size of the target space, in [-1, 1]."""
        return to_pixels([square(picture, self.space.size) for picture in pictures]).to(self.device)

    def features(self, pictures: Sequence[Picture]) -> Float[Tensor, "batch channel rows columns"]:
        """Features of pictures in the target space, of their central squares."""
        return self.space.encode(self.pixels(pictures).to(self.space.mean.dtype))

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
            images.append(
                self.space.decoder.decode(features, rngs, steps=sampling.decoder_steps, null=null, size=sampling.size)[
                    : len(indices)
                ]
            )
        return torch.cat(images)
