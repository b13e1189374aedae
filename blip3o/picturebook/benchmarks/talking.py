"""Dialogues of three user turns that mix reading, drawing and editing.

The candidate's own pictures stay in the history, and an edit of one is judged against what stood in it.
"""

import random
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from blip3o.evals.candidate import Answer
from blip3o.picturebook.benchmarks.benchmark import Exam, Outcome
from blip3o.picturebook.benchmarks.expected import Position, after_edit, of_prompt
from blip3o.picturebook.benchmarks.reading import same_answer
from blip3o.picturebook.detector.judge import Sight
from blip3o.picturebook.detector.matching import Want, differences, match
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
        self.asked = [turn.content for turn in dialogue.turns if turn.role == "user"]
        self.expected = dialogue.expected
        self.history: Conversation = ()
        self.scene: Scene | None = None
        self.stood: list[Position] = []
        self.wants: list[Want] = []
        self.fault = ""
        self.picture: Image.Image | None = None

    def ask(self, turn: int) -> Conversation:
        """The conversation up to and with a user turn."""
        content: list[str | Picture] = []
        for part in self.asked[turn]:
            content.append(part if isinstance(part, str) else self._show(part))
        self._expect(turn)
        self.history = (*self.history, Turn("user", tuple(content)))
        return self.history

    def _show(self, scene: Scene) -> Picture:
        self.scene, self.stood = scene, [(thing.x, thing.y) for thing in scene.objects]
        return Picture(draw(scene))

    def _expect(self, turn: int) -> None:
        expected, words = self.expected[turn], self.asked[turn][-1]
        if isinstance(expected, Scene) and isinstance(words, str):
            before = self.scene
            self.wants = after_edit(words, before, expected, self.stood) if before else of_prompt(words, expected)
            self.scene = expected

    def hear(self, turn: int, answer: Answer, sight: Sight | None) -> None:
        """Takes the answer to a user turn, and what the judge sees in its picture, into the history."""
        expected = self.expected[turn]
        if isinstance(expected, Scene):
            self._look(turn, sight, expected)
        elif answer.image is not None or not same_answer(answer.text, expected):
            self.fault = f"turn {turn + 1}: expected {expected!r}, found {self._said(answer)!r}"
        content: list[str | Picture] = [answer.text] if answer.text else []
        if answer.image is not None:
            self.picture = answer.image
            content.append(Picture(np.array(answer.image.convert("RGB"))))
        self.history = (*self.history, Turn("assistant", tuple(content)))

    def _look(self, turn: int, sight: Sight | None, expected: Scene) -> None:
        if sight is None:
            self.fault = f"turn {turn + 1}: expected a picture, found words"
            return
        there = match(self.wants, sight.clear())
        faults = [*(["objects"] if there is None else []), *differences(sight, expected)]
        if faults:
            self.fault = (
                f"turn {turn + 1}: wrong {', '.join(faults)}: expected {caption(expected)}, found {sight.in_words}"
            )
        self.stood = [thing.center for thing in there or ()]

    @staticmethod
    def _said(answer: Answer) -> str:
        return answer.text + ("" if answer.image is None else " (a picture)")

    def outcome(self) -> Outcome:
        """The whole dialogue as one question; right if every turn was."""
        told = [part if isinstance(part, str) else "(picture)" for content in self.asked for part in content]
        said = [_told(part) for turn in self.history if turn.role == "assistant" for part in turn.content]
        expected = [answer if isinstance(answer, str) else f"(picture: {caption(answer)})" for answer in self.expected]
        return Outcome(
            group="dialogue",
            part=" ".join("draw" if isinstance(answer, Scene) else "tell" for answer in self.expected),
            prompt=" | ".join(told),
            answer=" | ".join(said),
            expected=" | ".join(expected),
            correct=not self.fault,
            note=self.fault,
            picture=self.picture,
        )


def _told(part: str | Picture) -> str:
    return part if isinstance(part, str) else "(picture)"


def _sampled(rng: random.Random) -> Dialogue:
    while True:
        dialogue = sample_dialogue(rng, sample_story(rng))
        if len(dialogue.expected) == USER_TURNS:
            return dialogue


def dialogues(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` dialogues of three user turns; one is right if every turn is, and ends at its first fault."""
    rng = exam.rng("dialogue")
    talks = [Talk(_sampled(rng)) for _ in range(n)]
    for where, chunk in exam.chunks(talks):
        for turn in range(USER_TURNS):
            live = [(item, talk) for item, talk in zip(where, chunk, strict=True) if not talk.fault]
            if live:
                _turn(exam, turn, [item for item, _ in live], [talk for _, talk in live])
        for talk in chunk:
            yield talk.outcome()


def _turn(exam: Exam, turn: int, items: Sequence[int], talks: Sequence[Talk]) -> None:
    seeds = [exam.seeds(f"dialogue/{turn}", range(item, item + 1))[0] for item in items]
    answers = exam.candidate.reply([talk.ask(turn) for talk in talks], seed=seeds, batch_size=exam.batch)
    for talk, answer in zip(talks, answers, strict=True):
        sight = None if answer.image is None else exam.judge.see([answer.image])[0]
        talk.hear(turn, answer, sight)
