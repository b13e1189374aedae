"""An ImgEdit-Bench of four edits, in the official files and as the mirror on the Hub, with prompts for a judge."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

ROWS = {
    "11": {"id": "pets/0001.jpg", "prompt": "Give the cat a hat.", "edit_type": "add"},
    "12": {"id": "pets/0002.jpg", "prompt": "Take the bowl away.", "edit_type": "remove"},
    "13": {"id": "rooms/0001.jpg", "prompt": "Draw the room in chalk.", "edit_type": "style"},
    "14": {"id": "rooms/0002.jpg", "prompt": "Add a lamp.", "edit_type": "add"},
}
NAMES = ("prompt", "edit_type")


def write_prompts(folder):
    prompts = {kind: f"Judge this {kind}: <edit_prompt>" for kind in ("add", "remove", "style")}
    (folder / "prompts.json").write_text(json.dumps(prompts))


def write(folder):
    for row in ROWS.values():
        write_picture(folder / "originals" / row["id"])
    (folder / "basic_edit.json").write_text(json.dumps(ROWS))
    write_prompts(folder)


def write_mirror(folder):
    rows = [
        {"image": {"bytes": content(), "path": row["id"]}, "key": key} | {name: row[name] for name in NAMES}
        for key, row in ROWS.items()
    ]
    _write(folder, rows)


def write_prepared(folder):
    """As lmms-eval's script prepares it, with other names of columns."""
    rows = [
        {"key": key, **row, "input_image": {"bytes": content(), "path": row["id"]}, "image_path": row["id"]}
        for key, row in ROWS.items()
    ]
    _write(folder, rows)


def _write(folder, rows):
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet")
    write_prompts(folder)
