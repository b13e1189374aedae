"""The order of samples: a pure function of seed and number, in which nothing is repeated before everything was seen."""

import sys
from collections import Counter

import pytest

from blip3o.data.order import Order
from blip3o.errors import ConfigError


def tasks(order, count):
    return [order[number] for number in range(count)]


def test_every_sample_comes_once_before_one_comes_again():
    order = Order({"all": 50}, {"all": 1.0}, "seed")
    first, second = ([index for _, index in tasks(order, 100)[start : start + 50]] for start in (0, 50))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != list(range(50))


def test_every_task_runs_through_its_own_source():
    order = Order({"few": 6, "many": 40}, {"few": 1.0, "many": 4.0}, "seed")
    seen = Counter(tasks(order, 30))
    assert sorted(index for task, index in seen if task == "few") == list(range(6))
    assert set(seen.values()) == {1}


@pytest.mark.parametrize(
    ("weights", "expected"), [({"a": 1.0, "b": 3.0}, 250), ({"a": 0.3, "b": 0.1}, 750), ({"a": 2.0, "b": 0.0}, 1000)]
)
def test_tasks_alternate_by_their_weights(weights, expected):
    order = Order({"a": 5, "b": 5}, weights, "seed")
    names = [task for task, _ in tasks(order, 1000)]
    assert abs(names.count("a") - expected) <= 1
    assert all(abs(names[:cut].count("a") - cut * expected / 1000) <= 1 for cut in range(1, 1000, 37))


def test_another_seed_gives_another_order():
    one, same, other = (tasks(Order({"all": 20}, {"all": 1.0}, seed), 20) for seed in ("a", "a", "b"))
    assert one == same != other


def test_an_order_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ConfigError, match=r"training takes grain: pip install 'blip3o\[train\]'"):
        Order({"all": 5}, {"all": 1.0}, "seed")


def test_a_task_without_a_sample_is_told():
    with pytest.raises(ConfigError, match="no sample for the task 'b': leave it out of the stage"):
        Order({"a": 3, "b": 0}, {"a": 1.0, "b": 1.0}, "seed")
    assert Order({"a": 3, "b": 0}, {"a": 1.0, "b": 0.0}, "seed").tasks == ["a"]
