"""A KRIS-Bench of five items in five tasks, in the official folders and as the mirror, with prompts for a judge."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark_data import content, write_picture

TASKS = {
    "biology": {"1": {"ori_img": "1.jpg", "gt_img": "", "ins_en": "Show the egg later.", "explain_en": "It hatches."}},
    "count_change": {"1": {"ori_img": "1.jpg", "gt_img": "", "ins_en": "Make it two apples.", "explain_en": ""}},
    "multi-element_composition": {
        "1": {"ori_img": ["1-1.jpg", "1-2.jpg"], "gt_img": "", "ins_en": "Put both together.", "explain_en": ""}
    },
    "temporal_prediction": {
        "7": {
            "ori_img": ["7-1.jpg", "7-2.jpg", "7-4.jpg"],
            "gt_img": "7-3.jpg",
            "ins_en": "Draw frame 3.",
            "explain_en": "",
        }
    },
    "viewpoint_change": {
        "1": {"ori_img": "1.jpg", "gt_img": "1_gt.jpg", "ins_en": "Look from above.", "explain_en": ""}
    },
}
PROMPTS = (
    "prompt_consist",
    "prompt_consist_multi",
    "prompt_consist_temporal",
    "prompt_dual_evaluation",
    "prompt_instruction_following",
    "prompt_instruction_multi",
    "prompt_instruction_temporal",
    "prompt_view_instruction_following",
)


def write_prompts(folder):
    path = folder / "utils" / "prompts.py"
    path.parent.mkdir(parents=True)
    lines = [f'{name} = """{name}: {{instruct}} {{{{"x_score": X}}}}"""' for name in PROMPTS]
    path.write_text("\n".join([*lines, 'prompt_quality = """prompt_quality"""']))


def files(row):
    names = [row["ori_img"]] if isinstance(row["ori_img"], str) else row["ori_img"]
    return names, [row["gt_img"]] if row["gt_img"] else []


def write(folder):
    for task, rows in TASKS.items():
        for row in rows.values():
            for name in (*files(row)[0], *files(row)[1]):
                write_picture(folder / "KRIS_Bench" / task / name, "blue" if name == row["gt_img"] else "red")
        (folder / "KRIS_Bench" / task / "annotation.json").write_text(json.dumps(rows))
    write_prompts(folder)


def write_mirror(folder):
    rows = [
        {
            "key": f"{task}__{key}",
            "category": task,
            "image_id": key,
            **row,
            "ori_img": files(row)[0],
            "ori_images": [{"bytes": content(), "path": name} for name in files(row)[0]],
            "gt_image": {"bytes": content("blue"), "path": row["gt_img"]} if row["gt_img"] else None,
        }
        for task, items in TASKS.items()
        for key, row in items.items()
    ]
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "train-00000-of-00001.parquet")
    write_prompts(folder)
