"""blip3o chat: a dialogue in which the model reads, draws and edits; one line of input is one turn."""

import json as encoding
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blip3o.cli.files import check_folder, new_file, slug, write_new_picture
from blip3o.cli.options import Debug, Json, Loading, Seed, Thinking, examples, grouped
from blip3o.cli.progress import working
from blip3o.errors import UserError
from blip3o.files import write_text

if TYPE_CHECKING:
    import PIL.Image

    from blip3o.api import BLIP3o

EXAMPLES = examples("blip3o chat", "printf 'draw a red dog\\nmake it night\\n' | blip3o chat --output talk")
COMMANDS = (
    "/image PATH shows a picture with your next words, /save [PATH] keeps the dialogue, /new begins another, /quit ends"
)


@grouped("compatible")
def chat(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the pictures it draws.")] = Path(
        "chat"
    ),
    seed: Seed = 0,
    think: Thinking = None,
    loading: Loading,
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
    dialogue = _Dialogue(loading.open(needs=("decoder",)), output, seed, think, json)
    interactive = sys.stdin.isatty()
    if interactive:
        print(f"{COMMANDS}.")
    for line in _lines(interactive):
        try:
            if not dialogue.take(line):
                return
        except UserError as error:
            if not interactive:
                raise
            _notify(f"error: {error}")


def _lines(interactive: bool) -> Iterator[str]:
    while True:
        try:
            line = input("> " if interactive else "").strip()
        except EOFError:
            return
        if line:
            yield line


def _notify(line: str) -> None:
    """Say how a command went; standard output holds answers alone."""
    print(line, file=sys.stderr)


Link = tuple[str, Path]
"""A picture of the dialogue: its text and where it lies."""


class _Dialogue:
    """The dialogue with the model, the picture that goes with the next turn, and the transcript so far."""

    def __init__(self, model: "BLIP3o", folder: Path, seed: int, think: bool | None, as_json: bool) -> None:
        self.model, self.folder, self.seed, self.think, self.as_json = model, folder, seed, think, as_json
        self.begin()

    def begin(self) -> None:
        """A new dialogue."""
        self.chat = self.model.chat(seed=self.seed, think=self.think)
        self.picture: PIL.Image.Image | None = None
        self.transcript: list[str | Link] = []
        self.num_drawn = 0

    def take(self, line: str) -> bool:
        """Take a line, a turn or a command; gives whether the dialogue goes on."""
        command, _, rest = line.partition(" ")
        if command in ("/quit", "/exit"):
            return False
        if command == "/new":
            self.begin()
            _notify("a new dialogue")
        elif command == "/help":
            _notify(COMMANDS)
        elif command == "/image":
            self.show(Path(rest.strip().strip("'\"")).expanduser())
        elif command == "/save":
            with nullcontext(Path(rest.strip())) if rest.strip() else new_file(self.folder / "dialogue.md") as path:
                self.save(path)
        elif command.startswith("/"):
            raise UserError(f"no command {command}: {COMMANDS}")
        else:
            self.send(line)
        return True

    def show(self, path: Path) -> None:
        """Keep a picture for the next turn."""
        from blip3o.processing.images import open_picture

        self.picture = open_picture(path)
        self.transcript.append(("shown", path))
        _notify(f"{path} is shown with your next words")

    def send(self, text: str) -> None:
        """One turn and its answer."""
        with working("answering"):
            reply = self.chat.send(text, self.picture)
        self.picture = None
        path = None
        if reply.image is not None:
            self.num_drawn += 1
            path = write_new_picture(reply.image, self.folder / f"{self.num_drawn:02d}-{slug(text)}.png")
        answer = reply.text or (None if path else "(no answer)")
        self.transcript += [f"**you:** {text}", *([f"*{reply.reasoning}*"] if reply.reasoning else [])]
        self.transcript += [f"**blip3o:** {reply.text}"] if answer else []
        self.transcript += [(text, path)] if path else []
        if self.as_json:
            record = {"prompt": text, "text": reply.text, "reasoning": reply.reasoning, "image": path and str(path)}
            print(encoding.dumps(record, ensure_ascii=False), flush=True)
            return
        lines = (reply.reasoning and f"({reply.reasoning})", answer, path and f"[picture: {path}]")
        print(*filter(None, lines), sep="\n", flush=True)

    def save(self, path: Path) -> None:
        """Write the transcript as Markdown, its pictures by their place beside it."""
        lines = [
            line if isinstance(line, str) else f"![{line[0]}]({os.path.relpath(line[1], path.parent)})"
            for line in self.transcript
        ]
        written = write_text(path, "".join(f"{line}\n\n" for line in lines))
        _notify(f"saved {written}")
