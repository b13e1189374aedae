"""All verbs as one command, and what a user sees when something goes wrong: one line, never a traceback."""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from blip3o import __version__
from blip3o.cli import chat, convert, data, demo, edit, evaluate, generate, info, serve, train, understand
from blip3o.cli.lean import leave_additions_out
from blip3o.cli.options import Stopped
from blip3o.errors import AlreadyToldError, UserError, brief

LONGEST_LINE = 600
"""Characters of an error that are shown without --debug."""
COMPILERS = ("torch._dynamo", "torch._inductor")
"""Where the errors of torch's compiler are defined: it needs a C++ compiler, and not every processor will do."""

app = typer.Typer(
    name="blip3o",
    help="One model that reads pictures, draws, edits and talks.",
    epilog="Begin with: blip3o demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"blip3o {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _blip3o(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One model that reads pictures, draws, edits and talks."""


for _verb, _examples in (
    (generate.generate, generate.EXAMPLES),
    (edit.edit, edit.EXAMPLES),
    (understand.understand, understand.EXAMPLES),
    (chat.chat, chat.EXAMPLES),
    (demo.demo, demo.EXAMPLES),
    (serve.serve, serve.EXAMPLES),
    (train.train, train.EXAMPLES),
    (info.info, info.EXAMPLES),
    (convert.convert, convert.EXAMPLES),
):
    app.command(epilog=_examples)(_verb)
app.add_typer(data.app, name="data")
app.add_typer(evaluate.app, name="evaluate")


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit code: 0, 1 (a fault of ours), 2 (the user's), 130 (interrupted), 141
    (nobody reads its output any more).

    Every failure but the last is one line on stderr; `--debug` among the arguments adds the traceback.
    """
    debug = "--debug" in arguments
    _take_any_bytes()
    try:
        code = app(list(arguments) or ["--help"], prog_name="blip3o", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the second is what typer makes of the first
        _write_nowhere()
        return 141
    except UserError as error:
        return _fail(f"error: {error}", 2, debug)
    except typer.TyperException as error:
        return _fail(f"error: {_misused(error)}", 2, debug)
    except AlreadyToldError:
        return 1
    except Stopped as error:
        return _fail(str(error), 130, debug)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return _fail(f"error: cannot open{_where(error)} ({error.strerror}): choose a shorter name", 2, debug)
        if error.errno == errno.ENOENT:  # what a user names is looked at before; this was there when it was listed
            return _fail(f"error:{_where(error)} vanished while it was read: leave it there, and begin again", 2, debug)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _fail(_unexpected(error), 1, debug)
        _write_nowhere()
        return _fail(f"error: cannot write{_where(error)} ({error.strerror}): make room, or write elsewhere", 2, debug)
    except Exception as error:  # noqa: BLE001 - the last door: whatever it is, the user gets one line
        if type(error).__module__.startswith(COMPILERS):
            return _fail(f"error: cannot compile the model here ({brief(error)}): leave out --compile", 2, debug)
        return _fail(_unexpected(error), 1, debug)
    return _fail("stopped", 130, debug=False) if code == 130 else int(code or 0)


def _take_any_bytes() -> None:
    """File names and lines that are not in UTF-8 come in as Python keeps them, and go out with their escapes."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


def _write_nowhere() -> None:
    """Drop what stdout still holds, so that Python does not try to write it again at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception) -> str:
    return f"error: {type(error).__name__}: {error} (unexpected: --debug shows where)"


def _where(error: OSError) -> str:
    return "" if error.filename is None else f" {error.filename}"


def _misused(error: typer.TyperException) -> str:
    """What was wrong with the command line, the value got, and whose help to ask for."""
    faults = getattr(error.__cause__, "errors", list)()  # of pydantic, which the values were read by
    got = f", got {faults[0]['input']!r}" if faults and "is not one of" not in error.format_message() else ""
    verb = getattr(getattr(error, "ctx", None), "command_path", "blip3o")
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    return f"{message}{got} (`{verb} --help` shows what there is)"


def _fail(line: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    line = " ".join(line.split()).encode(errors="backslashreplace").decode()
    print(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…", file=sys.stderr)
    return code


def main() -> NoReturn:
    """The command `blip3o`."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if "--debug" not in sys.argv:
        warnings.simplefilter("ignore")  # here and not in `run`, so that tests of commands see them
    leave_additions_out()
    sys.exit(run(sys.argv[1:]))
