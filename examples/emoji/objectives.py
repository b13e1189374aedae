"""The two objectives that the emoji need beside those of the package: a vision tower that knows names, and a model that
fills the gaps of its own training data."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from blip3o.model.loss import WeightedLoss
from blip3o.pipeline import generation
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Conversation, Turn
from blip3o.train.objectives.objective import NamedLosses, Objective, ObjectiveConfig, PictureBatch
from blip3o.train.objectives.unified import UnifiedObjective, UnifiedObjectiveConfig
from examples.emoji.pack import RESTYLE
from examples.emoji.source import EmojiSource, balanced

TEMPERATURE = 0.05
"""Of the cosines between pictures and names."""
STYLE_WEIGHT = 0.3
SMOOTHING = 0.05
"""Share of the other names in what is to be said."""
DRAWN_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class NameTowerConfig(ObjectiveConfig):
    """A vision tower by itself."""

    kind: Literal["examples.emoji.objectives:NameTower"] = "examples.emoji.objectives:NameTower"


class NameTower(Objective):
    """The backbone's vision tower alone, before a language model listens to it: the tokens of a picture point, in their
    mean, where the name points, the mean of its tokens' embeddings, against all other names; and, a little, where its
    style points. Of names alone the tower would learn to look past the style.

    Source: the contrastive loss of CLIP, arXiv 2103.00020, with all names in place of those of the batch.
    """

    names = ("contrast", "style")
    config: NameTowerConfig
    source: EmojiSource
    ids: Tensor
    style_ids: Tensor

    def __init__(self, config: NameTowerConfig, pipeline: Pipeline, source: EmojiSource) -> None:
        super().__init__(config, pipeline, source)
        self.called = sorted({record.called for record in source.records})
        self.styles = sorted({record.style for record in source.records})
        self.register_buffer("ids", self.tokens(self.called))
        self.register_buffer("style_ids", self.tokens(self.styles))

    def tokens(self, texts: Sequence[str]) -> Int[Tensor, "text token"]:
        """The tokens of each text, -1 after its end."""
        tokens = [self.pipeline.template.words.encode(text) for text in texts]
        longest = max(map(len, tokens))
        return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in tokens])

    @property
    def factors(self) -> Mapping[str, float]:
        """Names are many, styles few."""
        return {"style": STYLE_WEIGHT}

    def losses(self, batch: PictureBatch) -> NamedLosses:
        """Cross-entropy of names and of styles."""
        backbone = self.pipeline.unified.backbone
        numbers = [balanced(self.source.cells, index) for index in batch.indices]
        pictures = [
            self.source.seen(number, random.Random(address))
            for number, address in zip(numbers, batch.addresses, strict=True)
        ]
        pixel_values, image_grid_thw = self.pipeline.template.pixel_values(pictures)
        tokens = backbone.encode_images(pixel_values.to(self.device), image_grid_thw.to(self.device))
        shown = F.normalize(tokens.unflatten(0, (len(numbers), -1)).float().mean(1), dim=-1)
        records = [self.source.records[number] for number in numbers]
        names = [self.called.index(record.called) for record in records]
        styles = [self.styles.index(record.style) for record in records]
        return {
            "contrast": self.contrast(shown, self.ids, names),
            "style": self.contrast(shown, self.style_ids, styles),
        }

    def contrast(
        self, shown: Float[Tensor, "batch hidden"], ids: Int[Tensor, "text token"], right: Sequence[int]
    ) -> WeightedLoss:
        """Cross-entropy of the right text of each row among all, by the cosines with their mean embeddings."""
        embeddings = self.pipeline.unified.backbone.embed(ids.clamp(min=0)).float() * (ids >= 0)[..., None]
        logits = shown @ F.normalize(embeddings.sum(1), dim=-1).T / TEMPERATURE
        wanted = torch.tensor(right).to(self.device)
        return WeightedLoss.of_rows(F.cross_entropy(logits, wanted, reduction="none", label_smoothing=SMOOTHING))


@dataclass(frozen=True, kw_only=True)
class FillGapsConfig(UnifiedObjectiveConfig):
    """As of the unified objective."""

    kind: Literal["examples.emoji.objectives:FillGaps"] = "examples.emoji.objectives:FillGaps"  # pyright: ignore[reportIncompatibleVariableOverride]


class FillGaps(UnifiedObjective):
    """The unified objective on more than the given pictures: what has no picture in a style gets one that the model
    itself restyles from the other, before the stage begins.

    Changing a style is learned from pairs and holds for pictures that were in no pair; drawing from words is learned
    word by word and does not. So the model teaches itself: source and instruction are given, the target is its own. No
    picture that was held out is looked at.
    Source: back-translation (Sennrich et al., arXiv 1511.06709), of pictures in place of sentences.
    """

    config: FillGapsConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    source: EmojiSource

    def __init__(self, config: FillGapsConfig, pipeline: Pipeline, source: EmojiSource) -> None:
        gaps = source.gaps()
        source.fill(gaps, restyle(pipeline, source, gaps))
        super().__init__(config, pipeline, source)


@torch.no_grad()
def restyle(pipeline: Pipeline, source: EmojiSource, gaps: list[tuple[int, str]]) -> list[np.ndarray]:
    """Pictures of the source, each in a style that it lacks, as the model draws them: uint8 [height, width, 3]. Each
    has a seed of its own."""
    training = pipeline.training
    pipeline.eval()
    engine = Engine(pipeline, capacity=DRAWN_AT_ONCE)

    def requests() -> Iterator[Conversation]:
        for number, style in gaps:
            yield (Turn("user", (source.varied_picture(number, 0), RESTYLE[0].format(style=style))),)

    tasks = (
        generation.draw(engine, conversation, seed, pipeline.config.sampling)
        for seed, conversation in enumerate(requests())
    )
    images = generation.collect(engine, tasks, len(gaps))
    pipeline.train(training)
    return [np.asarray(image.convert("RGB")) for image in images]
