"""Twenty pictures of a star with captions, and twenty edits that end in them: what a user of one's own would bring.

python examples/new_noun/draw.py stars
"""

import argparse
import json
import random
from pathlib import Path

from PIL import Image
from star import edit_to, scene_with

from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import COLORS

PICTURES = 20


def main() -> None:
    """Write FOLDER/NN.png and metadata.jsonl with their captions, FOLDER/before/NN.png and edits.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    (folder / "before").mkdir(parents=True)
    rng, captions, edits = random.Random("train"), [], []
    for number in range(PICTURES):
        name = f"{number:02}.png"
        scene, noun = scene_with(rng, COLORS[number % len(COLORS)], others=number % 2)
        before, instruction = edit_to(rng, scene, noun)
        Image.fromarray(draw(scene)).save(folder / name)
        Image.fromarray(draw(before)).save(folder / "before" / name)
        captions.append({"file_name": name, "caption": caption(scene)})
        edits.append({"source": f"before/{name}", "instruction": instruction, "target": name})
    for name, rows in (("metadata.jsonl", captions), ("edits.jsonl", edits)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
