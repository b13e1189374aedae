"""A GQA of four questions about two pictures, in the official file and as the mirror on the Hub."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

ROWS = {
    "201": ("n7", "Is the kettle red?", "yes", ["202"], "kitchen", ("verify", "attr", "verifyAttrC")),
    "202": ("n7", "Which color is the kettle?", "red", ["201", "202"], "color", ("query", "attr", "directOf")),
    "203": ("n9", "What is the man holding?", "t-shirt", [], None, ("query", "rel", "relO")),
    "204": ("n9", "What do both plates share?", "color", [], None, ("compare", "attr", "twoCommon")),
}
STEPS = [
    {"operation": "select", "argument": "kettle (1)", "dependencies": []},
    {"operation": "relate", "argument": "_,on,s (2)", "dependencies": [0]},
    {"operation": "query", "argument": "name", "dependencies": [1]},
]


def question(name):
    image, text, answer, entailed, group, (structural, semantic, detailed) = ROWS[name]
    return {
        "question": text,
        "answer": answer,
        "fullAnswer": f"It is {answer}.",
        "imageId": image,
        "isBalanced": True,
        "groups": {"global": group, "local": "13-kettle"},
        "entailed": entailed,
        "equivalent": [name],
        "types": {"structural": structural, "semantic": semantic, "detailed": detailed},
        "annotations": {"question": {}, "answer": {}, "fullAnswer": {}},
        "semantic": STEPS,
        "semanticStr": "select: kettle (1)->relate: _,on,s (2) [0]->query: name [1]",
    }


def write(folder):
    for image in ("n7", "n9"):
        write_picture(folder / "images" / f"{image}.jpg")
    (folder / "testdev_balanced_questions.json").write_text(json.dumps({name: question(name) for name in ROWS}))


def write_choices(folder):
    choices = {name: {"valid": ["yes", "no", "red", "hat"], "plausible": ["yes", "red"]} for name in ROWS}
    (folder / "testdev_choices.json").write_text(json.dumps(choices))


def write_mirror(folder):
    texts = [
        {"id": name}
        | question(name)
        | {"entailed": str(question(name)["entailed"]), "equivalent": str([name])}
        | {"annotations": {kind: [{"objectId": "1", "value": "0"}] for kind in ("question", "answer", "fullAnswer")}}
        for name in ROWS
    ]
    images = [{"id": image, "image": {"bytes": content(), "path": f"{image}.jpg"}} for image in ("n7", "n9")]
    for part, rows in (("testdev_balanced_instructions", texts), ("testdev_balanced_images", images)):
        (folder / part).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / part / "testdev-00000-of-00001.parquet")
