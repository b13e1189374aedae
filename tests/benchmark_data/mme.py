"""An MME of one picture for each subtask, in the official folders and as the mirror on the Hub."""

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

APART = ("artwork", "celebrity", "landmark", "posters", "scene")
"""Subtasks whose pictures and texts stand in folders of their own."""
TOGETHER = (
    *("existence", "count", "position", "color", "OCR"),
    *("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
)
PAIR = (
    ("Is there a lamp in this image? Please answer yes or no.", "Yes"),
    ("Is there a horse in this image? Please answer yes or no.", "No"),
)


def write(folder):
    for name in (*APART, *TOGETHER):
        place = folder / "MME_Benchmark_release_version" / name
        texts, pictures = (place / "questions_answers_YN", place / "images") if name in APART else (place, place)
        write_picture(pictures / ("0001.png" if name == "code_reasoning" else "0001.jpg"))
        texts.mkdir(parents=True, exist_ok=True)
        (texts / "0001.txt").write_text("".join(f"{question}\t{answer}\n" for question, answer in PAIR))


def write_mirror(folder, without=()):
    (folder / "data").mkdir(parents=True)
    rows = [
        {
            "question_id": f"{name}/0001.jpg",
            "image": {"bytes": content(), "path": "0001.jpg"},
            "question": question,
            "answer": answer,
            "category": name,
        }
        for name in (*APART, *TOGETHER)
        if name not in without
        for question, answer in PAIR
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet")
