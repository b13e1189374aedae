"""An MM-Vet of three questions, in the official files and as the mirror, with a script that holds the judge's words."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

WORDS = "Give a grade from 0.0 to 1.0.\n\nQuestion | Truth | Answer | Grade\n"
QUESTIONS = {
    "v1_0": ("v1_0.png", "What are the two roots?", "2<AND>-7", ["ocr", "math"]),
    "v1_1": ("v1_1.jpg", "Which animal sleeps?", "cat<OR>kitten", ["rec"]),
    "v1_2": ("v1_1.jpg", "Where does it sleep?", "on the left chair", ["spat", "rec"]),
}


def write_script(folder):
    (folder / "mm-vet_evaluator.py").write_text(f'import json\n\nprompt = """{WORDS}"""\n\nprint(json, prompt)\n')


def write(folder):
    content = {}
    for identity, (image, question, answer, capability) in QUESTIONS.items():
        write_picture(folder / "images" / image)
        row = {"imagename": image, "question": question, "answer": answer, "imagesource": "made up"}
        content[identity] = row | {"capability": capability}
    (folder / "mm-vet.json").write_text(json.dumps(content))
    write_script(folder)


def write_mirror(folder):
    (folder / "data").mkdir(parents=True)
    rows = [
        {
            "question_id": identity,
            "image": {"bytes": content(), "path": None},
            "question": question,
            "answer": answer,
            "image_source": "made up",
            "capability": ",".join(capability),
        }
        for identity, (_, question, answer, capability) in QUESTIONS.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet")
    write_script(folder)
