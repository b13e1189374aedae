"""How well a model reads, draws and edits with the new word, by the judge; on scenes that no training has seen.

python examples/new_noun/measure.py judge.pt --adapter runs/adapter/adapter
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from judge import Judge
from PIL import Image
from star import NOUN, edit_to, scene_with

from blip3o import BLIP3o
from blip3o.picturebook.world.captions import noun_phrase, scenery
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import COLORS


def main() -> None:
    """Print the shares and write a sheet of pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("judge", type=Path)
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--sheet", type=Path, help="a .png of the first pictures drawn and edited")
    options = parser.parse_args()
    judge, model, rng = Judge(), BLIP3o.load(adapters=options.adapter), random.Random("measure")
    judge.load_state_dict(torch.load(options.judge))
    judge.eval()

    scenes = [scene_with(rng, COLORS[number % len(COLORS)], number % 3) for number in range(options.count)]
    phrases = [noun_phrase(1, noun.color, NOUN) for _, noun in scenes]
    captions = model.caption([Image.fromarray(draw(scene)) for scene, _ in scenes])
    read = [phrase in caption for phrase, caption in zip(phrases, captions, strict=True)]

    prompts = [f"a photo of {phrase} {scenery(scene)}" for phrase, (scene, _) in zip(phrases, scenes, strict=True)]
    drawings = model.generate(prompts)
    drawn = [
        {*seen.values()} == {(NOUN, noun.color)} for seen, (_, noun) in zip(judge.see(drawings), scenes, strict=True)
    ]

    asked = [edit_to(rng, scene, noun) for scene, noun in scenes]
    befores = [Image.fromarray(draw(before)) for before, _ in asked]
    edits = model.edit(befores, [instruction for _, instruction in asked])
    edited = [
        seen.get(noun.cell) == (NOUN, noun.color) for seen, (_, noun) in zip(judge.see(edits), scenes, strict=True)
    ]
    parts = {"read": read, "drawn": drawn, "edited": edited}
    print(json.dumps({name: round(float(np.mean(part)), 3) for name, part in parts.items()}))
    print(*captions[:5], sep="\n")
    if options.sheet:
        rows = [np.concatenate([np.asarray(one) for one in row[:12]], 1) for row in (drawings, befores, edits)]
        Image.fromarray(np.concatenate(rows)).resize((12 * 144, 3 * 144), Image.Resampling.LANCZOS).save(options.sheet)


if __name__ == "__main__":
    main()
