"""`runner`: reads the command line, calls the command, turns what went wrong into a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from runner import __version__
from runner.errors import FULL, BadSelection, NoRoom, NothingSelected, UserError
from runner.options import Option, UsageMistake, help_lines, nearest, read, refuse
from runner.verdict import (
    EXIT_CONFIGURATION,
    EXIT_GREEN,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_NOTHING_SELECTED,
    EXIT_USAGE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

GLOBAL = (
    Option("-C", value="DIR", help="the repository; the default is the current directory"),
    Option("--debug", help="show the traceback of an internal error"),
    Option("--version", help="print the version and exit"),
    Option("-h", "--help", help="print this and exit; `runner COMMAND --help` has the command's options"),
)
HELP = GLOBAL[-1]
# What each command is for; its module in runner.commands is imported when it is called.
COMMANDS = {
    "list": "show the boxes, tier by tier",
    "run": "run boxes",
    "show": "all that is known about one box",
    "new": "write a new box with a control",
    "doctor": "look for what could go wrong here",
    "falsify": "prove that each box can fail",
    "compare": "say what a change weakens",
    "services": "the databases that boxes get: what is here, and some to work with",
}
_MODULES = {"list": "list_boxes"}  # `list` would shadow the type.


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing is raised."""
    words = sys.argv[1:] if argv is None else list(argv)
    _fill_standard_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
    except UsageMistake as mistake:
        code = _say(f"{mistake} (see `runner --help`)", EXIT_USAGE)
    except BadSelection as bad:
        code = _say(f"{bad}", EXIT_USAGE)
    except UserError as error:
        for each in error.every:
            _say(f"{each}", EXIT_CONFIGURATION)
        code = EXIT_CONFIGURATION
    except NothingSelected as nothing:
        code = _say(f"{nothing}", EXIT_NOTHING_SELECTED)
    except NoRoom as full:
        code = _say(f"{full}", EXIT_INTERNAL)
    except KeyboardInterrupt:
        code = _say("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone. What is still buffered must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = EXIT_GREEN
    except Exception as error:  # noqa: BLE001 - the last door: a person gets one line, not a traceback.
        code = _internal(error, words)
    return code


def _run(words: Sequence[str]) -> int:
    given, rest = read(words, GLOBAL, stop_at_word=True)
    if "version" in given:
        sys.stdout.write(f"runner {__version__}\n")
        return EXIT_GREEN
    if rest[:1] == ["help"]:
        given, rest = read(["--help"], GLOBAL)
    if "help" in given or not rest:
        sys.stdout.write(usage())
        return EXIT_GREEN if "help" in given else EXIT_USAGE
    name, *rest = rest
    if name not in COMMANDS:
        refuse(f"unknown command {name!r}{nearest(name, COMMANDS)}")
    root = os.path.abspath(given.text("C", "."))
    if not os.path.isdir(root):
        refuse(f"-C: there is no directory {given.text('C')}")
    if name == "new":
        from runner.scaffold import main as scaffold

        return scaffold(root, rest)
    command = import_module(f"runner.commands.{_MODULES.get(name, name)}")
    options, _ = read(rest, [*command.OPTIONS, HELP])
    if "help" in options:
        sys.stdout.write("\n".join([command.USAGE, "", *help_lines(command.OPTIONS), ""]))
        return EXIT_GREEN
    code: int = command.main(root, options)
    return code


def usage() -> str:
    """The text of `runner --help`."""
    commands = [f"  {name:<10} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        ["usage: runner [-C DIR] COMMAND ...", "", "commands:", *commands, "", "options:", *help_lines(GLOBAL), ""]
    )


def _fill_standard_streams() -> None:
    """Put the null device where a standard stream was closed, before a pipe of a box takes its place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as we do.
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as we do.


def _say(message: str, code: int) -> int:
    """A line of ours, whatever it quotes: GitHub takes orders from a log, and names of files are foreign text."""
    from runner.report.text import clean, inert

    line = " ".join(clean(message).split("\n"))
    sys.stderr.write(f"runner: {inert(line)}\n")
    return code


def _internal(error: Exception, words: Sequence[str]) -> int:
    if isinstance(error, OSError) and error.errno in FULL:
        try:
            sys.stdout.flush()
        except OSError:
            # It is what is full. What is still buffered must not be tried again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        place = f" for {error.filename}" if error.filename else ""
        way_out = "free some; TMPDIR, XDG_CACHE_HOME and the options of the reports choose other places"
        return _say(f"no space is left{place} ({way_out})", EXIT_INTERNAL)
    if "--debug" in words:
        import traceback

        traceback.print_exception(error)
    said = str(error).partition("\n")[0]
    return _say(
        f"internal error {os.urandom(4).hex()}: {type(error).__name__}: {said}"
        " (this is a bug of the runner; `runner --debug ...` shows where)",
        EXIT_INTERNAL,
    )


if __name__ == "__main__":
    sys.exit(main())
