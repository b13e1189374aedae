"""blip3o chat: a dialogue in which the model reads, draws and edits; one line of input is one turn."""

import json as encoding
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from blip3o.cli.files import check_folder, new_file, slug, write_new_picture
from blip3o.cli.options import (
    Compile,
    Debug,
    Decoder,
    Device,
    Dtype,
    Json,
    Memory,
    Model,
    Quantize,
    Seed,
    Think,
    Verify,
    examples,
)
from blip3o.cli.progress import open_model, working
from blip3o.errors import UserError
from blip3o.files import write_text

if TYPE_CHECKING:
    import PIL.Image

    import blip3o.api

EXAMPLES = examples("blip3o chat", "printf 'draw a red dog\\nmake it night\\n' | blip3o chat --output talk")
COMMANDS = (
    "/image PATH shows a picture with your next words, /save [PATH] keeps the dialogue, /new begins another, /quit ends"
)


def chat(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the pictures it draws.")] = Path(
        "chat"
    ),
    seed: Seed = 0,
    think: Think = False,
    model: Model = "picturebook",
    device: Device = "auto",
    decoder: Decoder = None,
    dtype: Dtype = "auto",
    memory: Memory = "full",
    quantize: Quantize = None,
    compile: Compile = False,
    verify: Verify = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Talk with the model: it reads, draws and edits.

    It sees all earlier turns and decides itself when to draw. /image PATH shows
    a picture with your next words, /save keeps the dialogue, /new begins
    another, /quit ends. Lines may also come from a pipe: then the first mistake
    ends it. With --json each answer is one line of JSON.
    """
    check_folder(output)
    talk = _Talk(
        open_model(
            model,
            device,
            dtype=dtype,
            memory=memory,
            quantize=quantize,
            compile=compile,
            verify=verify,
            needs=("decoder",),
            decoder=decoder,
        ),
        output,
        seed,
        think,
        json,
    )
    typed = sys.stdin.isatty()
    if typed:
        print(f"{COMMANDS}.")
    for line in _lines(typed):
        try:
            if not talk.hear(line):
                return
        except UserError as error:
            if not typed:
                raise
            print(f"error: {error}", file=sys.stderr)


def _lines(typed: bool) -> Iterator[str]:
    while True:
        try:
            line = input("> " if typed else "").strip()
        except EOFError:
            return
        if line:
            yield line


class Link(NamedTuple):
    """A picture of the dialogue."""

    text: str
    path: Path

    def markdown(self, folder: Path) -> str:
        """As a file in this folder would show it."""
        return f"![{self.text}]({os.path.relpath(self.path, folder)})"


class _Talk:
    """The dialogue, the picture that waits to be shown, and what was said so far."""

    def __init__(self, model: "blip3o.api.BLIP3o", folder: Path, seed: int, think: bool, as_json: bool) -> None:
        self.model, self.folder, self.seed, self.think, self.as_json = model, folder, seed, think, as_json
        self.begin()

    def begin(self) -> None:
        """A new dialogue."""
        self.chat = self.model.chat(seed=self.seed, think=self.think)
        self.shown: PIL.Image.Image | None = None
        self.said: list[str | Link] = []
        self.drawn = 0

    def hear(self, line: str) -> bool:
        """Take a line, a turn or a command; gives whether the dialogue goes on."""
        word, _, rest = line.partition(" ")
        if word in ("/quit", "/exit"):
            return False
        if word == "/new":
            self.begin()
            self.tell("a new dialogue")
        elif word == "/help":
            self.tell(COMMANDS)
        elif word == "/image":
            self.show(Path(rest.strip().strip("'\"")).expanduser())
        elif word == "/save":
            if rest.strip():
                self.save(Path(rest.strip()))
            else:
                with new_file(self.folder / "dialogue.md") as free:
                    self.save(free)
        elif word.startswith("/"):
            raise UserError(f"no command {word}: {COMMANDS}")
        else:
            self.send(line)
        return True

    def show(self, path: Path) -> None:
        """Keep a picture for the next turn."""
        from blip3o.processing.images import open_picture

        self.shown = open_picture(path)
        self.said.append(Link("shown", path))
        self.tell(f"{path} is shown with your next words")

    def tell(self, line: str) -> None:
        """Say how a command went."""
        print(line, file=sys.stderr)

    def send(self, text: str) -> None:
        """One turn and its answer."""
        with working("answering"):
            reply = self.chat.send(text, self.shown)
        self.shown = None
        path = None if reply.image is None else self.keep(reply.image, text)
        self.said += [f"**you:** {text}", *([f"*{reply.reasoning}*"] if reply.reasoning else [])]
        if reply.text or path is None:
            self.said.append(f"**blip3o:** {reply.text}")
        if path is not None:
            self.said.append(Link(text, path))
        if self.as_json:
            facts = {"prompt": text, "text": reply.text, "reasoning": reply.reasoning, "image": path and str(path)}
            print(encoding.dumps(facts, ensure_ascii=False), flush=True)
            return
        if reply.reasoning:
            print(f"({reply.reasoning})")
        if reply.text or path is None:
            print(reply.text or "(no answer)", flush=True)
        if path is not None:
            print(f"[picture: {path}]", flush=True)

    def keep(self, image: "PIL.Image.Image", text: str) -> Path:
        """Write a picture of the dialogue."""
        self.drawn += 1
        return write_new_picture(image, self.folder / f"{self.drawn:02d}-{slug(text)}.png")

    def save(self, path: Path) -> None:
        """Write the dialogue so far as Markdown, its pictures by their place beside it."""
        lines = [line.markdown(path.parent) if isinstance(line, Link) else line for line in self.said]
        self.tell(f"saved {write_text(path, ''.join(f'{line}{chr(10)}{chr(10)}' for line in lines))}")
