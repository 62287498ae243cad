"""`$BOX_LIB_PY`: assertions for boxes in Python, the twin of `$BOX_LIB`. Standard library only, Python 3.8 and later.

Load it by its path; it is no package of yours:

    import importlib.util, os
    spec = importlib.util.spec_from_file_location("box", os.environ["BOX_LIB_PY"])
    box = importlib.util.module_from_spec(spec); spec.loader.exec_module(box)

    box.equal("greeting", greet(), "hello")

Every assertion is written to $BOX_REPORT; a red one does not stop the box, which exits 1 at its end.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import shutil
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_SKIPPED = 77
_failed = 0
_count = 0


def ok(id: str, held: object, message: str = "") -> bool:  # noqa: A002 - the protocol's word.
    """An assertion: `held` is true. Returns whether it was."""
    global _count, _failed  # noqa: PLW0603 - a script's own tally.
    _count += 1
    record: dict[str, Any] = {"type": "assertion", "id": id, "ok": bool(held)}
    if not held:
        _failed += 1
        caller = _caller()
        record.update(message=message or f"{id} did not hold", file=caller[0], line=caller[1])
        print(f"not ok {id} - {record['message']}", file=sys.stderr)  # noqa: T201 - a box prints.
    _write(record)
    return bool(held)


def not_ok(id: str, message: str = "") -> None:  # noqa: A002 - as above.
    """Something did not hold."""
    ok(id, False, message)


def equal(id: str, got: object, want: object) -> bool:  # noqa: A002 - as above.
    """An assertion: two values are equal. Returns whether they were."""
    return ok(id, got == want, f"got {got!r}, want {want!r}")


def contains(id: str, container: Any, part: object) -> bool:  # noqa: A002 - as above.
    """An assertion: `part in container`. Returns whether it was."""
    return ok(id, part in container, f"{part!r} is not in {container!r}")


def metric(name: str, value: float, unit: str = "") -> None:
    """A number that is worth keeping."""
    if not math.isfinite(value):
        not_ok(f"metric {name}", f"{value} is not a number")
        return
    _write({"type": "metric", "name": name, "value": value, "unit": unit})


def attach(path: str, title: str = "") -> None:
    """Keep a file with the box's artifacts."""
    name = os.path.basename(path)
    goal = os.path.join(os.environ["BOX_ARTIFACTS"], name)
    if not os.path.isfile(path):
        not_ok(f"attach {name}", f"there is no file {path}")
        return
    if not (os.path.exists(goal) and os.path.samefile(path, goal)):
        shutil.copyfile(path, goal)
    _write({"type": "attachment", "path": name, "title": title or name})


def fault(service: str, what: str) -> dict[str, Any]:
    """Hurt a service that the box needs, until the next fault or "up": `fault("redis", "latency 200ms")`.

    Returns when it is in force: the service's state, with the connections and bytes so far.
    """
    import http.client
    from urllib.parse import urlsplit

    if "BOX_FAULTS" not in os.environ:
        not_ok(f"fault {service}", "the box declares no needs, so there is nothing to hurt")
        return {}
    there = http.client.HTTPConnection(urlsplit(os.environ["BOX_FAULTS"]).netloc)
    there.request("PUT", f"/{service}", what.encode())
    answer = there.getresponse()
    said = answer.read().decode()
    there.close()
    if answer.status != 200:
        not_ok(f"fault {service}", f"{what} is not in force: {said.strip()}")
        return {}
    state: dict[str, Any] = json.loads(said)
    return state


def skip(why: str) -> NoReturn:
    """The box cannot judge here: it ends as skipped, unless something was red before."""
    print(f"skipped: {why}")  # noqa: T201 - a box prints.
    sys.exit(1 if _failed else _SKIPPED)


def finish() -> NoReturn:
    """End the box here; the same happens at its end by itself."""
    sys.exit(1 if _failed else 0)


def _caller() -> tuple[str, int]:
    frame = sys._getframe(1)  # noqa: SLF001 - the traceback module costs more than a box.
    while frame.f_back is not None and frame.f_globals is globals():
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _write(record: dict[str, Any]) -> None:
    with open(os.environ["BOX_REPORT"], "a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def _end() -> None:
    """A red assertion is in the report, which lowers exit 0 by itself; the exit code says the same where it can."""
    if _failed:
        sys.stdout.flush()
        sys.stderr.write(f"{_failed} of {_count} assertions failed\n")
        sys.stderr.flush()
        os._exit(1)


atexit.register(_end)
