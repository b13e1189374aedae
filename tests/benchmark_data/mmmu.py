"""An MMMU of six questions in three subjects, in the official files (one for each subject) and as the mirror (one)."""

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content

COLOURS = ("red", "blue")
CHOICE, OPEN = "multiple-choice", "open"
QUESTIONS = [
    ("Art_1", CHOICE, "Which colour does <image 1> show?", "['red', 'green', 'blue']", "A"),
    ("Art_2", CHOICE, "Which of the two is warmer?", "['<image 1>', '<image 2>']", "B"),
    ("Math_3", OPEN, "How long is the side in <image 1>?", "[]", "12.5"),
    ("Math_11", OPEN, "What is the ratio in <image 1>?", "[]", "['3:2', '1.5']"),
    ("Music_4", CHOICE, "Which note is at the top of <image 1>?", "['F', 'A', 'C', 'E', 'G']", "D"),
    ("Music_5", OPEN, "Name the clef of <image 1>.", "[]", "treble"),
]
BEST = {"Math_3": "so it is 12.5", "Math_11": "The ratio is 1.5", "Music_5": "a treble clef"}


def row(name, kind, question, options, answer):
    images = {
        f"image_{number}": {"bytes": content(COLOURS[number - 1]), "path": None}
        if f"<image {number}>" in question + options
        else None
        for number in range(1, 8)
    }
    facts = {"id": f"validation_{name}", "question": question, "options": options, "explanation": ""}
    more = {"img_type": "['Photographs']", "answer": answer, "topic_difficulty": "Easy", "question_type": kind}
    return facts | images | more | {"subfield": "made up"}


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "question", "options", "explanation")]
    + [(f"image_{number}", pa.struct({"bytes": pa.binary(), "path": pa.string()})) for number in range(1, 8)]
    + [(name, pa.string()) for name in ("img_type", "answer", "topic_difficulty", "question_type", "subfield")]
)


def save(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)


def write(folder):
    for subject in ("Art", "Math", "Music"):
        rows = [row(*question) for question in QUESTIONS if question[0].startswith(subject)]
        save(folder / subject / "validation-00000-of-00001.parquet", rows)
        save(folder / subject / "dev-00000-of-00001.parquet", [one | {"id": f"dev_{subject}_1"} for one in rows[:1]])


def write_mirror(folder):
    save(folder / "data" / "validation-00000-of-00001.parquet", [row(*question) for question in QUESTIONS])
