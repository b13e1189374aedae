"""What a run shows in the terminal: at any width, with and without one."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from blip3o.cli import train_view
from blip3o.cli.train_view import Watch, describe, flowed, sparkline
from blip3o.train.log import TrainingProgress


def step(number, steps=10, **facts):
    known = {"losses": {"total": 0.5}, "samples_per_s": 99.6, "left_s": 61.4} | facts
    return TrainingProgress(stage="eye", step=number, steps=steps, **known)


FULL = step(
    3,
    losses={"total": 0.5, "sketch": 0.25},
    waiting=0.256,
    memory_bytes=900_000_000,
    device_memory_bytes=12_300_000_000,
    run_left_s=7200.0,
    skipped={"no caption": 3, "unreadable file": 2, "no image": 1, "no JSON": 1},
)


@pytest.fixture
def terminal(monkeypatch):
    """Gives the screen, as text, of a terminal of this width after these steps."""
    monkeypatch.setenv("TERM", "xterm")

    def screen(width, *steps, said=(), **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=width, highlight=False)
        monkeypatch.setattr(train_view, "Console", lambda **options: console)
        with Watch(1.0, Path("runs/mine/report.html")) as watch:
            for one in steps:
                watch.see(one)
            for line in said:
                watch.say(line)
        out.seek(0)
        out.truncate()
        console.print(watch.view())
        return out.getvalue()

    return screen


def test_a_step_tells_losses_speed_and_time_left():
    assert describe(step(3)) == "total 0.5000  100 samples/s  1:01 left"


def test_a_step_tells_what_is_waited_for_memory_what_is_skipped_and_the_time_of_the_run():
    assert describe(FULL) == (
        "total 0.5000  sketch 0.2500  100 samples/s  26% waiting for data  0.9 GB  GPU 12.3 GB  "
        "skipped 7 (3 x no caption, 2 x unreadable file, 1 x no image, ...)  1:01 left  about 2 h 00 min of the run"
    )


def test_without_a_terminal_lines_are_rare_but_the_last_is_told(capsys):
    with Watch(every_s=1000.0) as watch:
        for number in range(1, 11):
            watch.see(step(number))
    shown = capsys.readouterr()
    assert [line.split()[1] for line in shown.out.splitlines()] == ["1/10", "10/10"]
    assert shown.err == ""


def test_a_wide_terminal_shows_all_losses_with_their_trends_and_where_the_page_is(terminal):
    falling = [replace(FULL, step=n, losses={"total": 8.0 - n, "sketch": n / 10.0}) for n in range(1, 9)]
    screen = terminal(140, *falling)
    for words in (
        "eye",
        "8/10",
        "total 0.0000 █▇▆▅▄▃▂▁",
        "sketch 0.8000 ▁▂▃▄▅▆▇█",
        "26% waiting",
        "runs/mine/report.html",
    ):
        assert words in screen


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(terminal, width, monkeypatch):
    screen = terminal(width, FULL, NO_COLOR="1")
    assert all(len(line) <= width for line in screen.splitlines())
    assert len(screen.splitlines()) <= (10 if width < 40 else 7)
    assert ("sketch" in screen) == (width >= 120)
    assert "\x1b[3" not in screen  # no colour


def test_the_end_of_a_stage_stays_above_and_scores_too(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    monkeypatch.setattr(
        train_view, "Console", lambda **options: Console(file=out, force_terminal=True, width=100, highlight=False)
    )
    with Watch(1.0) as watch:
        watch.see(step(10))
        watch.see(replace(step(1, losses={"paint": 2.0}), stage="hand"))
        watch.say("right [0.5]")
    shown = out.getvalue()
    assert "eye 10/10 total 0.5000  100 samples/s" in shown
    assert "right [0.5]" in shown
    assert "total" not in shown[shown.rindex("hand") :]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(train_view, "Console", lambda **options: Console(file=io.StringIO(), force_terminal=True))
    with Watch(0.0) as watch:
        watch.see(step(1))
    assert capsys.readouterr().out.startswith("eye 1/10 total 0.5000")


def test_preparing_samples_is_a_bar_without_losses(terminal):
    screen = terminal(100, TrainingProgress(stage="preparing the samples", step=5, steps=9))
    assert "preparing the samples" in screen
    assert "5/9" in screen
    assert "samples/s" not in screen


def test_a_trend_is_drawn_between_the_lowest_and_the_highest():
    assert sparkline([0.0, 7.0]) == "▁█"
    assert sparkline([1.0, 1.0, 1.0]) == "▁▁▁"
    assert len(sparkline([float(number) for number in range(1000)])) <= 16
    assert sparkline([float(number) for number in range(1000)])[::15] == "▁█"


def test_pieces_flow_into_lines_and_are_not_divided():
    assert list(flowed(["one", "two", "three"], 12)) == ["  one  two", "  three"]
    assert list(flowed([], 12)) == []
    assert list(flowed(["longer than all"], 5)) == ["  longer than all"]
