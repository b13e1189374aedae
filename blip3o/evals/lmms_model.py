"""The class that lmms-eval makes: answers in words, or draws and edits where it is told to."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmms_eval.api.model import lmms  # pyright: ignore[reportMissingImports]
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.errors import ConfigError
from blip3o.evals.tables import official_rgb

IMAGE_TOKEN = "<image>"


class Blip3o(lmms):
    """A model by its name, folder or id; `draws` answers with pictures, edited ones where a task shows some."""

    is_simple = True

    def __init__(
        self,
        pretrained: str = "picturebook",
        device: str = "auto",
        dtype: str = "auto",
        draws: bool = False,
        seed: int = 0,
        output: str = "lmms-pictures",
        **unknown: object,
    ) -> None:
        super().__init__()
        unknown.pop("batch_size", None)  # lmms-eval always hands it over; answers are given one by one
        if unknown:
            raise ConfigError(
                f"blip3o takes no model_args {', '.join(unknown)}: it takes pretrained, dtype, draws, seed"
            )
        self.model = BLIP3o.load(pretrained, device=device, dtype=dtype)
        self.draws, self.seed, self.output = draws, seed, Path(output)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Words, or JSON with the files of pictures: {"text": ..., "images": [...]}."""
        parsed = [self._request(request) for request in requests]
        if self.draws:
            return [self._drawn(prompt, pictures) for prompt, pictures, _ in parsed]
        answers: list[str] = []
        for prompt, pictures, settings in parsed:
            answer = self.model.understand([pictures], [prompt], max_tokens=int(settings.get("max_new_tokens", 128)))[0]
            answers.append(_until(answer, settings.get("until", [])))
        return answers

    def _request(self, request: Any) -> tuple[str, list[Image.Image], dict[str, Any]]:
        context, settings, doc_to_visual, doc, task, split = request.args
        visuals = doc_to_visual(self.task_dict[task][split][doc]) if doc_to_visual is not None else []
        pictures = [official_rgb(picture) for picture in visuals or [] if isinstance(picture, Image.Image)]
        return context.replace(IMAGE_TOKEN, "").strip(), pictures, settings

    def _drawn(self, prompt: str, pictures: list[Image.Image]) -> str:
        images = (
            self.model.edit([pictures], [prompt], seed=[self.seed])
            if pictures
            else self.model.generate([prompt], seed=[self.seed])
        )
        digest = hashlib.sha256(prompt.encode() + b"".join(picture.tobytes() for picture in pictures)).hexdigest()
        path = self.output / f"{digest[:16]}-{self.seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        images[0].save(path)
        return json.dumps({"text": "", "images": [str(path)]})

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Not offered: no task of the paper ranks answers. Raises NotImplementedError."""
        raise NotImplementedError("blip3o answers in words: choose a task that generates")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Not offered. Raises NotImplementedError."""
        raise NotImplementedError("blip3o takes single questions here: choose a task of one round")


def _until(answer: str, stops: str | Sequence[str]) -> str:
    """An answer up to the first of these; an empty line stops nothing, as in the published evaluation."""
    for stop in [stops] if isinstance(stops, str) else stops:
        if stop and stop != "\n\n":
            answer = answer.split(stop)[0]
    return answer
