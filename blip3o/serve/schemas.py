"""What clients send: the fields of the OpenAI API that have an effect here, and a few of our own.

A field that this server would not heed is refused unless it says what happens anyhow (`n: 1`, `tools: []`): so nobody
takes an option for granted that changes nothing.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from blip3o.config import BOUNDS
from blip3o.pipeline.sampling import SamplingOptions

UNHEEDED: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "store": (False,),
    "stop": (),
    "background": ("auto", "opaque"),
    "moderation": ("auto", "low"),
    "quality": ("auto", "standard"),
    "style": ("vivid", "natural"),
    "input_fidelity": ("high",),
}
"""Fields that change nothing here -> the values at which they may stand."""


def _bounded(name: str) -> Any:
    """A number within its `BOUNDS`."""
    least, most = BOUNDS[name]
    return Field(default=None, ge=least, le=most)


class Request(BaseModel):
    """What both kinds of requests have."""

    model_config = ConfigDict(extra="forbid")

    model: str = ""
    """Of those that are served; empty is the first."""
    user: str = Field(default="", max_length=200)
    """Whose turn it is, among the users of one key."""
    stream: bool = False
    seed: Annotated[int | None, _bounded("seed")] = None
    num_inference_steps: Annotated[int | None, _bounded("steps")] = None
    guidance_scale: Annotated[float | None, _bounded("guidance")] = None
    best_of: Annotated[int | None, Field(default=None, ge=1, le=16)] = None
    think: bool | None = None
    """Whether the model reasons before it draws; None leaves that to it."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_says_nothing(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kept = {}
        for name, value in values.items():
            if name not in cls.model_fields and name not in UNHEEDED:
                raise ValueError(f"there is no field {name}")
            if value is None:
                continue
            if name in cls.model_fields:
                kept[name] = value
            elif value not in UNHEEDED[name]:
                raise ValueError(f"{name} has no effect here: leave it out")
        return kept

    @property
    def options(self) -> SamplingOptions:
        """As `BLIP3o.generate` takes them."""
        return {"steps": self.num_inference_steps, "guidance": self.guidance_scale, "best_of": self.best_of}


class ImageUrl(BaseModel):
    """A picture as a data URI."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ContentPart(BaseModel):
    """Words or a picture."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ContentPart":
        if (self.type == "image_url") != (self.image_url is not None):
            raise ValueError("a part of type image_url has an image_url, and no other has")
        return self


class Message(BaseModel):
    """A turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart] | None = None
    """None and "" are what an assistant says that draws."""
    name: str = ""

    @property
    def parts(self) -> list[ContentPart]:
        """Its content in one form."""
        if isinstance(self.content, list):
            return self.content
        return [ContentPart(type="text", text=self.content or "")]


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: bool = False


class ChatRequest(Request):
    """POST /v1/chat/completions."""

    messages: list[Message] = Field(min_length=1, max_length=200)
    max_tokens: Annotated[int | None, _bounded("max_tokens")] = None
    max_completion_tokens: Annotated[int | None, _bounded("max_tokens")] = None
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: Literal[1] = 1
    size: str | None = None
    stream_options: StreamOptions = Field(default_factory=StreamOptions)


class ImageRequest(Request):
    """POST /v1/images/generations, and what stands beside the pictures of /v1/images/edits."""

    prompt: str
    n: int = Field(default=1, ge=1, le=10)
    size: str | None = None
    """"auto" or "WxH" with equal sides."""
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Literal["png", "jpeg"] = "png"
    output_compression: int = Field(default=95, ge=1, le=100)
    partial_images: int = Field(default=0, ge=0, le=3)


def side_of(size: str | None) -> int | None:
    """Height and width in px; None is the model's own. Raises ValueError."""
    if size in (None, "auto"):
        return None
    width, cross, height = str(size).partition("x")
    if not (cross and width.isdigit() and width == height):
        raise ValueError(f"size is {size!r}, expected auto, or WIDTHxHEIGHT with equal sides")
    return int(width)
