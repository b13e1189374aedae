"""An image space of one's own pictures: an encoder, and the sketcher of a pixel decoder that shows what it keeps."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from blip3o.config import check
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError, DataError
from blip3o.flow.noise import draw_noise
from blip3o.model.decoders.pixel import PixelDecoder
from blip3o.model.encoders.convolutional import ConvolutionalEncoder
from blip3o.model.loss import WeightedLoss
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture
from blip3o.train.features import ENCODED_AT_ONCE
from blip3o.train.objectives.objective import NamedLosses, Objective, ObjectiveConfig, PictureBatch

MEASURED = 6000
"""Pictures of which the statistics of a space are taken, spread evenly over the source: it may be a mixture."""


@dataclass(frozen=True, kw_only=True)
class SketchedSpaceConfig(ObjectiveConfig):
    """Features that pictures can be decoded from."""

    feature_noise: float = 0.0
    """Deviation of the noise laid on features before they are decoded: generated features need not be perfect, then."""
    divergence_weight: float = 0.0
    """Weight of the divergence of a variational encoder's features from unit noise; that of the sketch is 1."""

    def __post_init__(self) -> None:
        check(
            (self.feature_noise >= 0, f"feature_noise is {self.feature_noise}, expected 0 or more"),
            (self.divergence_weight >= 0, f"divergence_weight is {self.divergence_weight}, expected 0 or more"),
        )


@dataclass(frozen=True, kw_only=True)
class AutoencoderObjectiveConfig(SketchedSpaceConfig):
    """The same, and nothing else."""

    kind: Literal["autoencoder"] = "autoencoder"


class SketchedSpace(Objective):
    """Encoder and sketcher together. When the stage ends, the statistics of the features become those of the space.

    Of a variational encoder a sample of the features is sketched, and their divergence from unit noise is a loss:

        (1)  D = sum (m^2 + s^2 - log s^2 - 1) / 2

    Source: Kingma and Welling, Auto-Encoding Variational Bayes, arXiv 1312.6114, appendix B.
    """

    names = ("sketch", "divergence")

    def __init__(self, config: Any, pipeline: Pipeline, source: Source) -> None:
        super().__init__(config, pipeline, source)
        decoder = pipeline.space.decoder
        if pipeline.config.space.encoder is None or not isinstance(decoder, PixelDecoder):
            raise ConfigError(f"objective {config.kind} trains an encoder with a pixel decoder's sketcher: name both")
        encoder = pipeline.space.encoder
        self.variational = isinstance(encoder, ConvolutionalEncoder) and encoder.variational
        if self.variational != (config.divergence_weight > 0):
            raise ConfigError(
                f"divergence_weight is {config.divergence_weight:g}, but the encoder is "
                f"{'' if self.variational else 'not '}variational: one needs the other"
            )
        self.sketch_loss = decoder.sketch_loss

    @property
    def factors(self) -> Mapping[str, float]:
        """The divergence counts as the config says."""
        return {"divergence": self.config.divergence_weight}

    def weights(self, batch: PictureBatch) -> Mapping[str, float]:
        """Without a divergence where the encoder has none."""
        weights = super().weights(batch)
        return weights if self.variational else {name: weights[name] for name in self.names if name != "divergence"}

    def losses(self, batch: PictureBatch) -> NamedLosses:
        """Sketches from noised features, and what a subclass asks of these."""
        pixels, rngs = batch.pixels, batch.rngs
        shown = pixels.contiguous(memory_format=torch.channels_last)
        losses: dict[str, WeightedLoss] = {}
        if self.variational:
            features, losses["divergence"] = self.sampled_features(shown, rngs)
        else:
            features = self.pipeline.space.encode(shown)
        noised = features + self.config.feature_noise * draw_noise(features.shape[1:], rngs).to(pixels.device)
        return losses | {"sketch": self.sketch_loss(noised, pixels)} | self.further(noised, batch.indices)

    def sampled_features(
        self, pixels: Float[Tensor, "batch 3 height width"], rngs: Sequence[Generator]
    ) -> tuple[Float[Tensor, "batch channel rows columns"], WeightedLoss]:
        """A sample of a variational encoder's features, and equation (1), a mean for each number of them."""
        encoder = self.pipeline.space.encoder
        assert isinstance(encoder, ConvolutionalEncoder)
        mean, log_variance = encoder.posterior(pixels)
        sample = mean + (log_variance / 2).exp() * draw_noise(mean.shape[1:], rngs).to(mean.device)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1) / 2
        return self.pipeline.space.normalised(sample), WeightedLoss.of_rows(divergence.flatten(1).mean(1))

    def further(self, features: Float[Tensor, "batch channel rows columns"], indices: Sequence[int]) -> NamedLosses:
        """Further losses of the noised features of the samples of these indices."""
        return {}

    @torch.no_grad()
    def finish(self) -> None:
        """Measure the space's statistics, from here on part of it; features from before are no longer true."""
        self.source.features = None
        space = self.pipeline.space
        space.mean.zero_()
        space.deviation.fill_(1)
        features = [self.pipeline.features(pictures).half().float().cpu() for pictures in self.measured()]
        if not features:
            raise DataError("no picture can be read of which the space's statistics could be taken: see `data check`")
        space.measure(torch.cat(features))

    def measured(self) -> Iterator[list[Picture]]:
        """Pictures spread evenly over the source, some at a time, without those that cannot be read."""
        total, count = len(self.source), min(len(self.source), MEASURED)
        for start in range(0, count, ENCODED_AT_ONCE):
            pictures: list[Picture] = []
            for number in range(start, min(start + ENCODED_AT_ONCE, count)):
                with suppress(SampleError):
                    pictures.append(self.source.picture(total * number // count))
            if pictures:
                yield pictures


class AutoencoderObjective(SketchedSpace):
    """The sketch alone: for pictures of any kind."""

    config: AutoencoderObjectiveConfig
