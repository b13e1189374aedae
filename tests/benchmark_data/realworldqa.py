"""A RealWorldQA of three questions, as xAI's file and as the mirror on the Hub."""

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content

LETTER = "Please answer directly with only the letter of the correct option and nothing else."
WORD = "Please answer directly with a single word or number."
ROWS = [
    (f"Which way does the van turn?\n\nA. Left\nB. Straight on\nC. Right\n\n{LETTER}", "B"),
    (f"How many cones are there?\n\n{WORD}", "2"),
    (f"Is the gate open?\n\n{WORD}", "Yes"),
]


def write(folder):
    _write(folder, lambda number: {})


def write_mirror(folder):
    _write(folder, lambda number: {"image_path": f"{number}.webp"})


def _write(folder, more):
    (folder / "data").mkdir(parents=True)
    rows = [
        {"image": {"bytes": content(), "path": None}, "question": question, "answer": answer} | more(number)
        for number, (question, answer) in enumerate(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet")
