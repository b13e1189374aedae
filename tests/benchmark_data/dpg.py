"""A DPG-Bench of three prompts."""

import csv

COLUMNS = (
    "item_id",
    "text",
    "keywords",
    "proposition_id",
    "dependency",
    "category_broad",
    "category_detailed",
    "tuple",
    "question_natural_language",
)
PROMPTS = {
    "partiprompts97": "A stone lion guards a gate.",
    "midjourney3": "A green teapot, steaming, stands on a tiled stove.",
    "12": "A sketch of three sailing boats.",
}
QUESTIONS = [
    ("partiprompts97", 1, "0", "entity - whole (lion)", "Is there a lion?"),
    ("partiprompts97", 2, "1", "attribute - texture (lion, stone)", "Is the lion made of stone?"),
    ("midjourney3", 1, "0", "entity - whole (teapot)", "Is there a teapot?"),
    ("midjourney3", 2, "0", "entity - whole (stove)", "Is there a stove?"),
    ("midjourney3", 3, "1", "attribute - color (teapot, green)", "Is the teapot green?"),
    ("midjourney3", 4, "1,2", "relation - spatial (teapot, stove, on)", "Is the teapot on the stove?"),
    ("12", 1, "0", "global - (sketch)", "Is this a sketch?"),
    ("12", 2, "0", "entity - whole (boats)", "Are there boats?"),
    ("12", 3, "2", "other - count (boats, ==3)", "Are there three boats?"),
]


def write(folder):
    (folder / "prompts").mkdir(parents=True)
    for name, text in PROMPTS.items():
        (folder / "prompts" / f"{name}.txt").write_text(text + "\n")
    with (folder / "dpg_bench.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for item, number, parents, kind, question in QUESTIONS:
            broad, detailed = (part.strip() for part in kind.partition("(")[0].split("-"))
            table.writerow((item, PROMPTS[item], "", number, parents, broad, detailed, kind, question))
