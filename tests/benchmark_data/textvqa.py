"""A TextVQA of three questions, in the official file and as the mirror on the Hub."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

ROWS = [
    (34602, "aa11", "What does the SIGN say?", ["stop"] * 10),
    (34603, "aa11", "what is the number on the bus?", ["10:30"] * 6 + ["ten thirty"] * 4),
    (34604, "bb22", "Whose shop is it?", ["tom's"] * 8 + ["tom"] * 2),
]


def rows():
    return [
        {
            "question_id": number,
            "image_id": image,
            "question": text,
            "answers": answers,
            "image_classes": ["Street sign"],
            "set_name": "val",
        }
        for number, image, text, answers in ROWS
    ]


def write(folder):
    for row in rows():
        write_picture(folder / "train_images" / f"{row['image_id']}.jpg")
    made = {"dataset_type": "val", "dataset_name": "textvqa", "dataset_version": "0.5.1", "data": rows()}
    (folder / "TextVQA_0.5.1_val.json").write_text(json.dumps(made))


def write_mirror(folder, split="validation"):
    (folder / "data").mkdir(parents=True)
    made = [
        {
            "image_id": row["image_id"],
            "question_id": row["question_id"],
            "question": row["question"],
            "question_tokens": row["question"].lower().rstrip("?").split(),
            "image": {"bytes": content(), "path": None},
            "image_width": 64,
            "image_height": 48,
            "flickr_original_url": "",
            "flickr_300k_url": "",
            "answers": row["answers"] if split == "validation" else [],
            "image_classes": row["image_classes"],
            "set_name": row["set_name"],
            "ocr_tokens": ["STOP"],
        }
        for row in rows()
    ]
    pq.write_table(pa.Table.from_pylist(made), folder / "data" / f"{split}-00000-of-00001.parquet")
