"""GenEval: are the objects of a prompt there, in number, colour and place? (Ghosh and others, arXiv 2310.11513).

553 prompts of six tasks, four pictures each; a detector looks at the pictures, and rules judge what it saw. The
detector is a network here ("hf-detector"), or was one somewhere else, such as the official mmdet ("mmdet-json"); for
the drawings of the picture book it is the book's own ("picturebook").
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from blip3o.errors import ConfigError, DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, BenchmarkOptions, Item, Judge, Metrics, Record, Verdict, scored
from blip3o.evals.generation import geneval
from blip3o.evals.generation.detections import (
    Detections,
    DetectionSource,
    Detector,
    RunningDetector,
    StoredDetections,
    opened,
)
from blip3o.plugins import resolve

PROMPTS = ("evaluation_metadata.jsonl", "geneval_prompt.jsonl", "evaluation_metadata_long.jsonl")
"""The official file, BLIP3-o's copy of it, and prompts written out at length: other words, so other numbers."""
OWN_DETECTORS = {"picturebook": "picturebook.detector.geneval:PictureBookDetections"}
"""Protocol -> module:Class of the detector of one world, which tells colours, too."""


@runtime_checkable
class Colors(Protocol):
    """A network that tells colours."""

    def classify(self, kind: str, crops: Sequence[Image.Image]) -> Sequence[str]:
        """One of GenEval's ten colours for each crop of an object of a class."""
        ...


class GenEval(Benchmark):
    """Reads `evaluation_metadata.jsonl`, or one of the other files that its prompts come in.

    Without a detector ("hf-detector"), the boxes of one ("mmdet-json") or another source of them ("picturebook")
    nothing is scored. `colors` is asked for the colours that the boxes do not tell; a detector needs it.
    """

    name = "geneval"
    kind = "generation"
    protocols = ("hf-detector", "mmdet-json", "picturebook")
    heeds = frozenset({"ready", "detector"})

    def __init__(
        self,
        protocol: str,
        judge: Judge | None = None,
        *,
        detector: Detector | None = None,
        colors: Colors | None = None,
        detections: Path | Mapping[str, Any] | None = None,
        source: DetectionSource | None = None,
    ) -> None:
        super().__init__(protocol, judge)
        if detector is not None and colors is None:
            raise ConfigError("GenEval has a detector but nothing that tells colours: expected colors as well")
        ways = {
            "hf-detector": None if detector is None else RunningDetector(detector),
            "mmdet-json": None if detections is None else StoredDetections(detections),
            "picturebook": source,
        }
        self._source, self._colors = ways[protocol], colors

    @classmethod
    def build(cls, protocol: str, options: BenchmarkOptions) -> Benchmark:
        ready, detector = options.ready, options.detector
        if ready is not None and detector is not None:
            raise ConfigError("GenEval has both --ready and --detector: name one of them")
        if protocol in OWN_DETECTORS and detector not in (None, protocol):
            raise ConfigError(f"the protocol {protocol} has its own detector, got {detector!r}: leave --detector out")
        own = detector if detector in OWN_DETECTORS else protocol
        if ready is not None:
            benchmark, scorer = cls("mmdet-json", detections=ready), options.ready_name
        elif own in OWN_DETECTORS:
            source: Any = resolve(own, OWN_DETECTORS)
            benchmark, scorer = cls(own, source=source()), None
        elif detector is not None:
            from blip3o.evals.generation.colors import ColorClassifier
            from blip3o.evals.generation.mask2former import REPOSITORY, Mask2Former
            from blip3o.weights.placement.device import find_device

            scorer, device = detector or REPOSITORY, str(find_device(options.device))
            benchmark = cls(protocol, detector=Mask2Former(scorer, device), colors=ColorClassifier(device=device))
        else:
            benchmark, scorer = cls(protocol), None
        benchmark.scorer = scorer
        return benchmark

    def items(self, folder: Path) -> list[Item]:
        path = tables.need(folder, "GenEval's prompts", *PROMPTS)
        self.read, rows = path.name, tables.read_lines(path)
        if not rows:
            raise DataError(f"{path} is empty: copy it again")
        return [self._item(index, row, path) for index, row in enumerate(rows)]

    def _item(self, index: int, row: tables.Row, path: Path) -> Item:
        tag, text, _ = (tables.column(row, path, name) for name in ("tag", "prompt", "include"))
        try:
            prompt = geneval.Prompt.from_metadata(row)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"{path}, prompt {index}, is none of GenEval's ({error}): copy the file again") from error
        strange = {clause.kind for clause in prompt.include + prompt.exclude} - set(geneval.CLASSES)
        if tag not in geneval.TASKS or strange:
            what = f"task {tag!r}" if tag not in geneval.TASKS else f"class {min(strange)!r}"
            raise DataError(f"{path}, prompt {index}, has the {what}, which GenEval has not: copy the file again")
        files = tuple(f"{index:05d}/samples/{number:05d}.png" for number in range(4))
        return Item(
            id=f"{index:05d}", prompt=text, category=tag, facts={"metadata": row}, unit=text, count=4, files=files
        )

    def score(self, item: Item, answer: Answer) -> Verdict | None:
        """The share of the pictures that are right. None without a detector or its boxes.

        Raises DataError for a picture that cannot be read, or of which the boxes or their colours are not known.
        """
        if self._source is None:
            return None
        if not answer:
            return Verdict(score=0.0, parsed=[False] * item.count, details={"reasons": ["nothing was drawn"]})
        prompt = geneval.Prompt.from_metadata(item.facts["metadata"])
        seen = [self._judged(prompt, Path(path), self._source.see(Path(path))) for path in answer]
        right = [one.correct for one in seen]
        return Verdict(score=sum(right) / len(right), parsed=right, details={"reasons": [one.reason for one in seen]})

    def _judged(self, prompt: geneval.Prompt, path: Path, seen: Detections) -> geneval.ImageVerdict:
        def colors_of(kind: str, found: Sequence[geneval.KeptBox]) -> Sequence[str]:
            told = seen.colors.get(kind, {})
            known = [told[one.row] for one in found if one.row in told]
            return known if len(known) == len(found) else self._classified(path, kind, found, seen)

        return geneval.evaluate_image(prompt, seen.boxes, colors_of)

    def _classified(self, path: Path, kind: str, found: Sequence[geneval.KeptBox], seen: Detections) -> Sequence[str]:
        if self._colors is None:
            raise DataError(f"the detections of {path} tell no colour of {kind!r}: expected it at the end of each box")
        picture, masks = opened(path), seen.masks.get(kind)
        return self._colors.classify(
            kind, [geneval.crop(picture, one.box, None if masks is None else masks[one.row]) for one in found]
        )

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The mean over the tasks, 0 to 1, as published; then each task's share of right pictures, and in percent the
        shares of right pictures and of prompts with a right picture."""
        scores = [
            geneval.Score(item.category, item.unit or item.id, right)
            for item, verdict in scored(records)
            for right in verdict.parsed
        ]
        if not scores:
            return {"overall": float("nan")}
        summary = geneval.summarise(scores)
        tasks = {f"task/{tag}": right / total for tag, (right, total) in sorted(summary.tasks.items())}
        shares = {"images_percent": 100 * summary.image_share, "prompts_percent": 100 * summary.prompt_share}
        return {"overall": summary.overall} | tasks | shares
