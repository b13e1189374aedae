"""Test doubles of a model: one that knows the right answer to every question, and one that does not listen."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blip3o.picturebook.benchmarks import drawing, editing, reading, talking
from blip3o.picturebook.benchmarks.benchmark import GROUPS
from blip3o.picturebook.detector.scene_detector import SceneDetector
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.prompts import PHOTO
from blip3o.picturebook.world.scene import COLORS, SIZE, Cell, Scene, stand
from blip3o.picturebook.world.stories import sample_scene

BESIDE: dict[str, Cell] = {"left of": (1, 0), "right of": (1, 2), "above": (0, 1), "below": (2, 1)}


@dataclass(frozen=True)
class Reply:
    """As `blip3o.api.Reply`."""

    text: str
    image: Image.Image | None = None


def picture(scene):
    return Image.fromarray(draw(scene))


def look(image):
    return np.asarray(image).tobytes()


def scene_of(case):
    """A scene that fulfils GenEval's metadata."""
    rng, cells = random.Random(case["prompt"]), [(1, 1), (0, 0), (2, 2), (0, 2), (2, 0)]
    things = []
    for clause in case["include"]:
        for _ in range(clause["count"]):
            cell = BESIDE[clause["position"][0]] if "position" in clause else cells.pop(0)
            things.append(stand(rng, clause["class"], clause.get("color") or rng.choice(COLORS), cell))
    return Scene(place=case.get("place", "beach"), night=case.get("night", False), objects=tuple(things))


class Scribbler:
    """Draws something, whatever is asked, and says yes."""

    def draws(self, seeds):
        return [picture(sample_scene(random.Random(seed))) for seed in seeds]

    def generate(self, prompts, *, seed, think=False, batch_size=16):
        return self.draws(seed)

    def edit(self, images, instructions, *, seed, batch_size=16):
        return self.draws(seed)

    def understand(self, images, questions, *, batch_size=16):
        return ["yes" for _ in images]

    def caption(self, images, *, batch_size=16):
        return ["a red dog in the snow by day" for _ in images]

    def reply(self, conversations, *, seed, batch_size=16):
        return [Reply("", drawn) for drawn in self.draws(seed)]

    def features(self, images):
        shape = (8, SIZE // 8, 8, SIZE // 8, 3)
        return np.stack([np.asarray(image, np.float32).reshape(shape).mean((1, 3)).ravel() for image in images])

    def info(self):
        return {"name": "scribbler"}


class Oracle(Scribbler):
    """Is told the truth about every question as it is made; recognises pictures by their pixels.

    `slip` changes every scene before it draws it.
    """

    def __init__(self):
        self.slip = lambda scene: scene
        self.drawn = {}
        self.edited = {}
        self.answered = {}
        self.described = {}
        self.said = {}

    def generate(self, prompts, *, seed, think=False, batch_size=16):
        return [picture(self.slip(self.drawn[prompt])) for prompt in prompts]

    def edit(self, images, instructions, *, seed, batch_size=16):
        after = [self.edited[look(image), text] for image, text in zip(images, instructions, strict=True)]
        return [picture(self.slip(scene)) for scene in after]

    def understand(self, images, questions, *, batch_size=16):
        return [self.answered[look(image), text] for image, text in zip(images, questions, strict=True)]

    def caption(self, images, *, batch_size=16):
        return [self.described[look(image)] for image in images]

    def reply(self, conversations, *, seed, batch_size=16):
        answers = [self.said[self.told(conversation)] for conversation in conversations]
        return [Reply("", picture(self.slip(a))) if isinstance(a, Scene) else Reply(a) for a in answers]

    @staticmethod
    def told(conversation):
        """What the user said and showed."""
        parts = [part for turn in conversation if turn.role == "user" for part in turn.content]
        return tuple(part if isinstance(part, str) else part.pixels.tobytes() for part in parts)


@pytest.fixture(scope="session")
def judge():
    return SceneDetector.load()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A question, what a model made of it, and what that is worth."""

    question: object
    prompt: str
    expected: str
    part: str
    answer: str | tuple[Path | str, ...]
    seen: str | None
    picture: Image.Image | None
    correct: bool
    exact: bool | None
    note: str


@pytest.fixture
def outcomes(tmp_path):
    """Asks a model the first questions of a group, or those from `begin` on."""

    def kept(image):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        image.save(path)
        return path

    def asked(name, candidate, n, begin=0):
        group, rng = GROUPS[name], random.Random(f"evaluation/0/{name}")
        questions = [group.question(rng, index) for index in range(n)][begin:]
        names = [f"evaluation/0/{name}/{index}" for index in range(begin, n)]
        found = []
        for question, response in zip(questions, group.ask(candidate, questions, names), strict=True):
            if isinstance(response, str):
                answer, drawn = response, []
            else:
                answer = tuple(part if isinstance(part, str) else kept(part) for part in response)
                drawn = [part for part in response if not isinstance(part, str)]
            verdict = group.score(question, answer)
            assert verdict.details["part"] == question.part
            found.append(
                Outcome(
                    question=question,
                    prompt=question.prompt,
                    expected=question.expected,
                    part=question.part,
                    answer=answer,
                    seen=verdict.parsed,
                    picture=drawn[-1] if drawn else None,
                    correct=verdict.score == 1,
                    exact=verdict.details.get("exact"),
                    note=verdict.details.get("note", ""),
                )
            )
        return found

    return asked


@pytest.fixture
def scribbler():
    return Scribbler()


@pytest.fixture
def oracle(monkeypatch):
    """The oracle, listening wherever questions are made."""
    oracle = Oracle()

    def listen(module, name, learn):
        make = getattr(module, name)

        def listening(*args, **kwargs):
            made = make(*args, **kwargs)
            learn(made, *args)
            return made

        monkeypatch.setattr(module, name, listening)

    def learn_dialogue(dialogue, *_):
        heard = ()
        for turn in dialogue.turns:
            if turn.role == "user":
                heard += tuple(draw(part).tobytes() if isinstance(part, Scene) else part for part in turn.content)
            else:
                oracle.said[heard] = turn.content[-1]

    listen(drawing, "geneval_case", lambda made, *_: oracle.drawn.update({made["prompt"]: scene_of(made)}))
    listen(drawing, "sample_riddle", lambda made, *_: oracle.drawn.update({made.prompt: scene_of(made.requirement)}))
    listen(drawing, "sample_scene", lambda made, *_: oracle.drawn.update({PHOTO + caption(made): made}))
    listen(reading, "sample_scene", lambda made, *_: oracle.described.update({look(picture(made)): caption(made)}))
    listen(
        reading,
        "sample_question",
        lambda made, _, scene, *__: oracle.answered.update({(look(picture(scene)), made.text): made.answer}),
    )
    listen(
        editing,
        "sample_edit",
        lambda made, *_: oracle.edited.update({(look(picture(made.before)), made.instruction): made.after}),
    )
    listen(talking, "sample_dialogue", learn_dialogue)
    return oracle
