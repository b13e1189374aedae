"""A GenEval of six prompts, one of each task, and what a detector sees in pictures that are right."""

import json

ROWS = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {
        "tag": "two_object",
        "include": [{"class": "cup", "count": 1}, {"class": "kite", "count": 1}],
        "prompt": "a photo of a cup and a kite",
    },
    {
        "tag": "counting",
        "include": [{"class": "zebra", "count": 2}],
        "exclude": [{"class": "zebra", "count": 3}],
        "prompt": "a photo of two zebras",
    },
    {
        "tag": "colors",
        "include": [{"class": "train", "count": 1, "color": "pink"}],
        "prompt": "a photo of a pink train",
    },
    {
        "tag": "position",
        "include": [
            {"class": "vase", "count": 1},
            {"class": "clock", "count": 1, "position": ["left of", 0]},
        ],
        "prompt": "a photo of a clock left of a vase",
    },
    {
        "tag": "color_attr",
        "include": [
            {"class": "bear", "count": 1, "color": "blue"},
            {"class": "boat", "count": 1, "color": "white"},
        ],
        "prompt": "a photo of a blue bear and a white boat",
    },
]
SEEN = [
    {"bench": [[4, 4, 30, 30, 0.8]]},
    {"cup": [[0, 0, 10, 10, 0.5]], "kite": [[20, 0, 30, 10, 0.4]]},
    {"zebra": [[0, 0, 20, 40, 0.95], [30, 0, 50, 40, 0.93], [50, 0, 60, 40, 0.85]]},
    {"train": [[0, 10, 60, 40, 0.9, "pink"]], "person": []},
    {"vase": [[45, 10, 60, 40, 0.9]], "clock": [[2, 10, 20, 40, 0.7]]},
    {"bear": [[0, 0, 20, 20, 0.9, "blue"]], "boat": [[30, 0, 60, 20, 0.6, "white"]]},
]
"""Detections of pictures of the prompts, 64 x 48 px."""


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (folder / "evaluation_metadata.jsonl").write_text(lines)
