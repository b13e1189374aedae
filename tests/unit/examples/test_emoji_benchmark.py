"""A drawn emoji counts where its style is right and the right real picture among the ten nearest of that style."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.errors import DataError
from blip3o.evals.benchmark import Record
from blip3o.evals.registry import find
from examples.emoji import pack
from examples.emoji.benchmark import GROUPS, HeldOutEmoji
from examples.emoji.collection import STYLES, held_out, read_emoji, render
from examples.emoji.judge import (
    WEIGHTS,
    EmojiJudge,
    JudgeNetwork,
    Sighting,
    examine,
    of_pictures,
    redrawn,
    spoiled,
    train,
)
from examples.emoji.sheet import COLUMNS, tiles


class Plain(EmojiJudge):
    """Knows a picture by its pixels and a style by where the ink lies; no network."""

    def __init__(self, emoji):
        self.scores = {"all": {"recall@1": 1.0}}
        self.concepts = sorted({one.concept for one in emoji})
        self.index_of = {concept: index for index, concept in enumerate(self.concepts)}
        by_cell = {one.cell: render(one.svg, 72) for one in emoji if not one.tone}
        cells = [[by_cell[concept, style] for concept in self.concepts] for style in STYLES]
        self.real = np.stack([self.embed(row)[0] for row in cells])

    def embed(self, images):
        small = np.stack([255.0 - np.asarray(image.convert("RGB").resize((12, 12))) for image in images])
        centred = small.mean((1, 3)) @ np.arange(12) / np.maximum(small.mean((1, 3)).sum(1), 1e-6)
        flat = small.reshape(len(images), -1)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), [
            "fluent" if where < 5.35 else "noto" for where in centred
        ]


@pytest.fixture
def benchmark(packages, monkeypatch):
    """The benchmark of twenty concepts, with its items read."""
    pack.pack(packages)
    benchmark = HeldOutEmoji("held-out")
    monkeypatch.setattr("examples.emoji.benchmark.NEAR", 3)
    benchmark.items(packages)
    plain = [one for one in read_emoji(packages / "packages") if not one.tone]
    vars(benchmark)["recogniser"] = Plain(plain)
    return benchmark


def of_group(benchmark, group):
    return [item for item in benchmark.items(benchmark.folder) if item.category == group]


def real(benchmark, concept, style):
    """The real picture of a cell."""
    emoji = read_emoji(benchmark.folder / "packages")
    return next(render(one.svg, 72) for one in emoji if one.cell == (concept, style) and not one.tone)


def verdict_of(benchmark, item, image, tmp_path):
    image.save(tmp_path / "drawn.png")
    return benchmark.score(item, (tmp_path / "drawn.png",))


def test_each_held_out_cell_is_asked_for_in_every_way(benchmark):
    hidden = held_out(read_emoji(benchmark.folder / "packages"))
    for group in GROUPS[:-1]:
        cells = {(item.facts["concept"], item.facts["style"]) for item in of_group(benchmark, group)}
        assert cells == hidden
    known = {(item.facts["concept"], item.facts["style"]) for item in of_group(benchmark, "known name")}
    assert len(known) == len(hidden)
    assert not known & hidden


def test_the_real_picture_counts_and_that_of_the_other_style_does_not(benchmark, tmp_path):
    for item in of_group(benchmark, "draw"):
        concept, style = item.facts["concept"], item.facts["style"]
        [other] = {*STYLES} - {style}
        right = verdict_of(benchmark, item, real(benchmark, concept, style), tmp_path)
        assert (right.score, right.details["rank"], right.details["style"]) == (1, 1, style)
        wrong = verdict_of(benchmark, item, real(benchmark, concept, other), tmp_path)
        assert (wrong.score, wrong.details["style"]) == (0, other)


def test_a_picture_of_another_concept_in_the_right_style_does_not_count(benchmark, tmp_path):
    item = of_group(benchmark, "draw")[0]
    judge, style = benchmark.recogniser, item.facts["style"]
    own = judge.real[STYLES.index(style)][judge.index_of[item.facts["concept"]]]
    farthest = judge.concepts[int((judge.real[STYLES.index(style)] @ own).argmin())]
    verdict = verdict_of(benchmark, item, real(benchmark, farthest, style), tmp_path)
    assert (verdict.score, verdict.details["style"]) == (0, style)
    assert verdict.details["rank"] > 3


def test_nothing_drawn_counts_nothing(benchmark):
    assert benchmark.score(of_group(benchmark, "draw")[0], ()).score == 0


def test_a_training_picture_is_at_no_distance_and_a_held_out_one_at_some(benchmark):
    shown, hidden = benchmark.shown[0], benchmark.hidden[0]
    assert benchmark.distance(Image.fromarray(benchmark.pixels[shown.key])) == 0
    assert benchmark.distance(Image.fromarray(benchmark.pixels[hidden.key])) > 0


def test_words_count_where_they_are_the_name(benchmark):
    item = of_group(benchmark, "name")[0]
    expected = item.facts["expected"]
    assert expected.startswith("thing")
    assert [benchmark.score(item, said).score for said in (expected, f" {expected.title()}", "a " + expected, "")] == [
        1,
        1,
        0,
        0,
    ]
    expectations = {group: of_group(benchmark, group)[0].facts["expected"] for group in ("category", "style")}
    assert expectations["category"] in ("food and drink", "objects")
    assert expectations["style"] in STYLES


class Candidate:
    """Draws the real picture of what is asked, by words and by edits, and answers with the question."""

    def __init__(self, benchmark):
        self.benchmark, self.asked = benchmark, []

    def picture(self, prompt, seed):
        self.asked.append((prompt, seed))
        style = next(style for style in STYLES if style in prompt)
        names = {one.name: one.concept for one in read_emoji(self.benchmark.folder / "packages")}
        name = prompt.split(",")[0].removeprefix("a ")
        return real(self.benchmark, names[name], style) if name in names else Image.new("RGB", (8, 8))

    def generate(self, prompts, *, seed):
        return [self.picture(*one) for one in zip(prompts, seed, strict=True)]

    def edit(self, images, instructions, *, seed):
        self.asked += list(zip(instructions, seed, strict=True))
        return list(images)

    def understand(self, images, questions, *, max_tokens):
        return [f"{question} {np.asarray(image).shape}" for image, question in zip(images, questions, strict=True)]


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_is_asked_in_its_way(benchmark, group):
    items = of_group(benchmark, group)
    responses = benchmark.ask(items, Candidate(benchmark), 0)
    assert len(responses) == len(items)
    if group in ("name", "category", "style", "known name"):
        assert responses == [f"{item.prompt} (72, 72, 3)" for item in items]
    if group == "edit":
        assert responses[0][0].tobytes() == Image.fromarray(benchmark.other(benchmark.hidden[0])).tobytes()


def test_a_limit_takes_the_first_of_each_group(benchmark):
    items = benchmark.items(benchmark.folder)
    assert [item.category for item in benchmark.first(items, 1)] == [*GROUPS]
    assert len(benchmark.first(items, None)) == len(items)
    assert all(len({item.category for item in batch}) == 1 for batch in benchmark.batches(items, 3))


def test_numbers_tell_the_parts_and_baselines_stand_beside_them(benchmark, tmp_path):
    records = []
    for item in of_group(benchmark, "draw"):
        image = real(benchmark, item.facts["concept"], item.facts["style"])
        records.append(Record(item=item, answer=(), verdict=verdict_of(benchmark, item, image, tmp_path)))
    metrics = benchmark.aggregate(records)
    assert metrics == {"draw": 1, "draw/recall@1": 1, "draw/recall@3": 1, "draw/style": 1}
    report = benchmark.report(records, lambda: None)
    assert report["baselines"]["copy"]["right"] == 0
    assert report["baselines"]["copy"]["style"] == 0
    assert report["baselines"]["neighbour"]["style"] == 1
    assert report["baselines"]["neighbour"]["recall@1"] == 0
    assert report["distance_to_training"]["draw"] == pytest.approx(report["distance_to_training"]["real"], abs=0.01)
    assert report["judge"] == {"all": {"recall@1": 1.0}}


def test_a_sheet_shows_a_row_of_four_for_each_cell(benchmark):
    candidate: Any = Candidate(benchmark)
    rows = tiles(benchmark, benchmark.hidden, candidate)
    assert len(rows) == len(COLUMNS) * len(benchmark.hidden)
    for number, record in enumerate(benchmark.hidden):
        row = rows[len(COLUMNS) * number : len(COLUMNS) * (number + 1)]
        assert (np.asarray(row[0][0]) == benchmark.other(record)).all()
        assert (np.asarray(row[1][0]) == benchmark.pixels[record.key]).all()
        assert row[1][1] == record.captions[0]
        assert row[2][1] == f"drawn of words: {record.style}, rank 1"
        [other] = {*STYLES} - {record.style}
        assert row[3][1].startswith(f"changed: {other}, ")


def test_the_command_line_finds_it():
    assert find("examples.emoji.benchmark:HeldOutEmoji")[0] is HeldOutEmoji


def test_without_a_judge_the_folder_says_how_to_train_one(tmp_path):
    with pytest.raises(DataError, match=r"python -m examples\.emoji\.judge"):
        EmojiJudge.load(Path(tmp_path))


@pytest.mark.slow
def test_a_judge_learns_real_pictures_and_is_the_same_from_its_file(packages):
    from blip3o.weights.checkpoint import write_tensors

    emoji = [one for one in read_emoji(packages / "packages") if not one.tone]
    untrained = of_pictures(JudgeNetwork(20).eval(), emoji)
    judge = of_pictures(train(emoji, steps=80, batch=40).eval(), emoji)
    scores, before = examine(judge, emoji), examine(untrained, emoji)
    assert scores["recall@1"] > max(0.6, before["recall@1"])
    assert scores["style"] > max(0.8, before["style"])
    about = {"concepts": '["' + '", "'.join(judge.concepts) + '"]', "scores": '{"all": {"style": 1}}'}
    write_tensors(packages / WEIGHTS, judge.network.state_dict() | {"real": torch.from_numpy(judge.real)}, about)
    again = EmojiJudge.load(packages)
    images, cells = [render(one.svg, 72) for one in emoji], [one.cell for one in emoji]
    assert again.look(images, cells) == judge.look(images, cells)
    assert again.scores == {"all": {"style": 1}}


def test_the_rank_is_one_more_than_the_real_pictures_that_are_nearer():
    judge = Plain.__new__(Plain)
    judge.concepts, judge.index_of = ["a", "b", "c"], {"a": 0, "b": 1, "c": 2}
    judge.real = np.array([[[1.0, 0], [0.8, 0.6], [0, 1]], [[0, 1.0], [1, 0], [0.6, 0.8]]])
    judge.embed = lambda images: (np.array([[1.0, 0.0]]), ["noto"])
    looked = [judge.look([Image.new("RGB", (8, 8))], [("b", style)])[0] for style in STYLES]
    assert looked == [Sighting(style="noto", rank=2, nearest="a"), Sighting(style="noto", rank=1, nearest="b")]


def test_pictures_are_spoiled_by_their_generator_alone():
    pixels = torch.rand(2, 3, 96, 96) * 2 - 1
    first, again = (spoiled(pixels, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (2, 3, 64, 64)
    assert (first == again).all()
    assert (spoiled(pixels, torch.Generator().manual_seed(2)) != first).any()


def test_a_picture_drawn_anew_is_another_one_and_much_the_same(packages):
    import random

    one = read_emoji(packages / "packages")[0]
    first, second = (redrawn(one.svg, random.Random(seed)) for seed in (1, 2))
    assert first.size == second.size == (72, 72)
    assert first.tobytes() != second.tobytes()
    assert np.abs(np.asarray(first, float) - np.asarray(second, float)).mean() < 30
