"""Structured logs: one event a line, its name a constant in snake_case, everything else a field.

Ids (delivery, run, repo, pr, sha) are bound once at the door through context variables and follow every line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from bot.domain.text import clean
from bot.ops.own_secrets import OWN

Processor = structlog.typing.Processor


def configure(*, form: str, level: str) -> None:
    """Send the bot's logs, and those of the libraries it uses, to standard error in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    pretty = form == "pretty"
    render: list[Processor] = (
        [
            structlog.processors.format_exc_info,
            _harmless,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        if pretty
        else [
            # Without the frames' local variables, which hold tokens and payloads.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            _harmless,
            structlog.processors.JSONRenderer(),
        ]
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_the_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.WARNING))
    for name in ("dbos", "uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "apscheduler"):
        library = logging.getLogger(name)
        library.handlers[:] = []
        library.propagate = True
        # uvicorn sets levels of the whole process for itself; one threshold decides here: the root's.
        library.setLevel(logging.NOTSET)


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """No line shows a secret, moves a cursor, or makes a reader believe that another line begins in it."""
    return {name: _tame(value, name) for name, value in event.items()}


def _tame(value: Any, name: str = "") -> Any:
    match value:
        case str() if name == "exception":
            # Lines of a traceback stand apart from lines of the log, whatever the error's text makes of them. The bar
            # is for readers that take a line which begins with two colons for a command, blanks or not.
            return "\n".join(f"  | {line}" for line in clean(OWN.text(value)).split("\n"))
        case str():
            return clean(OWN.text(value))
        case Mapping():
            return {key: _tame(item) for key, item in value.items()}
        case list() | tuple():
            return [_tame(item) for item in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return clean(OWN.text(str(value)))


def _name_the_library(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Library lines keep their sentence as a field, so that `event` stays a constant."""
    record = event.get("_record")
    event["library"] = record.name if record is not None else "?"
    event["message"] = event.pop("event", "")
    event["event"] = "library_logged"
    return event
