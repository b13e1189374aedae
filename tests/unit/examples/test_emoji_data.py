"""Emoji are packed so that nothing of a held-out cell is in the training data, and read as samples."""

import io
import random
import tarfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from blip3o.config import load
from blip3o.data.mixture import Mixture
from blip3o.errors import DataError
from blip3o.processing.conversation import THINK, Picture
from blip3o.train.recipe import Recipe
from examples.emoji import pack
from examples.emoji.collection import LENDERS, STYLES, TONES, held_out, read_emoji, read_lent, render
from examples.emoji.source import (
    NAMELESS,
    STYLELESS,
    TURNS,
    EmojiSource,
    EmojiSourceConfig,
    balanced,
    common,
    read_edits,
    read_pictures,
    seen,
    varied,
)


@pytest.fixture
def packed(packages):
    """The folder of the packages, with its shards."""
    pack.pack(packages)
    return packages


LENT = tuple(LENDERS)[:3]
"""The lenders whose pictures the packages hold."""


def pixels_of(part):
    """The pixels of a picture in a conversation."""
    return part.pixels


def source_of(folder, *, size=24, variants=4):
    """The training data as a source."""
    return EmojiSource(EmojiSourceConfig(path=str(folder), size=size, variants=variants))


def test_a_concept_is_in_both_styles_under_one_name(packages):
    emoji = read_emoji(packages / "packages")
    assert {one.name for one in emoji} == {f"thing {number}" for number in range(20)}
    assert {one.style for one in emoji} == {*STYLES}
    assert {one.tone for one in emoji} == {"", *TONES.values()}
    assert {one.category for one in emoji} == {"food and drink", "objects"}
    assert len({one.key for one in emoji}) == len(emoji) == 2 * (20 + 5)


def test_a_package_that_is_missing_is_told(tmp_path):
    with pytest.raises(DataError, match=r"no package of emoji: run scripts/download_data\.sh emoji"):
        read_emoji(tmp_path)


def test_a_tenth_of_the_cells_is_held_out_and_never_both_of_a_concept(packages):
    emoji = read_emoji(packages / "packages")
    cells = {one.cell for one in emoji}
    hidden = held_out(emoji)
    assert hidden < cells
    assert len(hidden) == round(0.1 * len(cells))
    assert len({concept for concept, _ in hidden}) == len(hidden)
    assert {style for _, style in hidden} == {*STYLES}
    assert held_out(reversed(emoji)) == hidden


def test_what_looks_like_another_concept_in_its_style_is_not_held_out(packages):
    emoji = [one for one in read_emoji(packages / "packages") if not one.tone]
    before = held_out(emoji)
    concept, style = sorted(before)[0]
    [own] = [one for one in emoji if one.cell == (concept, style)]
    twin = next(one for one in emoji if one.style == style and one.concept != concept)
    after = held_out([replace(one, svg=own.svg) if one is twin else one for one in emoji])
    assert not after & {own.cell, twin.cell}
    assert len(after) == len(before)


def test_lenders_give_pictures_of_the_same_names(packages):
    emoji = read_emoji(packages / "packages")
    lent = read_lent(packages / "packages", emoji, held_out(emoji))
    assert {(one.name, one.style, one.tone) for one in lent} == {
        (f"thing {number}", style, "") for number in range(20) for style in LENT
    }
    concept_of = {one.name: one.concept for one in emoji}
    assert all(one.concept == concept_of[one.name] for one in lent)


def test_a_lent_picture_that_looks_like_a_held_out_one_is_left_out(packages):
    emoji = read_emoji(packages / "packages")
    hidden = held_out(emoji)
    before = read_lent(packages / "packages", emoji, hidden)
    alike = [replace(one, svg=before[0].svg) if one.cell == min(hidden) else one for one in emoji]
    assert read_lent(packages / "packages", alike, hidden) == before[1:]


def test_a_lent_picture_is_read_restyled_and_drawn(packed):
    source = source_of(packed)
    styles = {name: set() for name in ("name", "draw")}
    for task, found in styles.items():
        for index in range(len(source.cells)):
            answer = source.conversation(task, index, random.Random(0))[-1].content[-1]
            cells = source.drawn_cells if task == "draw" else source.cells
            number = balanced(cells, index)
            found.add(source.records[number].style)
            assert isinstance(answer, Picture if task == "draw" else str)
    assert styles == {"name": {*STYLES, *LENT}, "draw": {*STYLES, *LENT}}
    edited = [
        (source.records[before].style, source.records[after].style) for before, _, after in source.edits["restyle"]
    ]
    assert {before for before, _ in edited} == {*STYLES, *LENT}
    assert {after for _, after in edited} == {*STYLES, *LENT}


def test_a_concept_is_learned_of_the_categories_and_where_enough_lenders_have_it(packed, monkeypatch):
    records = read_pictures(packed / "training", 24)[0]
    assert len(common(records)) == 20
    some = [record for record in records if record.name != "thing 3" or record.style != "blob"]
    assert {record.concept for record in records} - common(some) == {"1f603"}
    monkeypatch.setattr("examples.emoji.source.CATEGORIES", ("objects",))
    assert {record.category for record in source_of(packed).records} == {"objects"}


def test_nothing_of_a_held_out_cell_is_in_the_training_data(packed):
    hidden = held_out(read_emoji(packed / "packages"))
    records, _ = read_pictures(packed / "training", 24)
    assert records
    assert not {(record.concept, record.style) for record in records} & hidden
    keys = {record.key for record in records}
    shown = {key for before, _, after in read_edits(packed / "training") for key in (before, after)}
    assert shown <= keys
    members = []
    for path in (packed / "training").glob("*.tar"):
        with tarfile.open(path) as tar:
            members += tar.getnames()
    secret, _ = read_pictures(packed / "held-out", 24)
    assert not [name for name in members for one in secret if one.key in name.partition(".")[0].split("--")]


def test_every_held_out_cell_is_asked_for_by_an_edit_of_what_training_shows(packed):
    hidden = held_out(read_emoji(packed / "packages"))
    keys = {record.key for record in read_pictures(packed / "training", 24)[0]}
    asked = read_edits(packed / "held-out")
    assert {before for before, _, _ in asked} <= keys
    by_key = {one.key: one.cell for one in read_emoji(packed / "packages")}
    assert {by_key[after] for _, _, after in asked} == hidden


def test_a_name_stands_before_its_style_in_every_caption(packed):
    for record in read_pictures(packed / "training", 24)[0]:
        assert len(record.captions) == len(pack.CAPTIONS)
        assert all(caption.index(record.name) < caption.index(record.style) for caption in record.captions)
        assert all((record.tone in caption) for caption in record.captions)


def test_packing_again_gives_the_same_bytes(packed):
    before = {path.name: path.read_bytes() for path in (packed / "training").iterdir()}
    pack.pack(packed)
    assert {path.name: path.read_bytes() for path in (packed / "training").iterdir()} == before
    assert not list(packed.glob("*.partial"))


def test_the_licences_lie_beside_the_pictures(packed):
    text = (packed / "LICENSES.md").read_text()
    assert "Apache License" in text
    assert "Permission is hereby granted, free of charge" in text


def test_a_plural_has_no_article():
    assert [pack.article(name) for name in ("cherries", "apple", "dog", "women wrestling")] == ["", "an ", "a ", ""]


def test_a_picture_is_drawn_on_white_at_its_size(packages):
    one = read_emoji(packages / "packages")[0]
    assert render(one.svg, 40).size == (40, 40)
    assert render(one.svg, 40).getpixel((0, 0)) == (255, 255, 255)


def test_a_source_shows_each_picture_in_as_many_variants_as_it_is_told(packed):
    pictures = len(read_pictures(packed / "training", 24)[0])
    assert [len(source_of(packed, variants=count)) for count in (1, 4)] == [pictures, 4 * pictures]
    assert pixels_of(source_of(packed, size=36)[0].picture).shape == (36, 36, 3)


@pytest.mark.parametrize("task", ["restyle", "retone"])
def test_an_edit_says_what_it_draws_and_draws_the_picture_itself(packed, task):
    source = source_of(packed)
    assert source.length(task) == len(source.edits[task]) > 0
    for index in range(source.length(task)):
        system, request, answer = source.conversation(task, index, random.Random(index))
        number, instruction, target = source.edits[task][index]
        styles = {source.records[one].style for one in (number, target)}
        assert len(styles) == (2 if task == "restyle" else 1)
        assert (system.content, request.content[1]) == ((THINK,), instruction)
        assert answer.content[0] == f"<think>{source.records[target].captions[0]}</think>"
        assert (pixels_of(answer.content[1]) == source.pixels[target]).all()
        assert (pixels_of(request.content[0]) == seen(source.pixels[number], random.Random(index))).all()


def test_what_is_drawn_of_words_is_the_picture_itself(packed):
    source = source_of(packed)
    for index in range(source.length("draw")):
        _, request, answer = source.conversation("draw", index, random.Random(index))
        number = balanced(source.drawn_cells, index)
        record, [said] = source.records[number], request.content
        thought = said if said in (record.part(0.0), record.part(NAMELESS)) else record.captions[0]
        assert thought == said or said in record.captions
        assert answer.content[0] == f"<think>{thought}</think>"
        assert (pixels_of(answer.content[1]) == source.pixels[number]).all()


def test_some_is_drawn_without_its_name_and_some_without_its_style(packed):
    source = source_of(packed)
    count = source.length("draw")
    said = Counter()
    for index in range(count):
        record = source.records[balanced(source.drawn_cells, index)]
        [words] = source.conversation("draw", index, random.Random(index))[1].content
        assert isinstance(words, str)
        said[record.name in words, record.style in words] += 1
    shares = {what: number / count for what, number in said.items()}
    assert shares == pytest.approx({(False, True): NAMELESS, (True, False): STYLELESS, (True, True): 0.6}, abs=0.02)


@pytest.mark.parametrize("task", ["caption", "name", "category", "style"])
def test_what_is_read_is_changed_each_time(packed, task):
    source = source_of(packed)
    first, again, other = (
        next(
            part.pixels
            for part in source.conversation(task, 3, random.Random(seed))[0].content
            if isinstance(part, Picture)
        )
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_what_is_read_is_moved_but_never_mirrored():
    half = np.full((48, 48, 3), 255, np.uint8)
    half[12:36, 6:18] = (200, 0, 0)
    for seed in range(100):
        ink = 255.0 - seen(half, random.Random(seed))
        if ink.sum() > 0.3 * (255.0 - half).sum():  # else it is covered
            assert (ink.sum((0, 2)) * np.arange(48)).sum() / ink.sum() < 24


def test_all_cells_are_drawn_and_read_as_often_and_half_of_the_toned_ones_without_a_tone(packed):
    source = source_of(packed)
    cells = {(record.concept, record.style) for record in source.records}
    drawn = Counter(balanced(source.cells, index) for index in range(source.length("name")))
    of_cell = Counter()
    for number, count in drawn.items():
        of_cell[source.records[number].concept, source.records[number].style] += count
    assert of_cell == dict.fromkeys(cells, TURNS)
    toned = {(record.concept, record.style) for record in source.records if record.tone}
    assert toned
    for number, record in enumerate(source.records):
        expected = TURNS if (record.concept, record.style) not in toned else TURNS // 10 if record.tone else TURNS // 2
        assert drawn[number] == expected


def test_questions_have_their_answers(packed):
    source = source_of(packed)
    for index in range(len(source.cells) * 2):
        record = source.records[balanced(source.cells, index)]
        answers = {
            task: source.conversation(task, index, random.Random(0))[1].content[0]
            for task in ("name", "category", "style")
        }
        assert answers == {"name": record.called, "category": record.category, "style": record.style}


def test_a_variant_moves_both_styles_alike_and_mirrors_every_second_time():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (24, 24, 3), np.uint8)
    assert (varied(pixels, 0, "x") == pixels).all()
    assert (varied(pixels, 2, "x") == varied(pixels, 2, "x")).all()
    assert (varied(pixels, 2, "x") != varied(pixels, 2, "y")).any()
    half = np.full((24, 24, 3), 255, np.uint8)
    half[:, :6] = 0
    left = [varied(half, variant, "x")[12].argmin(0)[0] < 12 for variant in range(4)]
    assert left == [True, False, True, False]


def test_a_source_without_data_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match=r"run scripts/download_data\.sh emoji"):
        source_of(tmp_path)


def test_a_damaged_member_is_told(packed):
    path = next((packed / "training").glob("pictures-*.tar"))
    with tarfile.open(path, "w") as tar:
        for name, content in (("one.png", b""), ("one.json", b"{")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match="no JSON"):
        source_of(packed)


def test_edits_are_samples_of_the_package_itself(packed):
    from blip3o.data.sources.webdataset import WebDataset, WebDatasetConfig

    shards = WebDataset(WebDatasetConfig(path=f"{packed}/held-out/edits-*.tar"))
    request, answer = shards[0].conversation
    row = shards.row(0)
    assert request.content[1] == row["instruction"]
    for picture, column in ((request.content[0], "source"), (answer.content[0], "target")):
        stored = shards.open_image(0, row[column])
        assert (pixels_of(picture) == np.asarray(Image.open(io.BytesIO(stored)))).all()


def test_every_task_of_the_recipe_ends_as_its_stage_says(packed):
    source = source_of(packed)
    for stage in load(Recipe, "emoji").stages:
        mixtures = {name: getattr(stage.objective, name, {}) for name in ("draw", "text")}
        for task in {**mixtures["draw"], **mixtures["text"]}:
            drawing = task in mixtures["draw"]
            assert Mixture(source, {task: 1.0}, "emoji", drawing=drawing)[0]
