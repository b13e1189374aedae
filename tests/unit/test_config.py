"""Configs come back from YAML as they went in, and a faulty file is told all its faults in one line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from blip3o.config import check, dump, from_dict, load, recipe_path, to_dict
from blip3o.errors import ConfigError, OutputError


@dataclass(frozen=True, kw_only=True)
class Flow:
    kind: Literal["flow"] = "flow"
    guidance: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Regression:
    kind: Literal["regression"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    steps: int
    rate: float = 1e-3
    mixture: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        check(
            (self.steps > 0, f"steps is {self.steps}, expected 1 or more"),
            (self.rate > 0, f"rate is {self.rate}, expected more than 0"),
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    seed: int
    head: Flow | Regression = field(default_factory=Flow)
    stages: tuple[Stage, ...] = ()
    size: tuple[int, int] = (64, 64)
    solver: Literal["euler", "heun"] = "euler"
    limit: int | None = None
    first: Stage | None = None
    folder: Path = Path("runs")
    compiled: bool = False
    note: Any = None


FULL: dict[str, Any] = {
    "seed": 7,
    "head": {"kind": "regression"},
    "stages": [{"name": "decoder", "steps": 5}, {"name": "generation", "steps": 9, "mixture": {"scenes": 1}}],
    "size": [32, 48],
    "solver": "heun",
    "limit": 3,
    "first": {"name": "only", "steps": 1, "rate": 2},
    "folder": "elsewhere",
    "compiled": True,
    "note": {"anything": [1, "goes"]},
}


@pytest.fixture
def file(tmp_path):
    """Writes a YAML file and returns its path."""

    def write(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def full(tmp_path):
    path = tmp_path / "full.yaml"
    dump(from_dict(Recipe, FULL), path)
    return path


def faults(values, kind: type = Recipe):
    with pytest.raises(ConfigError) as caught:
        from_dict(kind, values)
    assert "\n" not in str(caught.value)
    return str(caught.value).split("; ")


@pytest.mark.parametrize("values", [{"seed": 0}, FULL])
def test_a_config_comes_back_from_its_plain_values(values):
    config = from_dict(Recipe, values)
    assert from_dict(Recipe, to_dict(config)) == config


@pytest.mark.parametrize("values", [{"seed": 0}, FULL])
def test_a_config_comes_back_from_its_file(values, tmp_path):
    config = from_dict(Recipe, values)
    dump(config, tmp_path / "a.yaml")
    assert load(Recipe, tmp_path / "a.yaml") == config


def test_plain_values_become_the_annotated_types():
    config = from_dict(Recipe, FULL)
    assert config.stages[1] == Stage(name="generation", steps=9, mixture={"scenes": 1.0})
    assert isinstance(config.stages[1].mixture["scenes"], float)
    assert (config.head, config.size, config.folder) == (Regression(kind="regression"), (32, 48), Path("elsewhere"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sede": 1}, "unknown key sede, did you mean seed?"),
        ({"seed": "1"}, "seed is '1' (str), expected int"),
        ({"seed": True}, "seed is True (bool), expected int"),
        ({"seed": 1.0}, "seed is 1.0 (float), expected int"),
        ({"seed": None}, "seed is empty, expected int"),
        ({"compiled": 1}, "compiled is 1 (int), expected bool"),
        ({"limit": "all"}, "limit is 'all' (str), expected int or null"),
        ({"solver": "rk4"}, "solver is 'rk4' (str), expected one of 'euler', 'heun'"),
        ({"size": [64]}, "size is [64] (list), expected 2 values"),
        ({"size": 64}, "size is 64 (int), expected a list of int, int"),
        ({"stages": {"name": "x"}}, "stages is {'name': 'x'} (dict), expected a list of keys and values"),
        ({"stages": [3]}, "stages.0 is 3 (int), expected keys and values"),
        ({"stages": [{"name": "eye"}]}, "missing key stages.eye.steps, expected int"),
        ({"first": {"name": "x", "step": 1, "steps": 1}}, "unknown key first.step, did you mean steps?"),
        ({"first": {"name": "x", "steps": 0}}, "first: steps is 0, expected 1 or more"),
        ({"head": {"kind": "flow", "guidanse": 1}}, "unknown key head.guidanse, did you mean guidance?"),
        ({"head": {"kind": "rectified"}}, "head.kind is 'rectified' (str), expected one of 'flow', 'regression'"),
        ({"head": {"kind": ["flow"]}}, "head.kind is ['flow'] (list), expected one of 'flow', 'regression'"),
        ({"head": {"kind": "regression", "guidance": 1}}, "unknown key head.guidance, expected one of: kind"),
        ({"head": {"guidance": "1"}}, "head.guidance is '1' (str), expected float"),
        ({"head": 3}, "head is 3 (int), expected keys and values"),
        ({"note": {1: 2}}, "a key of note is 1 (int), expected str"),
        ({"note": [b"a"]}, "note.0 is b'a' (bytes), expected a plain value"),
        ({"first": {"name": "x", "steps": 1, "mixture": {"a": "b"}}}, "first.mixture.a is 'b' (str), expected float"),
    ],
)
def test_a_fault_names_the_place_the_value_and_what_was_expected(change, fault):
    assert faults({"seed": 0, **change}) == [fault]


def test_a_key_that_resembles_nothing_lists_the_known_ones():
    assert faults({"kind": "flow", "zzz": 1}, Flow) == ["unknown key zzz, expected one of: kind, guidance"]


def test_all_faults_of_a_file_are_told_at_once():
    values = {"sede": 1, "solver": 3, "stages": [{"name": "a", "steps": 0, "rate": -1}, {"steps": 1}]}
    assert faults(values) == [
        "unknown key sede, did you mean seed?",
        "missing key seed, expected int",
        "solver is 3 (int), expected one of 'euler', 'heun'",
        "stages.a: steps is 0, expected 1 or more",
        "stages.a: rate is -1.0, expected more than 0",
        "missing key stages.1.name, expected str",
    ]


@dataclass(frozen=True, kw_only=True)
class Renamed:
    width: int

    @staticmethod
    def upgraded(values):
        return {"width" if key == "breadth" else key: value for key, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class Holder:
    parts: tuple[Renamed, ...]


def test_old_keys_are_read_as_those_of_today_and_the_later_of_both_counts():
    values = {"parts": [{"breadth": 1}, {"width": 2}, {"width": 3, "breadth": 4}]}
    assert [part.width for part in from_dict(Holder, values).parts] == [1, 2, 4]
    assert faults({"parts": [{"breadth": "1"}]}, Holder) == ["parts.0.width is '1' (str), expected int"]


def test_a_path_prefixes_every_place():
    with pytest.raises(ConfigError, match=r"unknown key model\.head\.guide"):
        from_dict(Flow, {"guide": 1}, "model.head")


def test_a_long_value_is_cut_short():
    assert len(faults({"seed": "9" * 10_000})[0]) < 120


@pytest.mark.parametrize(
    ("override", "place", "value"),
    [
        ("seed=3", lambda c: c.seed, 3),
        ("stages.generation.steps=10", lambda c: c.stages[1].steps, 10),
        ("stages.0.rate=1e-4", lambda c: c.stages[0].rate, 1e-4),
        ("stages.1.mixture.scenes=.5", lambda c: c.stages[1].mixture, {"scenes": 0.5}),
        ("stages.0.mixture.edits=2", lambda c: c.stages[0].mixture, {"edits": 2.0}),
        ("size=[8, 8]", lambda c: c.size, (8, 8)),
        ("size.1=8", lambda c: c.size, (32, 8)),
        ("first=null", lambda c: c.first, None),
        ("folder=a=b", lambda c: c.folder, Path("a=b")),
    ],
)
def test_an_override_changes_one_place(full, override, place, value):
    assert place(load(Recipe, full, [override])) == value


def test_the_last_override_wins_and_the_file_may_leave_the_key_out(file):
    path = file("limit: null")
    config = load(Recipe, path, ["seed=1", "seed=2", "first.name=eye", "first.steps=4"])
    assert (config.seed, config.first) == (2, Stage(name="eye", steps=4))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "override is 'seed', expected key=value"),
        ("head..guidance=1", "expected key=value"),
        ("stage.0.steps=1", "unknown key stage, did you mean stages?"),
        ("stages.generaton.steps=1", "stages has no item 'generaton', did you mean generation?"),
        ("stages.7.steps=1", "stages has no item '7', expected one of: decoder, generation"),
        ("seed.deep=1", r"override seed\.deep cannot be set: seed is 7 \(int\), which has no keys"),
        ("size=[1", "the value of override 'size=\\[1' is not YAML"),
    ],
)
def test_a_faulty_override_names_itself(full, override, message):
    with pytest.raises(ConfigError, match=message):
        load(Recipe, full, [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the config is empty, expected keys and values"),
        ("- 1", r"the config is \[1\] \(list\), expected keys and values"),
        ("seed: 1\nseed: 2", "line 2, column 1: key seed stands twice"),
        ("seed: [1", "is not YAML at line 1"),
        ("seed: !!python/object:os.system {}", "is not YAML"),
    ],
)
def test_a_faulty_file_is_named_with_its_fault(file, text, message):
    path = file(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(Recipe, path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_number_with_an_exponent_is_a_number(file):
    assert load(Flow, file("guidance: 1e-3")).guidance == 1e-3


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        load(Recipe, tmp_path / "picture.yaml")
    with pytest.raises(ConfigError, match=r"cannot read .*absent\.yaml: No such file"):
        load(Recipe, tmp_path / "absent.yaml")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken.yaml").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make .*file"):
        dump(Flow(), tmp_path / "file" / "flow.yaml")
    with pytest.raises(OutputError, match=r"cannot write .*taken"):
        dump(Flow(), tmp_path / "taken.yaml")
    assert sorted((path.name for path in tmp_path.iterdir()), reverse=True) == ["taken.yaml", "file"]


def test_a_recipe_is_found_by_name_and_a_misspelt_one_gets_the_nearest(monkeypatch, tmp_path):
    (tmp_path / "picturebook.yaml").write_text("guidance: 2.0")
    monkeypatch.setattr("blip3o.config._recipe_folder", lambda: tmp_path)
    assert recipe_path("picturebook") == tmp_path / "picturebook.yaml"
    assert load(Flow, "picturebook").guidance == 2.0
    with pytest.raises(ConfigError, match="no recipe or file 'picturebok', did you mean picturebook"):
        load(Flow, "picturebok")


@dataclass(frozen=True, kw_only=True)
class Head:
    steps: int


@dataclass(frozen=True, kw_only=True)
class Extended:
    name: str
    head: Head


def test_a_file_that_extends_another_is_the_other_with_its_changes(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\nhead: {steps: 3}\n")
    (tmp_path / "more.yaml").write_text("extends: base.yaml\nchanges: {name: more, head.steps: 5}\n")
    assert load(Extended, tmp_path / "more.yaml") == Extended(name="more", head=Head(steps=5))


def test_a_key_beside_extends_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\nhead: {steps: 3}\n")
    (tmp_path / "more.yaml").write_text("extends: base.yaml\nname: more\n")
    with pytest.raises(ConfigError, match="unknown key name beside extends"):
        load(Extended, tmp_path / "more.yaml")


@pytest.mark.parametrize(
    "text", ["first: {name: a, steps: 1, rate: .nan}", "head: {guidance: -.inf}", "note: {a: [1, .inf]}"]
)
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"seed: 1\n{text}\n")
    with pytest.raises(
        ConfigError, match=r"(first.rate is nan|head.guidance is -inf|note.a.1 is inf) \(float\), expected a fin"
    ):
        load(Recipe, path)


def test_a_whole_number_too_large_for_a_float_is_refused():
    assert from_dict(Flow, {"guidance": 3}).guidance == 3.0
    with pytest.raises(ConfigError, match="guidance is 1000"):
        from_dict(Flow, {"guidance": 10**400})


def test_a_file_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 1\nnote: &note [*note]\n")
    with pytest.raises(ConfigError, match="nested without end"):
        load(Recipe, path)
