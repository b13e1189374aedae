"""A SEED-Bench of five questions, three of pictures and two of videos, in the official files and as the mirror."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

QUESTIONS = [
    ("101", "image", 1, "1454426_2591111986", "What season is it?", ["Autumn", "Spring", "Winter", "Summer"], "C"),
    ("102", "image", 5, "1454426_2591111986", "How many birds are there?", ["One", "Two", "Three", "Four"], "A"),
    ("103", "image", 9, "ICDAR_3", "What does the sign say?", ["Stop", "Go", "Wait", "Turn"], "D"),
    ("v7", "video", 10, "7.webm", "What is done with the cup?", ["Lifted", "SlotInputs", "Washed", "Broken"], "B"),
    ("v8", "video", 12, "P03_cereals.mp4", "What comes next?", ["Milk", "Spoon", "Bowl", "Nothing"], "A"),
]
TYPES = {"Scene Understanding": 1, "Instances Counting": 5, "Action Recognition": 10, "Procedure Understanding": 12}
FRAMES = {10: "task10/ssv2_8_frame", 12: "task12/breakfast_8_frame"}
NUM_FRAMES = 3


def rows():
    made = []
    for identity, medium, number, name, question, options, answer in QUESTIONS:
        choices = dict(zip(("choice_a", "choice_b", "choice_c", "choice_d"), options, strict=True))
        facts = {"question_id": identity, "data_type": medium, "question_type_id": number, "data_id": name}
        made.append({"answer": answer, "question": question} | choices | facts)
    return made


def write(folder):
    (folder / "SEED-Bench.json").write_text(json.dumps({"questions": rows(), "question_type": TYPES}))
    for row in rows():
        if row["data_type"] == "image":
            path = folder / "SEED-Bench-image" / row["data_id"]
            write_picture(path.with_name(path.name + ".png"))
            path.with_name(path.name + ".png").rename(path)
        else:
            for frame in range(1, NUM_FRAMES + 1):
                parent = folder / "v1_video" / FRAMES[row["question_type_id"]] / row["question_id"]
                write_picture(parent / f"{frame}.png", ("red", "green", "blue")[frame - 1])


def write_mirror(folder):
    (folder / "data").mkdir(parents=True)
    made = []
    for row in rows():
        colors = ("red", "green", "blue") if row["data_type"] == "video" else ("red",)
        images = [{"bytes": content(color), "path": None} for color in colors]
        made.append(row | {"image": images, "segment": [0, 8] if row["data_type"] == "video" else None})
    pq.write_table(pa.Table.from_pylist(made), folder / "data" / "test-00000-of-00001.parquet")
