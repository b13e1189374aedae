"""The machine as one thing: the unified model, its image space, and the template that speaks to them."""

from dataclasses import dataclass

from torch import nn

from blip3o.config import check
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.prompt.template import PromptConfig, Template
from blip3o.prompt.tokenizer import Words


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """What is done where the user does not say."""

    steps: int
    """Solver steps of the head."""
    guidance: float
    """1 is none."""
    decoder_steps: int
    """Solver steps of the decoder."""


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
        sizes = [self.prompt.picture_size, self.space.encoder.size, self.space.decoder.size]
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
                sizes.count(sizes[0]) == len(sizes),
                f"prompt.picture_size, encoder.size and decoder.size are {sizes}: make them equal",
            ),
            (
                head.side == self.space.encoder.side,
                f"the head imagines {head.side} x {head.side} features, the encoder makes {self.space.encoder.side} x "
                f"{self.space.encoder.side}",
            ),
            (
                head.channels == self.space.encoder.channels,
                f"the head imagines {head.channels} channels, the space has {self.space.encoder.channels}",
            ),
        )


class Machine(nn.Module):
    """The networks and the template of one model."""

    def __init__(self, config: ModelConfig, words: Words) -> None:
        super().__init__()
        vocabulary = config.unified.backbone.text.vocab_size
        check((len(words) <= vocabulary, f"the tokenizer has {len(words)} tokens, the model {vocabulary} embeddings"))
        self.config = config
        self.unified = Unified(config.unified)
        self.space = ImageSpace(config.space)
        self.template = Template(config.prompt, words)

    def parts(self) -> dict[str, nn.Module]:
        """The parts that a user would name."""
        return {
            "language model": self.unified.backbone.language_model,
            "vision tower": self.unified.backbone.visual,
            "head": self.unified.head,
            "encoder": self.space.encoder,
            "decoder": self.space.decoder,
        }
