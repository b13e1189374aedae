"""An MMBench of three questions, with their rotations nine rows, in the official TSV and as the mirror on the Hub."""

import base64
import csv

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content

QUESTIONS = [
    (3, "", "Which fruit is it?", ["plum", "pear", "fig", "quince"], "pear", "object_naming", "naming"),
    (7, "The bench is old.", "Is the bench red?", ["yes", "no"], "no", "color_telling", "telling"),
    (12, "", "What is left of the jug?", ["a cup", "a spoon", "a lid"], "a lid", "place_telling", "telling"),
]
COLUMNS = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "source")
ROTATION = 1_000_000


def rows():
    """All questions as they are, then all of them rotated by one, by two, by three."""
    made = []
    for turn in range(4):
        for number, hint, question, options, right, category, ability in QUESTIONS:
            if turn < len(options):
                turned = options[turn:] + options[:turn]
                row = dict(zip("ABCD", turned, strict=False))
                row |= {"index": number + turn * ROTATION, "question": question, "hint": hint, "source": "made up"}
                row |= {"answer": "ABCD"[turned.index(right)], "category": category, "ability": ability}
                made.append(row)
    return made


def write(folder):
    """Rotated rows name the row that has their picture by its number, as some official files do."""
    with (folder / "MMBench_DEV_EN.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, "l2-category", "split"), delimiter="\t", restval="")
        writer.writeheader()
        for row in rows():
            ability = row.pop("ability")
            first = row["index"] % ROTATION
            image = base64.b64encode(content()).decode() if row["index"] == first else str(first)
            writer.writerow(row | {"image": image, "l2-category": ability, "split": "dev"})


def write_mirror(folder):
    (folder / "en").mkdir(parents=True)
    made = []
    for row in rows():
        empty = dict.fromkeys(COLUMNS, "nan") | {"comment": "nan", "split": "dev", "L2-category": row.pop("ability")}
        row["hint"] = row["hint"] or "nan"
        made.append(empty | row | {"image": {"bytes": content(), "path": None}})
    pq.write_table(pa.Table.from_pylist(made), folder / "en" / "dev-00000-of-00001.parquet")
