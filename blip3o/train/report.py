"""The page of a run: report.html in its folder, one file without anything from elsewhere, rewritten while it trains.

A browser that has it open loads it anew by itself as long as the run goes on, so the page is the live view of a run on
another machine, too. What it costs is bounded: it is not written before a hundred times the time has passed that
writing it took last.
"""

import base64
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blip3o.config import to_dict
from blip3o.data.skipped import LISTED
from blip3o.errors import OutputError
from blip3o.files import write_text
from blip3o.train.charts import brief_number, chart
from blip3o.train.history import RunHistory, StageHistory, curves_of
from blip3o.train.log import Event
from blip3o.train.recipe import Recipe

REPORT = "report.html"
SAMPLES = "samples.json"
"""In each folder of samples: what is shown on the page, a list of `PictureOfSample` without their pictures."""
REFRESH_S = 30.0
COST = 100
"""The page takes at most this part of the time, one hundredth."""
MOST_PICTURES = 8
"""Times at which the pictures of a stage are shown; of more the first, the last, and some between."""
MOST_SCORES = 12
"""The same of scores in their table; their curves have all."""
MOST_EXAMPLES = 3
"""Skipped samples that are named for each reason and file."""
FACTS = {
    "samples_per_s": "samples/s",
    "waiting": "share of the time waiting for data",
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm, before clipping",
    "memory_mb": "memory, MB",
    "device_memory_mb": "highest memory of the GPU, MB",
}
"""What is charted beside the losses, and its title."""


@dataclass(frozen=True, kw_only=True)
class PictureOfSample:
    """A small picture that was drawn while training, as the page shows it."""

    kind: str
    """What was done: drawn, edited, reconstructed."""
    text: str
    """What was asked for."""
    source: str
    """The picture, as a URL that holds it."""


class RunReport:
    """Hears of every event of a run and keeps its page up to date."""

    def __init__(self, folder: Path, recipe: Recipe, events: Iterable[Event] = ()) -> None:
        """`events` are those that the journal has of before."""
        self.folder, self.recipe = folder, recipe
        self.history = RunHistory(events)
        self.pictures: dict[Path, Sequence[PictureOfSample]] = {}
        self.due = 0.0
        self.template = _template()

    def hear(self, event: Event) -> None:
        """Take the next event, and write the page where it is due: at every event but steps, and at these when some
        time has passed. Where it cannot be written, the run goes on: nothing depends on it."""
        self.history.hear(event)
        since = time.perf_counter()
        if event["event"] == "step" and since < self.due:
            return
        with suppress(OutputError):
            write_text(self.folder / REPORT, self.page())
        took = time.perf_counter() - since
        self.due = since + max(REFRESH_S, COST * took)

    def page(self) -> str:
        """The page as it stands now."""
        return self.template.render(
            recipe=self.recipe,
            recipe_text=json.dumps(to_dict(self.recipe), indent=2, ensure_ascii=False),
            history=self.history,
            written=time.time(),
            refresh_s=round(max(REFRESH_S, 2.0)),
            progress=self.progress(),
            facts=FACTS,
            chart=chart,
            curves_of=curves_of,
            strips=self.strips,
            evenly=evenly,
            most_scores=MOST_SCORES,
            skipped=skipped_in(self.folder / LISTED),
        )

    def progress(self) -> list[tuple[str, int, int]]:
        """Of each stage of the recipe its name, the steps that are done and all of them."""
        known = self.history.stages
        return [(one.name, known[one.name].step if one.name in known else 0, one.steps) for one in self.recipe.stages]

    def strips(self, stage: StageHistory) -> list[tuple[str, str, list[tuple[int, str]]]]:
        """What was drawn over time: of each request its kind, its text, and steps with pictures."""
        folders = {int(path.name.rpartition("-")[2]): path for path in self._folders(stage.name)}
        found: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
        for step in evenly(sorted(folders), MOST_PICTURES):
            repeated: Counter[tuple[str, str]] = Counter()
            for picture in self._shown(folders[step]):
                request = picture.kind, picture.text
                repeated[request] += 1
                found.setdefault((*request, repeated[request]), []).append((step, picture.source))
        return [(kind, text, pictures) for (kind, text, _), pictures in found.items()]

    def _folders(self, stage: str) -> Iterable[Path]:
        places = (self.folder / "samples").glob(f"{stage}-*/{SAMPLES}")
        return (place.parent for place in places if place.parent.name.removeprefix(f"{stage}-").isdigit())

    def _shown(self, folder: Path) -> Sequence[PictureOfSample]:
        """The pictures of a folder, which never change once they are listed."""
        if folder not in self.pictures:
            with suppress(OSError, ValueError, KeyError):
                listed = json.loads((folder / SAMPLES).read_text(encoding="utf-8"))
                self.pictures[folder] = [_picture(folder, one) for one in listed]
        return self.pictures.get(folder, ())


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"brief": brief_number, "duration": duration, "clock": _clock}
    return environment.get_template(REPORT)


def _picture(folder: Path, facts: Mapping[str, str]) -> PictureOfSample:
    content = base64.b64encode((folder / facts["file"]).read_bytes()).decode()
    return PictureOfSample(kind=facts["kind"], text=facts["text"], source=f"data:image/webp;base64,{content}")


def skipped_in(path: Path) -> list[dict[str, Any]]:
    """The skipped samples that a file lists, by reason and file, the most frequent first, with examples of each."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError, KeyError, TypeError):
            one = json.loads(line)
            key = one["reason"], one["shard"]
            group = groups.setdefault(key, {"reason": key[0], "shard": key[1], "count": 0, "examples": []})
            group["count"] += 1
            if len(group["examples"]) < MOST_EXAMPLES:
                group["examples"].append(f"{one['address']} {one.get('detail', '')}".strip())
    return sorted(groups.values(), key=lambda group: -group["count"])


def evenly(items: Sequence[int], most: int) -> list[int]:
    """At most so many items: the first, the last, and those between at like distances."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]


def duration(seconds: float) -> str:
    """Seconds in words: "2 d 3 h", "3 h 05 min", "12 min", "40 s"."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{round(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
