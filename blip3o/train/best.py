"""The best models of a run by a score: `best/<stage>-<step>/`, a checkpoint each, as `--model` takes it."""

import os
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree

from blip3o.errors import OutputError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.states import KeptConfig
from blip3o.weights import checkpoint
from blip3o.weights.folders import about_in

FOLDER = "best"


class BestCheckpoints:
    """As many as the config says; what they scored stands in their files, so that a run that goes on compares too."""

    def __init__(self, run: Path, config: KeptConfig) -> None:
        self.folder, self.config = run / FOLDER, config

    def add(self, pipeline: Pipeline, stage: str, step: int, scores: Mapping[str, float]) -> None:
        """Keep the model where it is among the best, in the place of the worst of these. Scores without the one that
        counts (a stage that is not asked for it) change nothing. Raises OutputError."""
        config = self.config
        if not config.best or config.by not in scores:
            return
        place, score = self.folder / f"{stage}-{step:06d}", float(scores[config.by])
        known = {path: self._score(path) for path in self.folder.glob("[!.]*") if path != place}
        ranked = sorted([*known, place], key=lambda path: self._rank({**known, place: score}[path]))
        if place in ranked[: config.best]:
            self._write(pipeline, place, {"stage": stage, "step": step, config.by: score})
        for worse in ranked[config.best :]:
            rmtree(worse, ignore_errors=True)

    def _write(self, pipeline: Pipeline, place: Path, about: Mapping[str, object]) -> None:
        temporary = place.with_name(f".{place.name}")
        rmtree(temporary, ignore_errors=True)
        try:
            checkpoint.save(pipeline, temporary, about=about)
            rmtree(place, ignore_errors=True)
            os.replace(temporary, place)
        except OSError as error:
            raise OutputError(f"cannot write {place} ({error.strerror}): make room, then go on") from error
        finally:
            rmtree(temporary, ignore_errors=True)

    def _rank(self, score: float) -> float:
        """Lower is better."""
        return score if self.config.lowest else -score

    def _score(self, place: Path) -> float:
        """What a kept one scored; one that was kept by another score counts as the worst."""
        score = about_in(place / checkpoint.WEIGHTS).get(self.config.by)
        return float(score) if isinstance(score, int | float) else float("inf") * (1 if self.config.lowest else -1)
