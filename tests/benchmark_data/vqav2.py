"""A VQAv2 of four questions about two photographs, in the official files and as the mirror on the Hub."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

ROWS = [
    (1000, 7, "Is the boat blue?", "is the", "yes/no", ["yes"] * 10),
    (1001, 7, "How many oars are there?", "how many", "number", ["2"] * 7 + ["two", "3", "none"]),
    (2000, 42, "What is on the shelf?", "what is on the", "other", ["books"] * 5 + ["a book"] * 4 + ["vases"]),
    (2001, 42, "What color is the wall?", "what color is the", "other", ["gray"] * 4 + ["grey"] * 6),
]


def answers(words):
    return [
        {"answer": word, "answer_confidence": "yes", "answer_id": place} for place, word in enumerate(words, start=1)
    ]


def annotation(row):
    number, image, _, question_type, answer_type, words = row
    return {
        "question_type": question_type,
        "multiple_choice_answer": words[0],
        "answers": answers(words),
        "image_id": image,
        "answer_type": answer_type,
        "question_id": number,
    }


def photograph(image):
    return f"COCO_val2014_{image:012d}.jpg"


def write(folder):
    for _, image, *_ in ROWS:
        write_picture(folder / "val2014" / photograph(image))
    questions = [{"image_id": image, "question": text, "question_id": number} for number, image, text, *_ in ROWS]
    (folder / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps({"questions": questions}))
    (folder / "v2_mscoco_val2014_annotations.json").write_text(
        json.dumps({"annotations": [annotation(row) for row in reversed(ROWS)]})
    )


def write_mirror(folder, split="validation", hidden=False):
    (folder / "data").mkdir(parents=True)
    rows = [
        annotation(row)
        | {"question": row[2], "image": {"bytes": content(), "path": photograph(row[1])}}
        | ({"answers": None} if hidden else {})
        for row in ROWS
    ]
    for place, part in enumerate((rows[:3], rows[3:])):
        pq.write_table(pa.Table.from_pylist(part), folder / "data" / f"{split}-{place:05d}-of-00002.parquet")
