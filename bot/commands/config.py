"""`interlock config`: checks a configuration, explains what it comes to, prints its schema. Needs the runner alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.commands.config_findings import check_networks, warnings_of
from runner.config import FILE, load_config
from runner.config_schema import text as schema_text
from runner.discover import discover
from runner.errors import BadMetadata, UserError
from runner.report.text import encodable, one_line

DONE, USAGE, CONFIGURATION = 0, 2, 3
SCHEMA = "interlock.config-check/1"


def config(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code: 0 fine, 2 there is no such place, 3 something must be mended."""
    if arguments.what == "schema":
        sys.stdout.write(schema_text())
        return DONE
    path, default = Path(arguments.path), arguments.default_config
    for place in (path, *([Path(default)] if default else [])):
        if not place.exists():
            return _refuse(f"there is no {place}", USAGE)
    if arguments.what == "explain":
        from bot.commands.config_explain import explain  # noqa: PLC0415 - only where it is asked for.

        return _told(lambda: explain(root_of(path), default, as_json=arguments.json), as_json=arguments.json)
    return _told(lambda: _check(path, default, as_json=arguments.json), as_json=arguments.json)


def root_of(path: Path) -> Path:
    """The repository that a path means: itself, or the one whose configuration it is."""
    if path.is_dir():
        return path
    absolute = path.absolute()
    return absolute.parent.parent if absolute.parent.name == ".github" else absolute.parent


def _told(tell: Callable[[], str], *, as_json: bool) -> int:
    """Print what there is to say, or everything that is wrong."""
    try:
        said = tell()
    except UserError as wrong:
        if as_json:
            sys.stdout.write(_report(wrong.every, ()))
        else:
            for mistake in wrong.every:
                _refuse(f"{mistake}", CONFIGURATION)
        return CONFIGURATION
    sys.stdout.write(encodable(said, sys.stdout.encoding))
    return DONE


def _check(path: Path, default: str, *, as_json: bool) -> str:
    """What to say of what is valid.

    Raises:
        UserError: it is not; carries everything that is wrong.
    """
    if path.is_file():
        found = load_config(_text(path), file=str(path))
        warnings = [
            f"box {box.id} has no control: nothing proves that it can fail" for box in found.boxes if not box.control
        ]
        return (
            _report((), warnings) if as_json else _lines(f"{path}: valid, {_count(len(found.boxes), 'box')}", warnings)
        )
    suite = discover(str(path), default=default)
    if not suite.boxes and not (path / FILE).exists():
        message = f"there is neither {FILE} nor a box in {path}"
        raise BadMetadata(message, hint='`runner new "Title"` writes a box')
    check_networks(suite)
    warnings = list(warnings_of(suite))
    tiers = len({box.tier for box in suite.boxes})
    said = f"{path}: valid, {_count(len(suite.boxes), 'box')} in {_count(tiers, 'tier')}, hash {suite.config_hash[:12]}"
    return _report((), warnings) if as_json else _lines(said, warnings)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as wrong:
        raise BadMetadata("cannot be read as UTF-8 text", file=str(path)) from wrong
    except OSError as wrong:
        message = f"cannot be read: {wrong.strerror}"
        raise BadMetadata(message, file=str(path)) from wrong


def _report(errors: Sequence[UserError], warnings: Sequence[str]) -> str:
    told = [{"file": one.file, "line": one.line, "message": one.message, "hint": one.hint} for one in errors]
    document = {"schema": SCHEMA, "valid": not errors, "errors": told, "warnings": list(warnings)}
    return json.dumps(document, indent=2) + "\n"


def _lines(said: str, warnings: Sequence[str]) -> str:
    return "".join(f"{one_line(line)}\n" for line in (said, *(f"warning: {warning}" for warning in warnings)))


def _refuse(message: str, code: int) -> int:
    line = encodable(one_line(message), sys.stderr.encoding)
    sys.stderr.write(f"{line}\n" if code == CONFIGURATION else f"interlock: {line}\n")
    return code


def _count(number: int, thing: str) -> str:
    plural = f"{thing}es" if thing.endswith("x") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"
