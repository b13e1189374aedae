"""The verbs of the command line, as the app itself has them, so that no list of them in a test can miss a new one."""

from typing import Any

from typer.main import get_command

from blip3o.cli.app import app


def verbs_of(command: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Verb, such as "data preview" -> its command of `click`; a group is a verb where it runs without one."""
    below = getattr(command, "commands", {})
    here = {" ".join(path): command} if not below or command.invoke_without_command else {}
    return here | {name: one for key in below for name, one in verbs_of(below[key], (*path, key)).items()}


VERBS: dict[str, Any] = verbs_of(get_command(app))


def names(verb: str) -> set[str]:
    """The options of a verb, as a user writes them."""
    return {name for option in VERBS[verb].params for name in (*option.opts, *option.secondary_opts)}
