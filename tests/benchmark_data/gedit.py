"""A GEdit-Bench of six edits, three in each language, as on the Hub, with a checkout's prompts for a judge."""

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content

EDITS = (("color_alter", "Make the car blue."), ("subject-add", "Add a bird."), ("color_alter", "Make the door red."))
SIZE = (40, 30)


def write_prompts(folder):
    path = folder / "GEdit-Bench" / "viescore" / "vie_prompts.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "raise RuntimeError('never run')\n"
        '_context_no_delimit = """Context."""\n'
        '_prompts_0shot_two_image_edit_rule = "Two pictures."\n'
        '_prompts_0shot_tie_rule_SC = "Asked for: <instruction>"\n'
        '_prompts_0shot_rule_PQ = "One picture."\n'
    )


def rows():
    return [
        {
            "task_type": group,
            "key": f"{index:032x}",
            "instruction": text,
            "instruction_language": language,
            "input_image": {"bytes": content(size=SIZE), "path": None},
            "input_image_raw": {"bytes": content(), "path": None},
            "Intersection_exist": index != 1,
        }
        for language in ("en", "cn")
        for index, (group, text) in enumerate(EDITS)
    ]


def write_parquet(folder):
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows()), folder / "data" / "train-00000-of-00001.parquet")
    write_prompts(folder)


def write(folder):
    """As on the Hub: Arrow streams, as `datasets` saves them."""
    (folder / "data").mkdir(parents=True)
    table = pa.Table.from_pylist(rows())
    for number in (0, 1):
        path = folder / "data" / f"data-{number:05d}-of-00002.arrow"
        with path.open("wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table.slice(3 * number, 3), max_chunksize=2)
    write_prompts(folder)


write_mirror = write
