"""The programme of the demo: its prompts, a transcript while they are answered, and the contact sheet."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.markup import escape

from blip3o.api import BLIP3o
from blip3o.cli.contact_sheet import Section, Tile, sheet
from blip3o.cli.progress import working
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.questions import sample_question
from blip3o.picturebook.world.scene import ALL_KINDS
from blip3o.picturebook.world.stories import sample_scene

PROMPTS = (
    "a photo of a red dog",
    "a photo of three yellow balloons",
    "a photo of a cat left of a tree",
    "a red car and a blue umbrella",
    "a castle in the snow at night",
    "a photo of a bird above a house",
    "two green turtles on a beach by day",
    "four white rabbits in a meadow",
    "a purple airplane in the desert",
    "a photo of a yellow boat and a black clock",
    "a brown cup is on the left. a white book is on the right. it is night on a beach.",
    "a photo of two red mushrooms",
)
EDITS = (
    (0, "make it night"),
    (3, "paint the car green"),
    (5, "replace the house with a blue tent"),
    (8, "make it a winter day"),
    (9, "remove the clock"),
    (2, "add a red ball"),
)
"""(which of the drawn pictures, what to change)"""
DIALOGUE = (
    "draw a red dog on a beach by day",
    "add a blue ball to the right of the dog",
    "how many objects are there?",
    "what color is the ball?",
    "make it night",
    "describe this picture.",
)
RIDDLES = (
    "draw the animal that barks in the color of the sky, at night",
    "paint two times the thing you drink from in the color of a lemon",
    "a picture of the building of a king, in the snow",
)
PICTURES_READ = 6


class Show:
    """The parts of the demo; each prints its transcript, and gives the tiles of its section."""

    def __init__(self, model: BLIP3o, seed: int, *, quiet: bool) -> None:
        self.model, self.seed = model, seed
        self.console = Console(quiet=quiet, highlight=False)
        self.sections: list[Section] = []
        self.record: dict[str, Any] = {"model": model.name, "seed": seed}
        self.drawn: list[Image.Image] = []

    def all(self) -> None:
        """The whole programme."""
        parts: tuple[tuple[str, Callable[[], list[Tile]]], ...] = (
            ("It draws", self.draws),
            ("It edits what it drew", self.edits),
            ("It reads pictures it has never seen", self.reads),
            ("It holds a dialogue", self.talks),
            ("It thinks before it draws", self.thinks),
        )
        for title, part in parts:
            self.console.print()
            self.console.rule(f"[bold]{title}", align="left")
            self.sections.append((title, part()))

    def draws(self) -> list[Tile]:
        """A dozen prompts in one batch."""
        with working("drawing") as progress:
            self.drawn = self.model.generate(PROMPTS, seed=self.seed, progress=progress)
        with working("looking at what it drew"):
            captions = self.model.caption(self.drawn)
        for prompt, seen in zip(PROMPTS, captions, strict=True):
            self.print("you", prompt)
            self.print("blip3o", f"[a picture] in which it sees {seen}")
        self.record["drawn"] = [
            {"prompt": prompt, "seen": seen} for prompt, seen in zip(PROMPTS, captions, strict=True)
        ]
        return list(zip(self.drawn, PROMPTS, strict=True))

    def edits(self) -> list[Tile]:
        """Pictures drawn before, changed."""
        originals = [self.drawn[index] for index, _ in EDITS]
        with working("editing") as progress:
            texts = [text for _, text in EDITS]
            changed = self.model.edit(originals, texts, seed=self.seed, progress=progress)
        tiles: list[Tile] = []
        for before, after, (index, text) in zip(originals, changed, EDITS, strict=True):
            self.print("you", f"[{PROMPTS[index]}] {text}")
            tiles += [(before, PROMPTS[index]), (after, f"> {text}")]
        self.record["edited"] = [{"picture": PROMPTS[index], "instruction": text} for index, text in EDITS]
        return tiles

    def reads(self) -> list[Tile]:
        """Captions, questions with their known answers, and a classification."""
        rng = random.Random(f"demo/{self.seed}")
        scenes = [sample_scene(rng) for _ in range(PICTURES_READ)]
        questions = [sample_question(rng, scene) for scene in scenes]
        images = [Image.fromarray(draw(scene)) for scene in scenes]
        with working("reading"):
            captions = self.model.caption(images)
            answers = self.model.understand(images, [question.text for question in questions])
            classes = self.model.classify(images[:1], ALL_KINDS)[0]
        tiles: list[Tile] = []
        self.record["read"] = []
        for scene, image, seen, question, answer in zip(scenes, images, captions, questions, answers, strict=True):
            self.grade("caption", seen, caption(scene))
            self.print("you", question.text)
            self.grade("blip3o", answer, question.answer)
            answered = {"caption": seen, "question": question.text, "answer": answer, "expected": question.answer}
            self.record["read"].append(answered)
            tiles.append((image, f"{seen}\n> {question.text}\n{answer}"))
        best = ", ".join(f"{label} {probability:.0%}" for label, probability in list(classes.items())[:3])
        self.print("classes", f"first picture: {best}")
        return tiles

    def talks(self) -> list[Tile]:
        """A dialogue in which the model decides when to draw."""
        chat = self.model.chat(seed=self.seed)
        tiles: list[Tile] = []
        self.record["dialogue"] = []
        for text in DIALOGUE:
            self.print("you", text)
            with working("answering"):
                reply = chat.send(text)
            self.print("blip3o", reply.text if reply.image is None else "[a picture]")
            answer = reply.text if reply.image is None else "(a picture)"
            self.record["dialogue"].append({"you": text, "blip3o": answer})
            if reply.image is not None:
                tiles.append((reply.image, f"> {text}"))
            elif tiles:
                image, words = tiles[-1]
                tiles[-1] = (image, f"{words}\n> {text}\n{reply.text}")
        return tiles

    def thinks(self) -> list[Tile]:
        """Riddles whose answer must be found in words first."""
        with working("thinking") as progress:
            images = self.model.generate(RIDDLES, seed=self.seed, think=True, progress=progress)
        tiles: list[Tile] = []
        self.record["riddles"] = []
        for riddle, image in zip(RIDDLES, images, strict=True):
            reasoning = str(image.info.get("reasoning", ""))
            self.print("you", riddle)
            self.print("thought", reasoning)
            self.record["riddles"].append({"riddle": riddle, "reasoning": reasoning})
            tiles.append((image, f"> {riddle}\n{reasoning}"))
        return tiles

    def print(self, speaker: str, text: str, mark: str = "") -> None:
        """One line of the transcript."""
        self.console.print(f"[bold cyan]{speaker:>8}[/]  {escape(text)}{mark}", soft_wrap=True)

    def grade(self, speaker: str, answer: str, expected: str) -> None:
        """A line of the transcript with what would have been right."""
        mark = "[green]right[/]" if answer == expected else f"[red]it is: {escape(expected)}[/]"
        self.print(speaker, answer, f"  {mark}")

    def page(self) -> Image.Image:
        """The contact sheet."""
        page = sheet(self.sections)
        facts = self.drawn[0].info
        page.info |= {"prompt": "; ".join(PROMPTS), "seed": str(self.seed)}
        page.info |= {key: facts[key] for key in ("model", "version") if key in facts}
        return page

    def close(self, path: Path, seconds: float) -> None:
        """Say where everything is."""
        self.console.print()
        place = f"All pictures, with their captions: [bold]{path.absolute()}[/]"
        self.console.print(f"Done in {seconds:.0f} s. {place}", soft_wrap=True)
        self.console.print('Now you: [bold]blip3o generate "a photo of two pink cats"[/]  or  [bold]blip3o chat[/]')
