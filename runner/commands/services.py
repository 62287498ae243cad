"""`runner services`: the servers that boxes get, for a person: what is here of them, and some to work with."""

from __future__ import annotations

import os
import select
import sys

from runner.options import Option, nearest, refuse
from runner.verdict import EXIT_GREEN, EXIT_INTERRUPTED, EXIT_RED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.attendant import Provision
    from runner.execute.signals import Wakeup
    from runner.execute.stopping import Stopping
    from runner.options import Given
    from runner.services.client import Client

SCHEMA = "runner.services/1"
USAGE = """usage: runner services list [--json]
       runner services up [NAME ...] [--json]

`list` says which services boxes can have here, and how to get the others. `up` starts them (all that are here, or the
named ones, such as redis or postgres:16), prints the variables that lead to them, and ends them at Ctrl-C."""
OPTIONS = (Option("--json", help="as JSON, schema runner.services/1"),)
_COMMANDS = ("list", "up")


def main(_: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    if not given.words:
        refuse("services needs a word: list or up")
    word, *names = given.words
    if word not in _COMMANDS:
        refuse(f"services knows no {word!r}{nearest(word, _COMMANDS)}")
    if word == "list":
        if names:
            refuse(f"services list takes no {names[0]!r}")
        return _list(json="json" in given)
    return _up(names, json="json" in given)


def _list(*, json: bool) -> int:
    from runner.report.text import encodable, symbols_for
    from runner.services.inventory import take_inventory

    inventory = take_inventory(os.environ)
    if json:
        entries = [
            {
                "name": stock.name,
                "hint": stock.hint,
                "found": [
                    {"version": one.version, "directory": one.directory, "origin": one.origin} for one in stock.found
                ],
            }
            for stock in inventory.stocks
        ]
        _say({"services": entries, "confined": inventory.confined})
        return EXIT_GREEN
    symbols = symbols_for(sys.stdout.encoding)
    width = max(len(stock.name) for stock in inventory.stocks)
    lines = []
    for stock in inventory.stocks:
        found = ", ".join(map(str, stock.found)) or f"not installed: {stock.hint}"
        lines.append(f"{symbols.passed if stock.found else symbols.red} {stock.name:<{width}}  {found}")
    if not inventory.confined:
        lines.append("the servers run without a sandbox of their own: bubblewrap is missing or does not work here")
    sys.stdout.write(encodable("\n".join(lines) + "\n", sys.stdout.encoding))
    return EXIT_GREEN


def _up(names: Sequence[str], *, json: bool) -> int:
    from runner.attendant import Wish
    from runner.execute.signals import Wakeup
    from runner.execute.stopping import Stopping
    from runner.services.client import Client

    needs = list(dict.fromkeys(names)) or _installed()
    if not needs:
        refuse("there is no service here to start (see `runner services list`)")
    client = Client(environ=os.environ)
    wakeup = Wakeup(children=False)
    try:
        with Stopping() as stop:
            client.ask(Wish(id="up", directory="/", needs=needs))
            return _stay(client, wakeup, stop, lambda given: _tell(given, needs, json=json))
    finally:
        client.close()
        wakeup.close()


def _stay(client: Client, wakeup: Wakeup, stop: Stopping, tell: Callable[[Provision], None]) -> int:
    """Until somebody asks to stop, or there is nothing to stay for."""
    answered = False
    while not stop.asked():
        _wait(client, wakeup.fd)
        wakeup.drain()
        for given in client.answers().values():
            if given.problem:
                sys.stderr.write(f"runner: {given.problem}\n")
                return EXIT_RED
            tell(given)
            answered = True
        if client.pid < 0:
            sys.stderr.write("runner: the services have ended\n")
            return EXIT_RED
    return EXIT_GREEN if answered else EXIT_INTERRUPTED


def _installed() -> list[str]:
    from runner.services.inventory import take_inventory

    return [stock.name for stock in take_inventory(os.environ).stocks if stock.found]


def _wait(client: Client, wakeup: int) -> None:
    poll = select.poll()
    for fd in (client.fileno(), wakeup):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    poll.poll()


def _tell(given: Provision, needs: Sequence[str], *, json: bool) -> None:
    if json:
        _say({"env": given.env})
    else:
        sys.stdout.write("".join(f"export {name}={_quoted(value)}\n" for name, value in sorted(given.env.items())))
    sys.stdout.flush()
    listed = " and ".join(needs)
    sys.stderr.write(f"{listed} {'is' if len(needs) == 1 else 'are'} up; Ctrl-C ends {_them(needs)}\n")


def _them(needs: Sequence[str]) -> str:
    return "it" if len(needs) == 1 else "them"


def _quoted(value: str) -> str:
    import shlex

    return shlex.quote(value)


def _say(content: Mapping[str, object]) -> None:
    import json

    sys.stdout.write(json.dumps({"schema": SCHEMA, **content}, ensure_ascii=False) + "\n")
