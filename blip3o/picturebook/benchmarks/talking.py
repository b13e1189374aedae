"""Dialogues of three user turns that mix reading, drawing and editing.

The candidate's own pictures stay in the history, and an edit of one is judged against what stood in it.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.benchmarks.expected import Position, after_edit, of_prompt
from blip3o.picturebook.benchmarks.group import BookQuestion, seed_of, verdict
from blip3o.picturebook.benchmarks.reading import same_answer
from blip3o.picturebook.detector.matching import Want, differences, match
from blip3o.picturebook.detector.scene_detector import SceneDetector, Sight
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.dialogues import Dialogue, sample_dialogue
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_story
from blip3o.processing.conversation import Conversation, Picture, Turn

USER_TURNS = 3


class Talk:
    """One dialogue under way: what was said, and which scene the last picture must show.

    `stood` tells where the scene's objects really stand in it, `wants` what the next picture must show.
    """

    def __init__(self, dialogue: Dialogue) -> None:
        self.user = [turn.content for turn in dialogue.turns if turn.role == "user"]
        self.expected = dialogue.expected
        self.history: Conversation = ()
        self.answer: list[Image.Image | str] = []
        """The words of each answer, "" for none, and after them its picture."""
        self.scene: Scene | None = None
        self.stood: list[Position] = []
        self.wants: list[Want] = []
        self.fault = ""

    def ask(self, turn: int) -> Conversation:
        """The conversation up to and with a user turn."""
        content = tuple(part if isinstance(part, str) else self._show(part) for part in self.user[turn])
        self._expect(turn)
        self.history = (*self.history, Turn("user", content))
        return self.history

    def _show(self, scene: Scene) -> Picture:
        self.scene, self.stood = scene, [(thing.x, thing.y) for thing in scene.objects]
        return Picture(draw(scene))

    def _expect(self, turn: int) -> None:
        expected, words = self.expected[turn], self.user[turn][-1]
        if isinstance(expected, Scene) and isinstance(words, str):
            before = self.scene
            self.wants = after_edit(words, before, expected, self.stood) if before else of_prompt(words, expected)
            self.scene = expected

    def hear(self, turn: int, text: str, image: Image.Image | None) -> None:
        """Takes the answer to a user turn, and what the detector sees in its picture, into the history."""
        expected = self.expected[turn]
        if isinstance(expected, Scene):
            self._look(turn, None if image is None else SceneDetector.load().see([image])[0], expected)
        elif image is not None or not same_answer(text, expected):
            self.fault = f"turn {turn + 1}: expected {expected!r}, found {text + (' (a picture)' if image else '')!r}"
        content: list[str | Picture] = [text] if text else []
        self.answer.append(text)
        if image is not None:
            self.answer.append(image)
            content.append(Picture(np.array(image.convert("RGB"))))
        self.history = (*self.history, Turn("assistant", tuple(content)))

    def _look(self, turn: int, sight: Sight | None, expected: Scene) -> None:
        if sight is None:
            self.fault = f"turn {turn + 1}: expected a picture, found words"
            return
        objects = match(self.wants, sight.clear())
        faults = [*(["objects"] if objects is None else []), *differences(sight, expected)]
        if faults:
            self.fault = (
                f"turn {turn + 1}: wrong {', '.join(faults)}: expected {caption(expected)}, found {sight.in_words}"
            )
        self.stood = [thing.center for thing in objects or ()]


def dialogue_question(rng: random.Random, index: int) -> BookQuestion:
    """A dialogue of three user turns."""
    while True:
        dialogue = sample_dialogue(rng, sample_story(rng))
        if len(dialogue.expected) == USER_TURNS:
            break
    contents = [part for turn in dialogue.turns if turn.role == "user" for part in turn.content]
    right = [part if isinstance(part, str) else f"(picture: {caption(part)})" for part in dialogue.expected]
    return BookQuestion(
        prompt=" | ".join(part if isinstance(part, str) else "(picture)" for part in contents),
        expected=" | ".join(right),
        part=" ".join("draw" if isinstance(part, Scene) else "tell" for part in dialogue.expected),
        truth=dialogue,
    )


def hold_dialogues(candidate: Candidate, questions: Sequence[BookQuestion], names: Sequence[str]) -> Sequence[Response]:
    """All dialogues, turn by turn; one ends at its first fault."""
    talks = [Talk(question.truth) for question in questions]
    for turn in range(USER_TURNS):
        live = [(talk, name) for talk, name in zip(talks, names, strict=True) if not talk.fault]
        if live:
            _turn(candidate, turn, *zip(*live, strict=True))
    return [talk.answer for talk in talks]


def score_dialogue(question: BookQuestion, answer: Answer) -> Verdict:
    """The dialogue again, with the answers that were given: right if every turn is."""
    talk, turns = Talk(question.truth), replies(answer)
    for turn, (text, image) in enumerate(turns):
        talk.ask(turn)
        talk.hear(turn, text, image)
    return verdict(question, correct=not talk.fault and len(turns) == USER_TURNS, note=talk.fault)


def replies(answer: Answer) -> list[tuple[str, Image.Image | None]]:
    """The words and the picture of each turn of an answer (`Talk.answer`)."""
    turns: list[tuple[str, Image.Image | None]] = []
    for part in answer:
        if isinstance(part, Path):
            turns[-1] = turns[-1][0], tables.opened(part)
        else:
            turns.append((part, None))
    return turns


def _turn(candidate: Candidate, turn: int, talks: Sequence[Talk], names: Sequence[str]) -> None:
    """One turn of several dialogues."""
    seeds = [seed_of(name.replace("/dialogue/", f"/dialogue/{turn}/")) for name in names]
    answers = candidate.reply([talk.ask(turn) for talk in talks], seed=seeds, batch_size=len(talks))
    for talk, answer in zip(talks, answers, strict=True):
        talk.hear(turn, answer.text, answer.image)
