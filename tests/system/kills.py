"""A run that is killed at random moments, again and again, tells the same losses as one that never was, bit for bit.

    python tests/system/kills.py --count 100

The run learns from a mixture of three sources, by threads that read ahead, in micro-batches, with Muon, AdamW and an
average of its weights. Every process is forked from this one, which has imported all: it runs the command's own loop,
and gets SIGKILL at a moment drawn from the length of an unbroken run, while it opens its data, learns, saves or
publishes. Some kills also truncate the newest state, as a power cut may. Whatever a run tells must be what the unbroken
one told, and so must be the bytes of the weights after each stage and of the checkpoint.
"""

import argparse
import json
import os
import random
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from unittest import mock

import torch
import yaml
from PIL import Image

from blip3o import files
from blip3o.config import load
from blip3o.train import states
from blip3o.train import trainer as loop
from blip3o.train.recipe import Recipe
from blip3o.train.states import DAMAGED, States
from blip3o.train.steps import STATE, StageSteps
from blip3o.weights import checkpoint, digest

TINY = Path(__file__).parents[1] / "tiny.yaml"
COLORS = ("red", "green", "blue", "white", "black", "yellow", "purple")
TOLD = "told.jsonl"
DAMAGED_SHARE = 0.2
"""Of the kills after which the newest state is found truncated."""
RECIPE = """
name: kills
description: for tests
precision: float32
save_every: 2
workers: 2
model: {model}
source:
  kind: mixture
  sources:
    folder: {{kind: image_folder, path: {data}/folder}}
    rows: {{kind: jsonl, path: {data}/rows.jsonl}}
    shards: {{kind: webdataset, path: "{data}/shards/{{0..1}}.tar", caption_dropout: 0.3}}
stages:
  - name: space
    objective: {{kind: autoencoder, feature_noise: 0.1}}
    trains: [space.encoder, space.decoder.sketcher]
    steps: 4
    batch_size: 5
    micro_batch_size: 3
    learning_rate: 2e-3
  - name: whole
    objective:
      kind: unified
      features: online
      draw: {{folder.draw: 2, shards.draw: 1, rows.edit: 1}}
      text: {{shards.caption: 1, folder.caption: 1}}
      text_batch_size: 3
    trains: [unified]
    steps: 6
    batch_size: 5
    micro_batch_size: 2
    learning_rate: 2e-3
    ema: 0.9
"""


def make_data(folder: Path) -> None:
    """Three sources: pictures with captions beside them, edits by rows, and two shards."""
    (folder / "folder").mkdir(parents=True)
    (folder / "shards").mkdir()
    for index, color in enumerate(COLORS):
        path = folder / "folder" / f"{index}.png"
        Image.new("RGB", (40 + 8 * index, 60), color).save(path)
        path.with_suffix(".txt").write_text(f"a {color} field")
    edits = [
        {"source": f"folder/{one}.png", "instruction": f"make it {COLORS[other]}", "target": f"folder/{other}.png"}
        for one, other in ((0, 1), (1, 2), (2, 0), (3, 6), (5, 4))
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(edit) + "\n" for edit in edits))
    for shard in range(2):
        with tarfile.open(folder / "shards" / f"{shard}.tar", "w") as tar:
            for index in range(shard, len(COLORS), 2):
                picture = BytesIO()
                Image.new("RGB", (72, 72), COLORS[index]).save(picture, "JPEG")
                caption = f"a page of {COLORS[index]} paper".encode()
                for name, content in ((f"{index}.jpg", picture.getvalue()), (f"{index}.txt", caption)):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))


def make_recipe(folder: Path) -> Recipe:
    """The recipe of the run, on data made in the folder."""
    make_data(folder / "data")
    path = folder / "kills.yaml"
    model = yaml.safe_load(TINY.read_text())["model"]
    model["unified"]["backbone"]["text"]["vocab_size"] = 300
    path.write_text(RECIPE.format(model=json.dumps(model), data=folder / "data"))
    return load(Recipe, path)


def carry_out(recipe: Recipe, folder: Path) -> None:
    """The run from where it stands to its checkpoint; every step's losses to the last bit, and the samples of every
    step that was loaded, go to a file."""
    folder.mkdir(exist_ok=True)
    loop.LOG_EVERY = 1
    load_step = StageSteps.load

    def tell(**facts: object) -> None:
        files.append(folder / TOLD, json.dumps(facts) + "\n")

    def load_and_tell(steps: StageSteps, step: int):
        loaded = load_step(steps, step)
        tell(loaded=[steps.stage.name, step], samples=[batch.addresses for batch in loaded.batches])
        return loaded

    def see(progress) -> None:
        if progress.losses:
            tell(step=[progress.stage, progress.step], losses={k: v.hex() for k, v in progress.losses.items()})

    unnamed = mock.patch.object(loop, "commit", return_value="none")  # a checkpoint names it, and it may change
    with unnamed, mock.patch.object(StageSteps, "load", load_and_tell):
        trainer = loop.Trainer(recipe, folder, see, tell=lambda line: tell(warning=line))
        trainer.run()
        trainer.publish()


def started(work: Callable[[], None]) -> int:
    """The number of a new process that does this work."""
    sys.stdout.flush()
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        torch.set_num_threads(1)  # makes the pool anew that the fork has lost, before two threads do it at once
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the parent only hears of a code; what it was goes to stderr
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def ended(number: int, after_s: float) -> bool:
    """Whether the process ends well within this time; else it is killed. Raises where it fails by itself."""
    stop = time.monotonic() + after_s
    while time.monotonic() < stop:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return _well(status)
        time.sleep(0.001)
    os.kill(number, signal.SIGKILL)
    return _well(os.waitpid(number, 0)[1])


def _well(status: int) -> bool:
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the run ended with {code}"
    return code == 0


def told(folder: Path) -> dict[str, dict[str, str]]:
    """What a run told: of which step -> losses or samples. Raises where it told two things of one step."""
    facts: dict[str, dict[str, str]] = {"step": {}, "loaded": {}}
    for line in (folder / TOLD).read_text().split("\n"):
        try:
            fact = json.loads(line)
        except ValueError:
            continue  # cut by a kill
        for kind, known in facts.items():
            if kind in fact:
                value = json.dumps(fact["losses" if kind == "step" else "samples"])
                assert known.setdefault(str(fact[kind]), value) == value, f"{folder} told another {kind} {fact[kind]}"
    return facts


def weights(folder: Path) -> dict[str, bytes]:
    """The bytes of all weights that a run leaves."""
    found = [*folder.glob(f"stages/*/{checkpoint.WEIGHTS}"), folder / "checkpoint" / checkpoint.WEIGHTS]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def compare(folder: Path, whole: Path) -> None:
    """Raise AssertionError where a run is not the unbroken one."""
    assert told(folder) == told(whole), f"{folder} told other losses or samples than the unbroken run"
    assert weights(folder) == weights(whole), f"{folder} left other weights than the unbroken run"
    left = [path.name for path in folder.glob("states/*") if not path.name.endswith(DAMAGED)]
    assert left == [], f"{folder} still holds {left}"


def damage_newest(folder: Path) -> bool:
    """Truncate the newest state, where there is an older one of its stage."""
    for stage in ("space", "whole"):
        if len(found := States(folder, 2, print).of(stage)) > 1:
            file = found[0] / STATE
            os.truncate(file, file.stat().st_size // 2)
            return True
    return False


def unbroken(recipe: Recipe, folder: Path) -> float:
    """Carry out the run that all others are compared with, in this process, so that those forked from it find their
    libraries warm; gives the seconds that it takes one of them."""
    carry_out(recipe, folder)
    again = folder.with_name("again")
    since = time.monotonic()
    assert ended(started(lambda: carry_out(recipe, again)), 600)
    length_s = time.monotonic() - since
    compare(again, folder)
    return length_s


def kill_at_random(recipe: Recipe, place: Path, whole: Path, count: int, length_s: float, seed: int) -> str:
    """Kill runs so often, each until it gets to its end all the same; gives what happened in words."""
    rng = random.Random(seed)
    kills = damaged = runs = 0
    while kills < count:
        folder = place / f"run{runs}"
        while not ended(started(lambda folder=folder: carry_out(recipe, folder)), rng.uniform(0, length_s)):
            kills += 1
            if rng.random() < DAMAGED_SHARE:
                damaged += damage_newest(folder)
            if kills % 10 == 0:
                print(f"{kills} kills", file=sys.stderr, flush=True)
            if kills >= count:
                assert ended(started(lambda folder=folder: carry_out(recipe, folder)), 600)
                break
        compare(folder, whole)
        runs += 1
    return f"{kills} kills in {runs} runs, {damaged} with a truncated newest state: all as the unbroken run"


def die(*_: object, **__: object) -> None:
    """SIGKILL, here and now."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(tensors: object, path: Path, about: object) -> None:
    """A file of which the first bytes are there."""
    path.write_bytes(b"half")
    die()


MOMENTS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "in the first step": (StageSteps, "backward", die),
    "while a state is written": (checkpoint, "save_file", half_written),
    "before a state has its digest": (states, "write_json", die),
    "when a stage has its weights and still its states": (States, "drop", die),
    "between two stages": (loop.Trainer, "judge", die),
    "while the checkpoint is published": (digest, "of", die),
}
"""Moments that random kills seldom meet: what is replaced, and by what."""


def kill_at(moment: str, recipe: Recipe, folder: Path, whole: Path) -> None:
    """Kill a run at a moment, then let the same command end it."""
    owner, name, replacement = MOMENTS[moment]

    def killed() -> None:
        with mock.patch.object(owner, name, replacement):
            carry_out(recipe, folder)

    assert not ended(started(killed), 600), f"{moment} never came"
    assert ended(started(lambda: carry_out(recipe, folder)), 600)
    compare(folder, whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="kills at random moments")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        recipe = make_recipe(place)
        length_s = unbroken(recipe, place / "whole")
        print(f"an unbroken run takes {length_s:.1f} s", file=sys.stderr)
        for number, moment in enumerate(MOMENTS):
            kill_at(moment, recipe, place / f"moment{number}", place / "whole")
            print(f"killed {moment}: as the unbroken run")
        print(kill_at_random(recipe, place, place / "whole", arguments.count, length_s, arguments.seed))


if __name__ == "__main__":
    main()
