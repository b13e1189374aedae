"""Options that stand together in a dataclass reach the verb together."""

from dataclasses import fields

import pytest
import typer

from blip3o.cli import options
from blip3o.cli.options import Drawing, Loading, grouped

LOADING = ["--model", "mine", "--device", "cpu", "--decoder", "d", "--dtype", "float16", "--memory", "low"]
LOADING += ["--quantize", "nf4", "--compile", "--no-verify", "--compatible", "--adapter", "a:0.5", "--no-merge"]
DRAWING = ["-n", "2", "-o", "out", "--seed", "3", "--steps", "4", "--guidance", "5", "--solver", "heun"]
DRAWING += ["--decoder-steps", "6", "--size", "80", "--best-of", "3"]


def carried_out(verb, words):
    """Runs a verb of its own app on the words of a command line."""
    app = typer.Typer(add_completion=False)
    app.command()(verb)
    return app(words, standalone_mode=False)


@pytest.mark.parametrize(("group", "words"), [(Loading, LOADING), (Drawing, DRAWING)])
def test_every_field_of_a_group_is_an_option_that_reaches_the_verb(group, words):
    seen = []

    def verb(text: str, *, group) -> None:
        seen.append((text, group))

    verb.__annotations__["group"] = group
    carried_out(grouped()(verb), ["x", *words])
    carried_out(grouped()(verb), ["x"])
    (text, said), (_, silent) = seen
    assert (text, silent) == ("x", group())
    assert [field.name for field in fields(group) if getattr(said, field.name) == field.default] == []


def test_a_field_that_is_left_out_is_no_option_and_keeps_its_default():
    seen = []

    @grouped("compile")
    def verb(*, loading: Loading) -> None:
        seen.append(loading)

    carried_out(verb, ["--memory", "low"])
    assert seen == [Loading(memory="low")]
    with pytest.raises(typer.TyperException, match="No such option: --compile"):
        carried_out(verb, ["--compile"])


def test_a_model_is_opened_as_the_options_say(monkeypatch):
    seen = []
    monkeypatch.setattr(options, "open_model", lambda name, **loading: seen.append((name, loading)))
    loading = Loading(model="mine", memory="low", verify=False, adapter=["a"])
    loading.open(needs=())
    rest = {key: value for key, value in vars(loading).items() if key not in ("model", "adapter")}
    assert seen == [("mine", {"needs": (), "adapters": ("a",)} | rest)]


def test_what_is_drawn_is_sampled_as_the_options_say():
    assert Drawing(count=3, seed=2, steps=7).sampling == {
        **{"seed": 2, "steps": 7},
        **dict.fromkeys(("guidance", "solver", "decoder_steps", "size", "best_of")),
    }
