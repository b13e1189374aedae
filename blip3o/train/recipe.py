"""Recipes: what a training run is, as values."""

from dataclasses import dataclass, field
from typing import Literal

from blip3o.config import check
from blip3o.picturebook.tasks import TASKS
from blip3o.pipeline.pipeline import ModelConfig


@dataclass(frozen=True, kw_only=True)
class BookConfig:
    """The pictures that a stage trains on."""

    seed: str
    stories: int
    """Stories of three pictures each."""

    def __post_init__(self) -> None:
        check((self.stories > 0, f"stories is {self.stories}, expected 1 or more"))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run."""

    name: str
    objective: Literal["space", "decoder", "tower", "unified"]
    """A key of OBJECTIVES (train/objectives/objectives.py)."""
    trains: tuple[str, ...]
    """Parts of the machine that learn, by the beginnings of their parameters' names."""
    steps: int
    batch_size: int
    """Pictures (space, decoder, tower) or drawing conversations (unified) in one step."""
    learning_rate: float
    draw: dict[str, float] = field(default_factory=dict)
    """Weights of the tasks that end in a picture."""
    text: dict[str, float] = field(default_factory=dict)
    """Weights of the tasks that end in words."""
    text_batch_size: int = 0
    """Conversations of `text` in one step, beside those of `draw`."""
    text_weight: float = 1.0
    """Weight of the text loss; that of the image loss is 1."""
    feature_noise: float = 0.0
    """Deviation of the noise laid on features before they are painted: imagined features need not be perfect, then."""
    telling_weight: float = 0.0
    """Weight of the image-text loss in the space objective (model/encoders/dense_caption_loss.py)."""
    warmup: int = 100
    """Steps over which the learning rate rises."""
    weight_decay: float = 0.01
    ema: float = 0.999
    """Decay per step of the average of the weights that the stage ends with."""
    clip: float = 1.0
    """Largest norm of a step's gradient."""

    def __post_init__(self) -> None:
        strange = sorted((self.draw.keys() | self.text.keys()) - TASKS.keys())
        check(
            (self.steps > 0, f"steps is {self.steps}, expected 1 or more"),
            (self.batch_size >= 0, f"batch_size is {self.batch_size}, expected 0 or more"),
            (
                self.objective == "unified" or self.batch_size > 0,
                f"batch_size is {self.batch_size}, expected 1 or more pictures for objective {self.objective!r}",
            ),
            (self.learning_rate > 0, f"learning_rate is {self.learning_rate}, expected more than 0"),
            (0 <= self.ema < 1, f"ema is {self.ema}, expected 0 or more and less than 1"),
            (self.clip > 0, f"clip is {self.clip}, expected more than 0"),
            *(
                (value >= 0, f"{name} is {value}, expected 0 or more")
                for name, value in (
                    ("warmup", self.warmup),
                    ("weight_decay", self.weight_decay),
                    ("feature_noise", self.feature_noise),
                    ("telling_weight", self.telling_weight),
                    ("text_weight", self.text_weight),
                    *(self.draw | self.text).items(),
                )
            ),
            *(
                (not tasks or sum(tasks.values()) > 0, f"{kind} weighs no task: give one a weight above 0")
                for kind, tasks in (("draw", self.draw), ("text", self.text))
            ),
            (not strange, f"no such tasks: {', '.join(strange)}; there are {', '.join(TASKS)}"),
            (bool(self.trains), "trains is empty: name the parts that learn"),
            (
                self.objective != "unified" or bool(self.draw) == bool(self.batch_size),
                "draw and batch_size belong together: give both or neither",
            ),
            (bool(self.text) == bool(self.text_batch_size), "text and text_batch_size belong together"),
            (
                self.objective != "unified" or bool(self.draw or self.text),
                "draw and text are empty: give the stage tasks to learn",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: the model, its pictures, its stages in order."""

    name: str
    description: str
    """Command, hardware, minutes and expected result."""
    model: ModelConfig
    book: BookConfig
    stages: tuple[Stage, ...]
    space_from: str = ""
    """A model whose encoder and decoder the run takes and keeps, as BLIP3-o does with EVA-CLIP and SDXL."""
    seed: int = 0
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Arithmetic of the matrix products; weights and optimizer are always float32."""
    score_every: int = 0
    """Steps between sample grids and scores within a stage; 0 is only at its end."""
    save_every: int = 250
    """Steps between saved states."""

    def __post_init__(self) -> None:
        names, space = [stage.name for stage in self.stages], self.model.space
        sizes = [part.size for part in (space.encoder, space.decoder) if part is not None]
        check(
            (
                set(sizes) <= {self.model.prompt.picture_size},
                f"model.prompt.picture_size is {self.model.prompt.picture_size}, encoder and decoder work at {sizes}: "
                "make them equal, the picture book draws in one size",
            ),
            (bool(names), "stages is empty: name at least one"),
            (self.score_every >= 0, f"score_every is {self.score_every}, expected 0 or more"),
            (self.save_every >= 0, f"save_every is {self.save_every}, expected 0 or more"),
            (len(set(names)) == len(names), f"stages have equal names: {', '.join(names)}"),
        )
