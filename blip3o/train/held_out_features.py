"""The features that a model generates for held-out prompts, and those of the pictures that belong to them.

How far they are apart as sets tells of the generator by itself: no decoder stands between, and no other network.
"""

import random
from collections.abc import Collection, Iterator

import numpy as np
import torch
from jaxtyping import Float

from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.flow.noise import generators
from blip3o.model.unified import ImageRequests
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Conversation, Picture

AT_ONCE = 16
"""Pictures that are drawn together."""
TRIES = 50
"""Conversations looked at for each that is wanted: not all end in a picture, and some cannot be read."""


@torch.inference_mode()
def feature_sets(
    pipeline: Pipeline, source: Source, tasks: Collection[str], count: int
) -> tuple[Float[np.ndarray, "positions channel"], Float[np.ndarray, "positions channel"]] | None:
    """Generated and real features of `count` held-out requests, always the same with the same noise; every position of
    a picture is a row. None where fewer than two requests are found."""
    talks = list(drawings(source, tasks, count))
    if len(talks) < 2:
        return None
    generated, real = [], []
    for start in range(0, len(talks), AT_ONCE):
        part = talks[start : start + AT_ONCE]
        asked = [pipeline.template.ask(talk[:-1], draw=True) for talk in part]
        batch = pipeline.template.collate(asked, left=True).to(pipeline.device)
        rngs = generators(range(start, start + len(part)))
        drawn = pipeline.unified.sample_features([ImageRequests.each(batch)], rngs, pipeline.config.sampling)
        generated.append(_rows(drawn))
        real.append(_rows(pipeline.features([_target(talk) for talk in part])))
    return np.concatenate(generated), np.concatenate(real)


def drawings(source: Source, tasks: Collection[str], count: int) -> Iterator[Conversation]:
    """Held-out conversations without pictures before the one that they end in, at most `count`."""
    rng = random.Random("held-out drawings")
    indices = source.indices("held out", sorted(tasks)) if tasks else {}
    found = 0
    for _ in range(TRIES * count if tasks else 0):
        task = rng.choice(sorted(indices or tasks))
        index = int(rng.choice(indices[task])) if indices else rng.randrange(source.length(task))
        try:
            talk = source.conversation(task, index, rng)
        except SampleError:
            continue
        parts = [part for turn in talk for part in turn.content]
        if found < count and [isinstance(part, Picture) for part in parts] == [False] * (len(parts) - 1) + [True]:
            found += 1
            yield talk


def _target(talk: Conversation) -> Picture:
    picture = talk[-1].content[-1]
    assert isinstance(picture, Picture)
    return picture


def _rows(features: torch.Tensor) -> Float[np.ndarray, "positions channel"]:
    return features.float().flatten(2).mT.flatten(0, 1).cpu().numpy()
