"""The machine as one thing: the unified model, its image space, and the template that speaks to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blip3o.config import check
from blip3o.errors import ConfigError
from blip3o.flow.noise import generators
from blip3o.model.space import ImageSpace, SpaceConfig
from blip3o.model.unified import Unified, UnifiedConfig
from blip3o.prompt.conversation import Picture
from blip3o.prompt.pictures import to_pixels
from blip3o.prompt.template import Encoded, PromptConfig, Template
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
    rows: int = 0
    """Images that flow in one pass, always as many, each thought by itself; 0 draws a batch as it is.

    With a number of rows a matrix product changes the order in which it adds. With as many rows in every pass, an image
    is the same to the last bit in any batch.
    """

    def __post_init__(self) -> None:
        check(
            (self.steps > 0, f"steps is {self.steps}, expected 1 or more"),
            (self.decoder_steps > 0, f"decoder_steps is {self.decoder_steps}, expected 1 or more"),
            (self.guidance >= 0, f"guidance is {self.guidance}, expected 0 or more"),
            (self.rows >= 0, f"rows is {self.rows}, expected 0 or more"),
        )


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

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.space.mean.device

    def features(self, pictures: Sequence[Picture]) -> Float[Tensor, "batch channel rows columns"]:
        """Features of pictures in the target space."""
        return self.space.encode(to_pixels(list(pictures)).to(self.device))

    def draw(
        self, asked: Sequence[Encoded], seeds: Sequence[int], sampling: SamplingConfig
    ) -> Float[Tensor, "batch 3 height width"]:
        """The picture in [-1, 1] for the slot of each conversation, by its own seed."""

        def drawn(indices: Sequence[int]) -> Float[Tensor, "rows 3 height width"]:
            rows = [asked[index] for index in indices]
            batches = [[row] for row in rows] if sampling.rows else [rows]
            rngs = generators([seeds[index] for index in indices])
            features = self.unified.imagine(
                [self.template.collate(batch).to(self.device) for batch in batches],
                rngs,
                steps=sampling.steps,
                guidance=sampling.guidance,
            )
            return self.space.decode(features, rngs, steps=sampling.decoder_steps)

        return _in_passes(drawn, len(asked), sampling.rows)

    def reconstruct(
        self, pictures: Sequence[Picture], seeds: Sequence[int], sampling: SamplingConfig
    ) -> Float[Tensor, "batch 3 height width"]:
        """Each picture to features and back to pixels in [-1, 1], by its own seed."""

        def painted(indices: Sequence[int]) -> Float[Tensor, "rows 3 height width"]:
            features = self.features([pictures[index] for index in indices])
            return self.space.decode(
                features, generators([seeds[index] for index in indices]), steps=sampling.decoder_steps
            )

        return _in_passes(painted, len(pictures), sampling.rows)


def _in_passes(make: Callable[[Sequence[int]], Tensor], count: int, rows: int) -> Tensor:
    """What `make` makes of the items 0 to `count` - 1, `rows` at a time; the last pass is filled up with its first."""
    rows = rows or count
    made = []
    for start in range(0, count, rows):
        indices = list(range(start, min(start + rows, count)))
        made.append(make(indices + indices[:1] * (rows - len(indices)))[: len(indices)])
    return torch.cat(made)


def find_device(name: str) -> torch.device:
    """The device of this name ("cpu", "cuda", "cuda:1", "mps"), or of "auto" the fastest that the machine has.

    Raises ConfigError for one that it lacks.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    here = [kind for kind, there in found.items() if there]
    if name != "auto" and name.partition(":")[0] not in here:
        raise ConfigError(f"device is {name!r}, which this machine lacks: choose auto or one of {', '.join(here)}")
    return torch.device(here[0] if name == "auto" else name)
