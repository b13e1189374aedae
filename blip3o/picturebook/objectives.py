"""The objectives that need the picture book's words: the image space with dense captions, and the vision tower."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from blip3o.config import check
from blip3o.model.encoders.dense_caption_loss import DenseCaptionConfig, DenseCaptionLoss
from blip3o.model.loss import WeightedLoss
from blip3o.picturebook.source import PHRASES, Scenes
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, PLACES
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.objectives.autoencoder import SketchedSpace, SketchedSpaceConfig
from blip3o.train.objectives.objective import NamedLosses, Objective, ObjectiveConfig, PictureBatch

PHRASE_WORDS = ("nothing", *COLORS, *ALL_KINDS, "day", "night", *PLACES)
"""The words of `Scenes.phrases`."""
CELL_WORDS = (*PHRASE_WORDS[1:], "top", "left", "middle", "right", "bottom")
"""The words of `Scenes.cell_words`."""
TEMPERATURE = 0.05
"""Of the cosines between a picture's tokens and words."""


@dataclass(frozen=True, kw_only=True)
class SpaceObjectiveConfig(SketchedSpaceConfig):
    """An encoder and the sketcher of a pixel decoder."""

    kind: Literal["picturebook.objectives:SpaceObjective"] = "picturebook.objectives:SpaceObjective"
    dense_caption_weight: float = 0.0
    """Weight of the image-text loss (model/encoders/dense_caption_loss.py); that of the sketch is 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        weight = self.dense_caption_weight
        check((weight >= 0, f"dense_caption_weight is {weight}, expected 0 or more"))


class SpaceObjective(SketchedSpace):
    """Features that pictures can be decoded from, and that tell what stands where."""

    names = ("sketch", "divergence", "telling")
    config: SpaceObjectiveConfig
    source: Scenes

    def __init__(self, config: SpaceObjectiveConfig, pipeline: Pipeline, source: Scenes) -> None:
        super().__init__(config, pipeline, source)
        encoder = pipeline.config.space.encoder
        assert encoder is not None
        sizes = DenseCaptionConfig(
            vocabulary=len(PHRASE_WORDS), places=PHRASES, channels=encoder.channels, positions=encoder.side**2
        )
        self.telling = DenseCaptionLoss(sizes)  # saved states and journals of older runs bear this name

    @property
    def factors(self) -> Mapping[str, float]:
        """Dense captions count as the config says."""
        return {**super().factors, "telling": self.config.dense_caption_weight}

    def further(self, features: Float[Tensor, "batch channel rows columns"], indices: Sequence[int]) -> NamedLosses:
        """Dense captions, from the noised features, too."""
        phrases = word_shares([self.source.phrases(index) for index in indices], PHRASE_WORDS).to(self.device)
        return {"telling": self.telling(features, phrases)}


@dataclass(frozen=True, kw_only=True)
class TowerObjectiveConfig(ObjectiveConfig):
    """A vision tower by itself."""

    kind: Literal["picturebook.objectives:TowerObjective"] = "picturebook.objectives:TowerObjective"


class TowerObjective(Objective):
    """The backbone's vision tower alone, before a language model listens to it: a token of a picture points where the
    embeddings of the words point that are true of its cell.

    What is asked for in words can then be searched for in the picture by likeness.
    Source: the contrastive loss of CLIP, arXiv 2103.00020, with the words of a cell in place of a caption.
    """

    names = ("contrast",)
    config: TowerObjectiveConfig
    source: Scenes
    ids: Tensor

    def __init__(self, config: TowerObjectiveConfig, pipeline: Pipeline, source: Scenes) -> None:
        super().__init__(config, pipeline, source)
        ids = torch.tensor([pipeline.template.words.encode(word) for word in CELL_WORDS]).squeeze(1)
        self.register_buffer("ids", ids)

    def losses(self, batch: PictureBatch) -> NamedLosses:
        """Contrast of the tower's tokens with the embeddings of all words that are true of some cell."""
        backbone = self.pipeline.unified.backbone
        pixel_values, image_grid_thw = self.pipeline.template.pixel_values([*batch.pictures])
        tokens = backbone.encode_images(pixel_values.to(self.device), image_grid_thw.to(self.device))
        cells = F.normalize(tokens.unflatten(0, (len(batch.indices), -1)).float(), dim=-1)
        words = F.normalize(backbone.embed(self.ids[None])[0].float(), dim=-1)
        shares = word_shares([self.source.cell_words(index) for index in batch.indices], CELL_WORDS).to(self.device)
        losses = -(shares * (cells @ words.T / TEMPERATURE).log_softmax(-1)).sum(-1).mean(-1)
        return {"contrast": WeightedLoss.of_rows(losses)}


def word_shares(texts: list[list[str]], vocabulary: tuple[str, ...]) -> Float[Tensor, "batch place vocabulary"]:
    """The share of each word in these texts, as many in each row."""
    index_of = {word: index for index, word in enumerate(vocabulary)}
    shares = torch.zeros(len(texts), len(texts[0]), len(vocabulary))
    for row, places in enumerate(texts):
        for place, text in enumerate(places):
            words = text.split()
            shares[row, place, [index_of[word] for word in words]] = 1 / len(words)
    return shares
