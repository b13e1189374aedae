"""The programme of the demo: what is asked, told as it happens, and kept for the contact sheet."""

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
    """The demo on one model. Each part tells what it does, adds a section to the sheet and to the record."""

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
            self.sections.append(Section(title, part()))

    def draws(self) -> list[Tile]:
        """A dozen prompts in one batch."""
        with working("drawing") as told:
            self.drawn = self.model.generate(PROMPTS, seed=self.seed, progress=told)
        with working("looking at what it drew"):
            seen = self.model.caption(self.drawn)
        for prompt, said in zip(PROMPTS, seen, strict=True):
            self.told("you", prompt)
            self.told("blip3o", f"[a picture] in which it sees {said}")
        pairs = zip(PROMPTS, seen, strict=True)
        self.record["drawn"] = [{"prompt": prompt, "seen": said} for prompt, said in pairs]
        return [Tile(image, prompt) for image, prompt in zip(self.drawn, PROMPTS, strict=True)]

    def edits(self) -> list[Tile]:
        """Pictures drawn before, changed."""
        before = [self.drawn[index] for index, _ in EDITS]
        texts = [text for _, text in EDITS]
        with working("editing") as told:
            after = self.model.edit(before, texts, seed=self.seed, progress=told)
        for index, text in EDITS:
            self.told("you", f"[{PROMPTS[index]}] {text}")
        self.record["edited"] = [{"picture": PROMPTS[index], "instruction": text} for index, text in EDITS]
        pairs = zip(before, after, EDITS, strict=True)
        return [t for a, b, (index, text) in pairs for t in (Tile(a, PROMPTS[index]), Tile(b, f"> {text}"))]

    def reads(self) -> list[Tile]:
        """Captions, questions with their known answers, and a classification."""
        rng = random.Random(f"demo/{self.seed}")
        scenes = [sample_scene(rng) for _ in range(PICTURES_READ)]
        asked = [sample_question(rng, scene) for scene in scenes]
        images = [Image.fromarray(draw(scene)) for scene in scenes]
        with working("reading"):
            captions = self.model.caption(images)
            answers = self.model.understand(images, [question.text for question in asked])
            classes = self.model.classify(images[:1], ALL_KINDS)[0]
        found = []
        for scene, said, question, answer in zip(scenes, captions, asked, answers, strict=True):
            self.graded("caption", said, caption(scene))
            self.told("you", question.text)
            self.graded("blip3o", answer, question.answer)
            found.append({"caption": said, "question": question.text, "answer": answer, "expected": question.answer})
        best = ", ".join(f"{label} {share:.0%}" for label, share in list(classes.items())[:3])
        self.told("classes", f"first picture: {best}")
        self.record["read"] = found
        return [
            Tile(image, f"{said}\n> {question.text}\n{answer}")
            for image, said, question, answer in zip(images, captions, asked, answers, strict=True)
        ]

    def talks(self) -> list[Tile]:
        """A dialogue in which the model decides when to draw."""
        chat = self.model.chat(seed=self.seed)
        tiles: list[Tile] = []
        said: list[dict[str, str]] = []
        for text in DIALOGUE:
            self.told("you", text)
            with working("answering"):
                reply = chat.send(text)
            self.told("blip3o", reply.text if reply.image is None else "[a picture]")
            said.append({"you": text, "blip3o": reply.text if reply.image is None else "(a picture)"})
            if reply.image is not None:
                tiles.append(Tile(reply.image, f"> {text}"))
            elif tiles:
                tiles[-1] = Tile(tiles[-1].image, f"{tiles[-1].caption}\n> {text}\n{reply.text}")
        self.record["dialogue"] = said
        return tiles

    def thinks(self) -> list[Tile]:
        """Riddles whose answer must be found in words first."""
        with working("thinking") as told:
            images = self.model.generate(RIDDLES, seed=self.seed, think=True, progress=told)
        thoughts = [str(image.info.get("reasoning", "")) for image in images]
        for riddle, thought in zip(RIDDLES, thoughts, strict=True):
            self.told("you", riddle)
            self.told("thought", thought)
        pairs = zip(RIDDLES, thoughts, strict=True)
        self.record["riddles"] = [{"riddle": riddle, "reasoning": thought} for riddle, thought in pairs]
        triples = zip(images, RIDDLES, thoughts, strict=True)
        return [Tile(image, f"> {riddle}\n{thought}") for image, riddle, thought in triples]

    def told(self, who: str, text: str) -> None:
        """One line of the transcript."""
        self.console.print(f"[bold cyan]{who:>8}[/]  {escape(text)}", soft_wrap=True)

    def graded(self, who: str, said: str, truth: str) -> None:
        """A line of the transcript with what would have been right."""
        mark = "[green]right[/]" if said == truth else f"[red]it is: {escape(truth)}[/]"
        self.console.print(f"[bold cyan]{who:>8}[/]  {escape(said)}  {mark}", soft_wrap=True)

    def page(self) -> Image.Image:
        """The contact sheet."""
        page = sheet([section for section in self.sections if section.tiles])
        facts = self.drawn[0].info
        page.info |= {"prompt": "; ".join(PROMPTS), "seed": str(self.seed)}
        page.info |= {key: facts[key] for key in ("model", "version") if key in facts}
        return page

    def close(self, path: Path, seconds: float) -> None:
        """Say where everything is."""
        self.console.print()
        self.console.print(
            f"Done in {seconds:.0f} s. All pictures, with their captions: [bold]{path.absolute()}[/]", soft_wrap=True
        )
        self.console.print('Now you: [bold]blip3o generate "a photo of two pink cats"[/]  or  [bold]blip3o chat[/]')
