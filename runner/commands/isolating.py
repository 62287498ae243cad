"""`--sandbox`, `--trust`, `--clean-env` and `--target`: what they mean for the executor of a command."""

from __future__ import annotations

import os

from runner.errors import UserError
from runner.execute.environment import harmless, inherited, isolated
from runner.execute.launch import Unlaunchable
from runner.execute.process import ProcessExecutor
from runner.isolation import Egress, Level, choose, egress_of, limits_for
from runner.options import Option, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.attendant import Attendant
    from runner.execute.guard import Guard
    from runner.execute.launch import Launcher
    from runner.model import Box, BoxId, Setup
    from runner.options import Given
    from runner.redact import Redactor
    from runner.schedule import Policy

OPTIONS = (
    Option("--clean-env", help="boxes inherit nothing of this environment"),
    Option("--sandbox", choices=("off", "auto", "full"), help="isolation of boxes; off without --trust"),
    Option("--trust", choices=("T0", "T1", "T2"), help="run as the bot would for this trust level"),
)
TARGET = Option("--target", value="URL", help="what boxes find in $TARGET_URL, and may reach from a sandbox")
TARGET_URL = "TARGET_URL"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - nobody listens there.


def level_of(given: Given) -> Level:
    """The isolation that the boxes get.

    Raises:
        UserError: what was asked for, or what the trust level demands, does not work here.
    """
    asked, trust = given.text("sandbox"), given.text("trust")
    if asked == "off" or not (asked or trust):
        return choose(asked, trust, ())  # without a look at the machine
    from runner.sandbox.probe import rungs

    return choose(asked, trust, rungs(os.environ))


def executor_of(
    given: Given,
    level: Level,
    settings: Mapping[str, object],
    *,
    run_id: str,
    scratch: str,
    environ: Mapping[str, str] | None = None,
    redactor: Redactor | None = None,
    guard: Guard | None = None,
    attendant: Attendant | None = None,
    views: bool = False,
) -> ProcessExecutor:
    """The executor that isolates boxes as was asked. Make it before there is a second thread.

    Args:
        given: the command's options.
        level: see `level_of`.
        settings: the suite's.
        run_id: names the run.
        scratch: an existing directory, this run's alone.
        environ: what boxes may inherit; this process's own by default.
        redactor: knows the run's secrets.
        guard: is told of what is started.
        attendant: gives boxes services and hosts; see `attendant_for`.
        views: without isolation boxes get views of the tree all the same, where that is possible (see `layered`).

    Raises:
        UserError: the sandbox that was found to work cannot be set up.
    """
    clean = _is_clean(given)
    environ = os.environ if environ is None else environ
    if level is Level.OFF:
        return ProcessExecutor(
            run_id=run_id,
            scratch=scratch,
            base_env=environ,
            isolate_env=clean,
            guard=guard,
            redactor=redactor,
            attendant=attendant,
            launcher=_views(scratch) if views else None,
        )
    base = base_env(given, level, environ)
    return ProcessExecutor(
        run_id=run_id,
        scratch=scratch,
        base_env=base,
        guard=guard,
        redactor=redactor,
        attendant=attendant,
        launcher=launcher_of(given, level, settings, scratch=scratch, path=_path(base)),
    )


def base_env(given: Given, level: Level, environ: Mapping[str, str]) -> dict[str, str]:
    """What boxes inherit of an environment."""
    if _is_clean(given):
        return isolated()
    return inherited(environ if level is Level.OFF else harmless(environ))


def _is_clean(given: Given) -> bool:
    return "clean_env" in given or "trust" in given


def attendant_for(
    boxes: Iterable[Box],
    setups: Iterable[Setup],
    environ: Mapping[str, str],
    *,
    scratch: str,
    faults: bool = False,
    target: bool = False,
) -> Attendant | None:
    """What gives boxes services and hosts; None when nobody will ask. Its process is started with the first wish.

    Args:
        boxes: that may run.
        setups: that may run.
        environ: the attendant's environment.
        scratch: the run's directory.
        faults: whether controls may ask for faults.
        target: whether boxes may reach a target.
    """
    asked = target or any(box.needs or box.network or box.kind == "http" for box in boxes)
    if not (faults or asked or any(setup.network for setup in setups)):
        return None
    from runner.services.client import Client

    return Client(environ=environ, scratch=scratch)


def target_of(given: Given, level: Level) -> str:
    """What `--target` names, "" for nothing, as boxes at this level are told of it.

    In a sandbox 127.0.0.1 is the box's own; by the name localhost the runner's machine is reached.
    """
    if "target" not in given:
        return ""
    from urllib.parse import urlsplit

    url = given.text("target").rstrip("/")
    if not _end_of(url):
        refuse(f"--target {url} is not the URL of a host, such as http://localhost:8080")
    parts = urlsplit(url)
    if level is Level.OFF or parts.hostname not in _LOOPBACK:
        return url
    return parts._replace(netloc=f"localhost:{parts.port}" if parts.port else "localhost").geturl()


def egress_for(
    given: Given, boxes: Iterable[Box], settings: Mapping[str, object], *, target: str = ""
) -> dict[BoxId, Egress]:
    """The hosts of the boxes that name any, the end that an HTTP box asks included, and of all boxes the target's.

    Args:
        given: the command's options.
        boxes: that may run.
        settings: the suite's.
        target: the URL that boxes are to look at; whoever starts the run lets all of them reach it.

    Raises:
        UserError: a name is neither a rule nor a host.
    """
    trust = given.text("trust")
    environ = isolated() if "clean_env" in given or trust else os.environ
    there = _end_of(target)
    found = {}
    for box in boxes:
        if not (box.network or box.http or target):
            continue
        try:
            named = egress_of(box.network, trust, settings)
        except UserError as why:
            raise UserError(why.message, file=box.source, line=box.line, hint=why.hint) from why
        # Its requests are those of the configuration that counts, and no program of the change makes them.
        told = {TARGET_URL: target} if target else {}
        asked = tuple(end for end in _ends(box, {**environ, **box.env, **told}) if end not in there)
        strange = trust == "T2"
        found[box.id] = Egress(
            [*there, *named.hosts, *(() if strange else asked)], [*named.refused, *(asked if strange else ())]
        )
    return found


def _ends(box: Box, environ: Mapping[str, str]) -> tuple[str, ...]:
    if not box.http:
        return ()
    from runner.http_steps import ends

    return ends(box.http, environ)


def _end_of(target: str) -> tuple[str, ...]:
    if not target:
        return ()
    from runner.http_steps import ends

    return ends([{"url": target}], {})


def withheld(egress: Mapping[BoxId, Egress], policy: Policy) -> Iterator[str]:
    """For each box that its trust level does not let to hosts that it names, a sentence that says so."""
    unkept = ", and without a sandbox nothing keeps it from them" if policy.sandbox == Level.OFF else ""
    for box_id, granted in egress.items():
        if granted.refused:
            names = ", ".join(granted.refused)
            yield f"box {box_id} is not to reach {names} at trust level {policy.trust}{unkept}"


def _views(scratch: str) -> Launcher | None:
    from runner.sandbox.views import Views

    try:
        return Views(scratch=scratch)
    except Unlaunchable:
        return None


def launcher_of(given: Given, level: Level, settings: Mapping[str, object], *, scratch: str, path: str) -> Launcher:
    """See `executor_of`."""
    from runner.sandbox.launcher import open_launcher

    trust = given.text("trust")
    try:
        return open_launcher(
            level, scratch=scratch, limits=limits_for(trust, settings), path=path, own_choice=trust in {"", "T0"}
        )
    except Unlaunchable as why:
        message = f"the sandbox ({level}) could not be set up: {why}"
        raise UserError(message, hint="`runner doctor` looks closer") from why


def _path(env: Mapping[str, str]) -> str:
    """Where the boxes' programs are."""
    places = [env.get("PATH", os.defpath)]
    if env.get("VIRTUAL_ENV"):
        places.insert(0, os.path.join(env["VIRTUAL_ENV"], "bin"))
    return ":".join(places)
