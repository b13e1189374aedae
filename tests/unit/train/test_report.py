"""The page of a run: whole, by itself, up to date, and never the reason why a run ends."""

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from blip3o.train import report as page_of_run
from blip3o.train.report import RunReport, duration, evenly, skipped_in
from blip3o.train.trainer import Trainer

START = {"event": "start", "time": 1e9, "recipe": "tiny", "hardware": "2 CPU cores", "commit": "abc", "version": "1"}


def step(number, stage="encoder", **facts):
    known = {
        "samples_per_s": 8.0,
        "waiting": 0.25,
        "learning_rate": 1e-3,
        "gradient_norm": 2.0,
        "memory_mb": 900,
        "left_s": 3600,
    }
    line = {"event": "step", "time": 1e9 + number, "stage": stage, "step": number, "total": 2.0 / number}
    return line | known | facts


def begun(stage, time=1e9):
    return {"event": "stage", "time": time, "name": stage, "steps": 4, "commit": "abc", "version": "1"}


class Page(HTMLParser):
    """What stands in a page: elements with their attributes, and all words."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def shown(tiny, tmp_path):
    """Gives the page after these events."""

    def page(*events, recipe=tiny):
        report = RunReport(tmp_path, recipe, events)
        return Page(report.page())

    return page


def test_a_page_takes_nothing_from_elsewhere_and_tells_of_the_run(shown):
    page = shown(START, begun("encoder"), *(step(number) for number in range(1, 4)))
    sources = [value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href")]
    assert [source for source in sources if not source.startswith("data:")] == []
    assert [(one["max"], one["value"]) for one in page.all("progress")] == [("4", "3")] + [("4", "0")] * 5
    for words in ("2 CPU cores", "commit abc", "8 samples/s", "25 %", "0.90 GB", "running", '"name": "tiny"'):
        assert words in page.words
    assert "left, about 1 h 00 min" in re.sub(r"\s+", " ", page.words)


def test_a_page_loads_itself_anew_only_while_the_run_goes_on(shown):
    ends = {how: {"event": "end", "time": 1e9, "how": how, "why": "no <room>"} for how in ("finished", "failed")}
    running, finished, failed = (
        shown(START, begun("encoder"), step(1), *end) for end in ((), [ends["finished"]], [ends["failed"]])
    )
    assert [bool([m for m in page.all("meta") if "http-equiv" in m]) for page in (running, finished, failed)] == [
        True,
        False,
        False,
    ]
    assert "no <room>" in failed.words
    assert "no <room>" not in finished.words
    resumed = shown(START, begun("encoder"), step(1), ends["failed"], START)
    assert "running" in resumed.words
    assert "no <room>" not in resumed.words


def test_curves_hold_what_was_told_last_of_each_step(shown):
    events = [START, begun("encoder"), step(1, total=9.0), step(2, total=5.0)]
    page = shown(*events, begun("encoder", 1e9 + 5), step(2, total=7.0), {**step(3), "event": "scores", "right": 0.5})
    assert {one["aria-label"] for one in page.all("svg")} >= {"losses", "samples/s", "learning rate"}
    assert "now 7" in page.words
    assert "now 5" not in page.words
    assert "right" in page.words


def test_samples_stand_by_their_steps_and_are_in_the_page(shown, tmp_path):
    for number, color in ((2, "red"), (4, "blue")):
        folder = tmp_path / "samples" / f"encoder-{number:06d}"
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8), color).save(folder / "00.webp")
        listed = [{"kind": "drawn", "text": "a <b>dog</b>", "file": "00.webp"}] * 2
        (folder / "samples.json").write_text(json.dumps(listed))
    (tmp_path / "samples" / "encoder-000009").mkdir()
    page = shown(START, begun("encoder"), step(1))
    pictures = page.all("img")
    assert [picture["alt"] for picture in pictures] == ["step 2", "step 4"] * 2
    assert len({picture["src"] for picture in pictures}) == 2
    assert page.words.count("a <b>dog</b>") == 2
    assert page.all("b")[0] is not None


def test_skipped_samples_are_counted_by_reason_and_file_with_examples(shown, tmp_path):
    lines = [
        {"address": f"a.tar/{n}", "reason": "no caption", "shard": "a.tar", "detail": f"{n}<"} for n in range(5)
    ] + [{"address": "b", "reason": "unreadable file", "shard": "b.tar", "detail": ""}]
    (tmp_path / "samples_skipped.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"addr')
    told = skipped_in(tmp_path / "samples_skipped.jsonl")
    assert [(one["reason"], one["count"], len(one["examples"])) for one in told] == [
        ("no caption", 5, 3),
        ("unreadable file", 1, 1),
    ]
    words = shown(START).words
    assert "a.tar/0 0<" in words
    assert "None so far" not in words


def test_the_page_is_written_at_events_and_at_steps_only_when_it_is_due(tiny, tmp_path, monkeypatch):
    now, cost, pages = [0.0], [0.0], []
    monkeypatch.setattr(page_of_run.time, "perf_counter", lambda: now[0])

    class Counted(RunReport):
        def page(self):
            now[0] += cost[0]
            pages.append(now[0])
            return super().page()

    report = Counted(tmp_path, tiny)
    report.hear(START)
    report.hear(begun("encoder"))
    assert len(pages) == 2
    for number in range(1, 100):
        now[0] += 1.0
        report.hear(step(number))
    assert len(pages) == 2 + 3  # every 30 s
    cost[0] = 2.0
    report.hear({**step(99), "event": "scores"})
    for number in range(100, 290):
        now[0] += 1.0
        report.hear(step(number))
    assert len(pages) == 6  # 2 s may be spent every 200 s
    report.hear({"event": "end", "time": 1e9, "how": "finished", "why": ""})
    assert "finished" in (tmp_path / "report.html").read_text()


def test_a_page_that_cannot_be_written_does_not_end_the_run(tiny, tmp_path):
    (tmp_path / "report.html").mkdir()
    stage = replace(next(stage for stage in tiny.stages if stage.name == "tower"), steps=1)
    Trainer(replace(tiny, stages=(stage,)), tmp_path, lambda progress: None).run()
    assert (tmp_path / "stages" / "tower").is_dir()


def test_a_run_leaves_a_page_that_says_how_it_ended(tiny, tmp_path):
    stage = replace(next(stage for stage in tiny.stages if stage.name == "tower"), steps=2)
    recipe = replace(tiny, stages=(stage,))

    def stop(progress):
        if progress.stage == "tower":
            raise stopped

    for name, stopped, words in (
        ("stopped", KeyboardInterrupt(), "Stopped on request"),
        ("failed", OSError("all is <lost>"), "all is <lost>"),
    ):
        with pytest.raises(type(stopped)):
            Trainer(recipe, tmp_path / name, stop).run()
        page = Page((tmp_path / name / "report.html").read_text())
        assert words in page.words
        assert name in page.words
        Trainer(recipe, tmp_path / name, lambda progress: None).run()
        assert "finished" in Page((tmp_path / name / "report.html").read_text()).words


def test_the_page_of_a_long_run_is_written_in_a_moment(tiny, tmp_path):
    events = [START]
    for stage in tiny.stages:
        events += [begun(stage.name), *(step(number, stage.name) for number in range(1, 1000))]
    report = RunReport(tmp_path, tiny, events)
    report.page()
    since = time.process_time()
    report.page()
    assert time.process_time() - since < 1.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40.0, "40 s"), (60.0, "1 min"), (3540.0, "59 min"), (3900.0, "1 h 05 min"), (200_000.0, "2 d 7 h")],
)
def test_durations_are_told_in_two_units(seconds, text):
    assert duration(seconds) == text


def test_of_many_the_first_the_last_and_some_between_are_taken():
    assert evenly([1, 2, 3], 8) == [1, 2, 3]
    assert evenly(list(range(100)), 5) == [0, 25, 50, 74, 99]
