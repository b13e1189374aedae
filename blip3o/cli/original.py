"""The commands of the original documentation, carried out by the verbs they became; other options are the verb's."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

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

    def __init__(self, prog: str, description: str, **required: str) -> None:
        """`required` are options and their help."""
        super().__init__(prog, description=description, allow_abbrev=False)
        for name, text in required.items():
            self.add_argument(f"--{name}", required=True, help=text)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}: `python {self.prog} --help` shows what there is")


CHECKPOINT: dict[str, Any] = {"default": "picturebook", "help": "a shipped model, or a checkpoint's folder"}
Translate = Callable[[Sequence[str]], list[str]]


def run_inference(arguments: Sequence[str]) -> list[str]:
    """python run_inference.py -> blip3o understand."""
    required = {"task": "vqa, caption or image_classification", "input_path": "the picture"}
    parser = _Parser("run_inference.py", "Reads a picture; the work is `blip3o understand`.", **required)
    parser.add_argument("--question", help="for vqa")
    parser.add_argument("--checkpoint", **CHECKPOINT)
    options, rest = parser.parse_known_args(arguments)
    words = ["understand", "--task", options.task, "--model", options.checkpoint, *rest, "--", options.input_path]
    return words if options.question is None else [*words, options.question]


def generate_image(arguments: Sequence[str]) -> list[str]:
    """python generate_image.py -> blip3o generate."""
    required = {"prompt": "what to draw", "output_path": "a .png or .jpg file"}
    parser = _Parser("generate_image.py", "Draws a picture; the work is `blip3o generate`.", **required)
    parser.add_argument("--checkpoint", **CHECKPOINT)
    options, rest = parser.parse_known_args(arguments)
    return ["generate", "--output", options.output_path, "--model", options.checkpoint, *rest, "--", options.prompt]


def evaluate(arguments: Sequence[str]) -> list[str]:
    """python evaluate.py -> blip3o evaluate."""
    from blip3o.evals.registry import TASKS

    tasks = ", ".join(dict.fromkeys((*GROUPS, *TASKS)))
    parser = _Parser("evaluate.py", "Scores a checkpoint; the work is `blip3o evaluate`.", task=tasks)
    parser.add_argument("--checkpoint", **CHECKPOINT)
    parser.add_argument("--data", help="benchmarks: a folder with a folder for each; without it the picture book asks")
    options, rest = parser.parse_known_args(arguments)
    if options.data is None:
        table, option, suite = GROUPS, "--group", ["--suite", "picturebook"]
    else:
        table, option, suite = TASKS, "--benchmark", ["--data", options.data]
    if options.task not in table:
        if options.task in TASKS:
            where, advice = "of the picture book", "add --data, the folder of its benchmarks"
        else:
            where, advice = "here", f"choose one of {tasks}"
        raise ConfigError(f"no task {options.task!r} {where}: {advice}")
    named = [word for name in table[options.task] for word in (option, name)]
    return ["evaluate", *suite, "--model", options.checkpoint, *named, *rest]


def train(arguments: Sequence[str]) -> list[str]:
    """python train.py -> blip3o train."""
    required = {"config": "a recipe's file or name", "output_dir": "the run's folder"}
    parser = _Parser("train.py", "Trains by a recipe; the work is `blip3o train`.", **required)
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
