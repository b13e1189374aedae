"""Trains the picture-book judge, measures it on scenes it never saw, and writes it with its card.

    python scripts/train_judge.py --output blip3o/picturebook/detector/checkpoint

One thread, about 7 minutes. The result depends on the seed, the steps, the batch and the drawings alone.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch

from blip3o.picturebook.detector.network import HeatmapDetector
from blip3o.picturebook.detector.scene_detector import WEIGHTS, SceneDetector
from blip3o.picturebook.detector.training import TrainingConfig, num_right, train
from blip3o.picturebook.world.scene import SIZE
from blip3o.weights.checkpoint import write_tensors

CARD = """# The judge of the picture book

A heat-map detector of {parameters:,} parameters (`blip3o/picturebook/detector/network.py`) that says what stands
in a {size} x {size} px picture, where, in which colour, and in what place and time. `blip3o evaluate` scores pictures
with it.

It was trained on drawn scenes alone, spoiled a little by blur, noise, tint and JPEG so that a network's drawings are
judged fairly. It never saw a picture of any model and never trains, filters or steers one. Its scenes hold every
combination of kind and colour, those of the composition split included.

| | |
|---|---|
| command | `{command}` |
| seed, steps, batch | {seed}, {steps}, {batch} |
| time | {minutes:.1f} min on one CPU thread, torch {torch} |
| accuracy on {n:,} held-out drawn scenes | {accuracy:.4f} |

A scene counts as right if every object's kind, colour and position (within 4 px) is, with none too many, and place and
time too.
"""


def rounded(detector: HeatmapDetector) -> dict[str, torch.Tensor]:
    """The tensors to store: kernels in bfloat16, the few vectors as they are."""
    tensors = detector.state_dict().items()
    return {name: t.bfloat16() if t.ndim > 1 else t for name, t in tensors}


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=WEIGHTS.parent, help="folder for the weights and their card")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=TrainingConfig.steps)
    parser.add_argument("--batch", type=int, default=TrainingConfig.batch)
    parser.add_argument("--n", type=int, default=10_000, help="held-out scenes to measure on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = TrainingConfig(seed=options.seed, steps=options.steps, batch=options.batch)
    start = time.monotonic()

    def report(step: int, loss: float) -> None:
        if step % 100 == 99:
            print(f"step {step + 1:5}/{config.steps}  loss {loss:.4f}  {time.monotonic() - start:5.0f} s", flush=True)

    detector = train(config, report)
    minutes = (time.monotonic() - start) / 60
    tensors = rounded(detector)
    detector.load_state_dict(tensors)
    accuracy = num_right(SceneDetector(detector), seed=0, n=options.n) / options.n
    write_tensors(options.output / WEIGHTS.name, tensors, asdict(config))
    card = CARD.format(
        size=SIZE,
        parameters=sum(parameter.numel() for parameter in detector.parameters()),
        command=f"python scripts/train_judge.py --seed {config.seed} --steps {config.steps} --batch {config.batch}",
        seed=config.seed,
        steps=config.steps,
        batch=config.batch,
        minutes=minutes,
        torch=torch.__version__.split("+")[0],
        n=options.n,
        accuracy=accuracy,
    )
    (options.output / "README.md").write_text(card)
    print(json.dumps({"accuracy": accuracy, "n": options.n, "minutes": round(minutes, 1)}))


if __name__ == "__main__":
    main()
