"""Sources of files: every format gives the same samples."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from data_files import COLORS, encoded, jsonl, lines, opened, saved, shards, table, tar
from PIL import Image

from blip3o.data.sample import SampleError
from blip3o.processing.conversation import DESCRIBE, Picture


@pytest.mark.parametrize("source_of", [shards, lines, table, saved, lambda folder: opened("image_folder", folder)])
def test_every_format_gives_the_same_samples(folder, source_of):
    source = source_of(folder)
    samples = {sample.captions: sample.picture for sample in map(source.__getitem__, range(len(source)))}
    assert {captions[0]: tuple(picture.pixels[0, 0]) for captions, picture in samples.items()} == {
        f"a {name} field": color for name, color in COLORS.items()
    }
    assert sorted(source.texts()) == sorted(f"a {name} field" for name in COLORS)


def test_an_image_and_its_caption_make_a_request_and_a_description(folder):
    source, rng = opened("image_folder", folder), random.Random(0)
    request, drawn = source.conversation("draw", 0, rng)
    assert (request.content, type(drawn.content[0])) == (("a blue field",), Picture)
    shown, described = source.conversation("caption", 0, rng)
    assert (shown.content[1], described.content) == (DESCRIBE, ("a blue field",))


@pytest.mark.parametrize(
    ("rule", "expected"), [("longest", {"a red field"}), ("shortest", {"red"}), ("any", {"a red field", "red"})]
)
def test_one_of_several_captions_is_chosen_by_rule(folder, rule, expected):
    rows = jsonl(folder / "many.jsonl", {"image": "red.png", "caption": ["a red field", "red"]})
    source, rng = opened("jsonl", rows, captions=rule), random.Random(0)
    assert {source.conversation("draw", 0, rng)[0].content[0] for _ in range(30)} == expected


def test_a_share_of_prompts_is_dropped(folder):
    source, rng = opened("image_folder", folder, caption_dropout=0.25), random.Random(0)
    prompts = [source.conversation("draw", 0, rng)[0].content[0] for _ in range(400)]
    assert 70 < prompts.count("") < 130
    assert all(source.conversation("caption", 0, rng)[1].content[0] for _ in range(50))


def test_columns_may_have_names_of_their_own(folder):
    rows = jsonl(folder / "own.jsonl", {"picture_file": "red.png", "alt": "a red field"})
    source = opened("jsonl", rows, columns={"image": "picture_file", "caption": "alt"})
    assert source[0].captions == ("a red field",)


LLAVA = {
    "image": "red.png",
    "conversations": [{"from": "human", "value": "<image>\nWhich colour?"}, {"from": "gpt", "value": "Red."}],
}
OPENAI = {
    "images": ["red.png"],
    "messages": [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which colour?"}]},
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Thanks."},
    ],
}
UNMARKED = {
    "image": "red.png",
    "conversations": [{"from": "human", "value": "Which colour?"}, {"from": "gpt", "value": "Red."}],
}


@pytest.mark.parametrize("row", [LLAVA, OPENAI, UNMARKED])
def test_both_dialects_of_conversations_are_read(folder, row):
    asked, answered = opened("jsonl", jsonl(folder / "talk.jsonl", row)).conversation("chat", 0, random.Random(0))
    picture, question = asked.content
    assert isinstance(picture, Picture)
    assert tuple(picture.pixels[0, 0]) == COLORS["red"]
    assert (question, answered.content) == ("Which colour?", ("Red.",))


def test_several_images_stand_where_their_marks_are(folder):
    turns = [{"from": "human", "value": "<image>\nand <image>\n?"}, {"from": "gpt", "value": "No."}]
    row = {"images": ["red.png", "blue.png"], "conversations": turns}
    content = opened("jsonl", jsonl(folder / "two.jsonl", row))[0].conversation[0].content
    assert [tuple(part.pixels[0, 0]) if isinstance(part, Picture) else part.strip() for part in content] == [
        COLORS["red"],
        "and",
        COLORS["blue"],
        "?",
    ]


def test_an_edit_ends_in_its_target(folder):
    row = {"source": "red.png", "instruction": "make it blue", "target": "blue.png"}
    asked, drawn = opened("jsonl", jsonl(folder / "edits.jsonl", row)).conversation("edit", 0, random.Random(0))
    assert isinstance(drawn.content[0], Picture)
    assert (asked.content[1], tuple(drawn.content[0].pixels[0, 0])) == ("make it blue", COLORS["blue"])


def test_the_pictures_of_a_sample_are_named_by_their_suffixes(folder):
    edit = {"source": "before.png", "target": "1.after.png", "instruction": "make it blue"}
    members = {"1.before.png": encoded("red"), "1.after.png": encoded("blue"), "1.json": json.dumps(edit).encode()}
    members["2.json"] = json.dumps(edit).encode()
    source = opened("webdataset", tar(folder / "edits.tar", members))
    asked, drawn = source.conversation("edit", 0, random.Random(0))
    assert [tuple(p.pixels[0, 0]) for p in (asked.content[0], drawn.content[0])] == [COLORS["red"], COLORS["blue"]]
    with pytest.raises(SampleError, match="missing image"):
        source[1]


def test_the_texts_of_shards_are_read_without_their_pictures(folder, monkeypatch):
    source, read = shards(folder), []
    cat_file = source.files.cat_file
    monkeypatch.setattr(source.files, "cat_file", lambda *a, **k: read.append(cat_file(*a, **k)) or read[-1])
    assert len(list(source.texts())) == 3
    assert all(content.endswith(b"field\n") for content in read)


def test_a_list_of_rows_is_read_one_by_one(folder):
    rows = [{"image": "red.png", "caption": f'"{n}", [, {{ \\ and \u00e9'} for n in range(4)]
    path = folder / "list.json"
    path.write_text("\ufeff" + json.dumps(rows[:2], indent=1) + "\n", encoding="utf-8")
    assert [opened("jsonl", path)[n].captions[0] for n in range(2)] == [row["caption"] for row in rows[:2]]
    path.write_text(json.dumps([*rows, 5, "a, b", [1, 2]], ensure_ascii=False))
    source = opened("jsonl", path)
    assert [source[n].captions[0] for n in range(4)] == [row["caption"] for row in rows]
    for index in (4, 5, 6):
        with pytest.raises(SampleError, match="no JSON object"):
            source[index]
    assert len(source) == 7


def test_journey_db_as_published_with_its_images_in_another_folder(folder):
    images = folder / "data" / "train" / "imgs" / "000"
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(encoded("green", "JPEG"))
    path = jsonl(folder / "train_caption_only.jsonl", {"img_path": "./000/a.jpg", "caption": "A green field."})
    source = opened("jsonl", path, images=str(images.parent))
    assert (source[0].captions, source.picture(0).pixels.shape) == (("A green field.",), (30, 40, 3))


def test_every_order_of_files_on_the_disk_gives_the_same_numbers(folder, monkeypatch):
    first = [sample.address for sample in map(opened("image_folder", folder).__getitem__, range(3))]
    walk = __import__("os").walk
    monkeypatch.setattr("os.walk", lambda top: ((p, d, n[::-1]) for p, d, n in walk(top)))
    assert [opened("image_folder", folder)[i].address for i in range(3)] == first == sorted(first)


def test_pixels_are_those_of_the_file(folder):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)).save(folder / "red.png")
    expected = np.asarray(Image.open(folder / "red.png"))
    assert (opened("image_folder", folder).picture(2).pixels == expected).all()


def test_a_path_of_one_shard_needs_no_pattern(folder):
    shards(folder)
    assert len(opened("webdataset", Path(folder, "00.tar"))) == 2


def test_the_configuration_of_a_data_set_is_asked_of_the_hub(monkeypatch):
    import datasets

    requests = []

    def load_dataset(*names, split):
        requests.append((*names, split))
        return datasets.Dataset.from_dict({"text": ["a red field"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(opened("hf_datasets", "somebody/pictures", name="small", split="test")) == 1
    assert requests == [("somebody/pictures", "small", "test")]
