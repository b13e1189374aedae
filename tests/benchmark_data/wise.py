"""A WISE of eight prompts by each protocol: a repository with made-up words for the judge, and the mirror."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = {
    "legacy": {
        "cultural_common_sense": (1, 400),
        "spatio-temporal_reasoning": (401, 567, 568),
        "natural_science": (701, 801, 901),
    },
    "verified": {
        "cultural_common_sense": (1, 400),
        "spatio-temporal_reasoning": (401, 520, 521),
        "natural_science": (641, 761, 881),
    },
}
PLACES = {"legacy": ("WISE_legacy/data", "{}.json"), "verified": ("data_verified", "{}_verified.json")}
SCRIPTS = {"legacy": "WISE_legacy/gpt_eval.py", "verified": "vllm_eval.py"}
SCRIPT = '''
import a_module_that_is_not_there

def build_evaluation_messages(prompt_data: dict, image_base64: str) -> list:
    return [
        {"role": "system", "content": [{"type": "text", "text": "Be just."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": f"""Judge {{this}}.
Asked: "{prompt_data['Prompt']}"
Meant: "{prompt_data["Explanation"]}"
"""},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image_base64}"}},
            ],
        },
    ]
'''
"""In the form of the official scripts."""


def row(number, category):
    return {
        "Prompt": f"What is number {number}?",
        "Explanation": f"It is {number} apples.",
        "Category": category,
        "Subcategory": "fruit",
        "prompt_id": number,
    }


def write(folder):
    for protocol, (place, name) in PLACES.items():
        (folder / place).mkdir(parents=True)
        for category, numbers in NUMBERS[protocol].items():
            content = json.dumps([row(number, category) for number in numbers])
            (folder / place / name.format(category)).write_text(content)
        (folder / SCRIPTS[protocol]).write_text(SCRIPT)


def write_mirror(folder):
    (folder / "data").mkdir(parents=True)
    rows = [row(number, category) for category, numbers in NUMBERS["legacy"].items() for number in numbers]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet")
