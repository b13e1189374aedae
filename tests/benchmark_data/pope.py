"""A POPE of six questions, in the official files and as the mirror on the Hub."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

ROWS = [
    (setting, number, f"Is there a {thing} in the image?", label)
    for setting in ("random", "popular", "adversarial")
    for number, (thing, label) in enumerate((("dog", "yes"), ("car", "no")), start=1)
]
IMAGE = "COCO_val2014_000000000001.jpg"


def write(folder):
    write_picture(folder / "val2014" / IMAGE)
    for setting in ("random", "popular", "adversarial"):
        lines = [
            json.dumps({"question_id": number, "image": IMAGE, "text": text, "label": label})
            for kind, number, text, label in ROWS
            if kind == setting
        ]
        (folder / f"coco_pope_{setting}.json").write_text("\n".join(lines) + "\n")


def write_mirror(folder):
    (folder / "data").mkdir(parents=True)
    rows = [
        {
            "id": str(index),
            "question_id": str(number),
            "question": text,
            "answer": label,
            "image_source": IMAGE,
            "image": {"bytes": content(), "path": IMAGE},
            "category": setting,
        }
        for index, (setting, number, text, label) in enumerate(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet")
