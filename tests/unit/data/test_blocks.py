"""Samples in blocks are shuffled by windows: each once in an epoch, few blocks at a time, known from the number."""

import random

import pytest

from blip3o.data.blocks import Blocks, BlockShuffle
from blip3o.data.order import Order

LENGTHS = [10, 3, 10, 7, 10, 10, 5, 10]
BLOCK_OF = [block for block, length in enumerate(LENGTHS) for _ in range(length)]


def epoch(shuffle, number):
    return [shuffle[number * shuffle.count + place] for place in range(shuffle.count)]


@pytest.mark.parametrize("window", [1, 20, 65, 1000])
def test_every_sample_comes_once_in_an_epoch(window):
    shuffle = BlockShuffle(Blocks(LENGTHS, window), "seed")
    first, second = epoch(shuffle, 0), epoch(shuffle, 1)
    assert sorted(first) == sorted(second) == list(range(65))
    assert first != second


def test_few_blocks_are_read_at_a_time_and_mixed():
    order = epoch(BlockShuffle(Blocks(LENGTHS, 20), "seed"), 0)
    seen = [BLOCK_OF[index] for index in order]
    ends = {block: max(place for place, one in enumerate(seen) if one == block) for block in range(8)}
    for place, block in enumerate(seen):
        opened = {other for other in seen[: place + 1] if ends[other] >= place}
        assert len(opened) <= 4, block  # as many as it takes to hold 20 samples, and one more
    assert len(set(seen[:15])) > 1
    assert order != sorted(order)


def test_a_window_of_all_blocks_mixes_all():
    order = epoch(BlockShuffle(Blocks(LENGTHS, 65), "seed"), 0)
    assert len({BLOCK_OF[index] for index in order[:16]}) > 5


def test_the_order_is_known_from_seed_and_number():
    numbers = list(range(200))
    first = [BlockShuffle(Blocks(LENGTHS, 20), "seed")[number] for number in numbers]
    again, other = BlockShuffle(Blocks(LENGTHS, 20), "seed"), BlockShuffle(Blocks(LENGTHS, 20), "other")
    shuffled = random.Random(0).sample(numbers, 200)
    assert {number: again[number] for number in shuffled} == dict(enumerate(first))
    assert [other[number] for number in numbers] != first


def test_tasks_of_blocks_and_of_single_samples_are_mixed_by_their_weights():
    order = Order({"stream": Blocks(LENGTHS, 20), "files": 5}, {"stream": 3.0, "files": 1.0}, "seed")
    drawn = [order[number] for number in range(80)]
    streamed = [index for task, index in drawn if task == "stream"]
    assert len(streamed) == 60
    assert len(set(streamed)) == 60
    assert sorted(index for task, index in drawn if task == "files")[::4] == list(range(5))
