"""The history of a run, gathered from the events of its journal as they come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blip3o.train.charts import Curve
from blip3o.train.log import NO_LOSSES, Event


@dataclass
class StageHistory:
    """What is known of a stage; of a step that was done twice, what was told last."""

    name: str
    steps: int
    begun: float
    """When it was started last, in seconds since 1970."""
    told: dict[int, Event] = field(default_factory=dict)
    """Step -> what the journal says of it."""
    validations: dict[int, Mapping[str, float]] = field(default_factory=dict)
    scores: dict[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """The last step that is known of."""
        return max((0, *self.told))

    @property
    def last(self) -> Event:
        """What was told of it; empty before anything was."""
        return self.told.get(self.step, {})

    def curve(self, name: str) -> Curve:
        """A number that is told of steps."""
        return [(float(step), float(event[name])) for step, event in sorted(self.told.items()) if name in event]

    def losses(self) -> dict[str, Curve]:
        """Those of training, `total` first, and those of validation."""
        names = dict.fromkeys(name for event in self.told.values() for name in event if name not in NO_LOSSES)
        trained = {name: self.curve(name) for name in sorted(names, key=lambda name: name != "total")}
        return trained | curves_of(self.validations)


def curves_of(values: Mapping[int, Mapping[str, float]]) -> dict[str, Curve]:
    """Step -> numbers by their names, as a curve for each name."""
    names = dict.fromkeys(name for some in values.values() for name in some)
    return {
        name: [(float(step), float(some[name])) for step, some in sorted(values.items()) if name in some]
        for name in names
    }


class RunHistory:
    """A run from its first start to now."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.start: Event = {}
        self.end: Event | None = None
        """How the run ended; None while it goes on."""
        self.stages: dict[str, StageHistory] = {}
        self.warnings: list[str] = []
        for event in events:
            self.hear(event)

    def hear(self, event: Event) -> None:
        """Take the next event; kinds that it does not know change nothing."""
        numbers = {name: value for name, value in event.items() if name not in ("event", "time", "stage", "step")}
        match event:
            case {"event": "start"}:
                self.start, self.end = event, None
            case {"event": "end"}:
                self.end = event
            case {"event": "warning", "text": str() as text}:
                self.warnings.append(text)
            case {"event": "stage", "name": str() as name}:
                self._begin(name, event)
            case {"event": "step", "stage": name, "step": step} if name in self.stages:
                self.stages[name].told[step] = event
            case {"event": "validation", "stage": name, "step": step} if name in self.stages:
                self.stages[name].validations[step] = numbers
            case {"event": "scores", "stage": name, "step": step} if name in self.stages:
                self.stages[name].scores[step] = numbers

    def _begin(self, name: str, event: Mapping[str, Any]) -> None:
        before = self.stages.get(name)
        told = {} if before is None else before.told
        begun = StageHistory(name, event["steps"], event["time"], told)
        if before is not None:
            begun.validations, begun.scores = before.validations, before.scores
        self.stages[name] = begun

    @property
    def current(self) -> StageHistory | None:
        """The stage that was started last."""
        return max(self.stages.values(), key=lambda stage: stage.begun, default=None)
