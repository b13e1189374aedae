"""The commands of the original documentation, carried out by the verbs they became; other options are the verb's."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from blip3o.cli.app import run
from blip3o.errors import ConfigError

GROUPS = {
    "image_understanding": ("vqa", "caption"),
    "vqa": ("vqa",),
    "caption": ("caption",),
    "image_generation": ("generation",),
    "gen-eval": ("generation",),
    "image_editing": ("edit",),
}
"""Task of evaluate.py -> groups of the picture-book suite."""


class _Parser(argparse.ArgumentParser):
    """Takes whole names only, so that a verb's own options pass, and complains in one line."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}: `python {self.prog} --help` shows what there is")


def _add_checkpoint(parser: _Parser) -> None:
    parser.add_argument("--checkpoint", default="picturebook", help="a shipped model, or a checkpoint's folder")


Translate = Callable[[Sequence[str]], list[str]]


def run_inference(arguments: Sequence[str]) -> list[str]:
    """python run_inference.py -> blip3o understand."""
    parser = _Parser("run_inference.py", description="Reads a picture; the work is `blip3o understand`.")
    parser.add_argument("--task", required=True, help="vqa, caption or image_classification")
    parser.add_argument("--input_path", required=True, help="the picture")
    parser.add_argument("--question", help="for vqa")
    _add_checkpoint(parser)
    options, rest = parser.parse_known_args(arguments)
    words = ["understand", "--task", options.task, "--model", options.checkpoint, *rest, "--", options.input_path]
    return words if options.question is None else [*words, options.question]


def generate_image(arguments: Sequence[str]) -> list[str]:
    """python generate_image.py -> blip3o generate."""
    parser = _Parser("generate_image.py", description="Draws a picture; the work is `blip3o generate`.")
    parser.add_argument("--prompt", required=True, help="what to draw")
    parser.add_argument("--output_path", required=True, help="a .png or .jpg file")
    _add_checkpoint(parser)
    options, rest = parser.parse_known_args(arguments)
    return ["generate", "--output", options.output_path, "--model", options.checkpoint, *rest, "--", options.prompt]


def evaluate(arguments: Sequence[str]) -> list[str]:
    """python evaluate.py -> blip3o evaluate."""
    from blip3o.evals.registry import TASKS

    tasks = list(dict.fromkeys((*GROUPS, *TASKS)))
    parser = _Parser("evaluate.py", description="Scores a checkpoint; the work is `blip3o evaluate`.")
    parser.add_argument("--task", required=True, help=", ".join(tasks))
    _add_checkpoint(parser)
    parser.add_argument("--data", help="benchmarks: a folder with a folder for each; without it the picture book asks")
    options, rest = parser.parse_known_args(arguments)
    table = GROUPS if options.data is None else TASKS
    if options.task not in table:
        advice = (
            "add --data, the folder of its benchmarks" if options.task in TASKS else f"choose one of {', '.join(tasks)}"
        )
        raise ConfigError(
            f"no task {options.task!r} {'of the picture book' if options.task in TASKS else 'here'}: {advice}"
        )
    option, suite = (
        ("--group", ["--suite", "picturebook"]) if options.data is None else ("--benchmark", ["--data", options.data])
    )
    named = [word for name in table[options.task] for word in (option, name)]
    return ["evaluate", *suite, "--model", options.checkpoint, *named, *rest]


def train(arguments: Sequence[str]) -> list[str]:
    """python train.py -> blip3o train."""
    parser = _Parser("train.py", description="Trains by a recipe; the work is `blip3o train`.")
    parser.add_argument("--config", required=True, help="a recipe's file or name")
    parser.add_argument("--output_dir", required=True, help="the run's folder")
    options, rest = parser.parse_known_args(arguments)
    return ["train", "--config", options.config, "--output", options.output_dir, *rest]


def main(translate: Translate) -> NoReturn:
    """Carry out one of the original commands."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        words = translate(sys.argv[1:])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(words))
