"""Small files of data in every format, all with the same three samples, and the sources that read them."""

import io
import json
import tarfile
from typing import Any

from PIL import Image

from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.plugins import build, read_config

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def encoded(color, form="PNG", size=(40, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, COLORS[color]).save(file, form)
    return file.getvalue()


def opened(kind, path, **values) -> Any:
    return build(read_config({"kind": kind, "path": str(path), **values}, SOURCES, Source, "source"), SOURCES, Source)


def tar(path, members):
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def jsonl(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def shards(folder):
    members = [(f"{c}.png", (folder / f"{c}.png").read_bytes()) for c in COLORS]
    members += [(f"{c}.txt", (folder / f"{c}.txt").read_bytes()) for c in COLORS]
    tar(folder / "00.tar", dict(sorted(members)[:4]))
    tar(folder / "01.tar", dict(sorted(members)[4:]))
    return opened("webdataset", folder / "{00..01}.tar")


def lines(folder):
    return opened(
        "jsonl", jsonl(folder / "c.jsonl", *({"image": f"{c}.png", "caption": f"a {c} field"} for c in COLORS))
    )


def table(folder):
    inside = folder / "table"
    inside.mkdir()
    rows = [{"file_name": f"../{c}.png", "text": f"a {c} field"} for c in COLORS]
    jsonl(inside / "metadata.jsonl", *rows)
    return opened("image_folder", inside)


def saved(folder):
    import datasets

    rows = {"image": [str(folder / f"{c}.png") for c in COLORS], "text": [f"a {c} field" for c in COLORS]}
    datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image()).save_to_disk(folder / "saved")
    return opened("hf_datasets", folder / "saved")
