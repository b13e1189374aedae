"""Draws the README's picture: what the model makes of a dozen prompts and of three edits, none of them picked.

python scripts/readme_picture.py
"""

import argparse
from pathlib import Path

from blip3o.api import BLIP3o
from blip3o.cli.contact_sheet import sheet
from blip3o.cli.files import write_picture

PROMPTS = (
    "a photo of a red dog",
    "a photo of three yellow balloons",
    "a castle in the snow at night",
    "a blue car and a pink umbrella",
    "a photo of a cat left of a tree",
    "two green turtles on a beach by day",
    "a photo of a bird above a house",
    "four white rabbits in a meadow",
    "a purple airplane in the desert",
    "a photo of an orange boat and a black clock",
    "a photo of two red mushrooms",
    "a brown chair in a meadow at night",
)
EDITS = ((0, "make it night"), (3, "paint the car green"), (9, "remove the clock"))
"""(which of the drawn pictures, what to change)"""


def main() -> None:
    """Draw, edit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="picturebook", help="a shipped model, or a checkpoint's folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "pictures" / "drawn.png")
    options = parser.parse_args()
    model = BLIP3o.load(options.model)
    drawn = model.generate(PROMPTS, seed=options.seed)
    before = [drawn[index] for index, _ in EDITS]
    after = model.edit(before, [text for _, text in EDITS], seed=options.seed)
    pairs = zip(before, after, EDITS, strict=True)
    page = sheet(
        [
            ("", [(image, prompt) for image, prompt in zip(drawn, PROMPTS, strict=True)]),
            ("", [t for a, b, (i, text) in pairs for t in ((a, PROMPTS[i]), (b, f"> {text}"))]),
        ]
    )
    page.info |= {key: drawn[0].info[key] for key in ("model", "version")}
    page.info |= {"seed": str(options.seed), "prompt": "; ".join([*PROMPTS, *(text for _, text in EDITS)])}
    print(write_picture(page, options.output))


if __name__ == "__main__":
    main()
