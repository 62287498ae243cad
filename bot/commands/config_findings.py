"""What is wrong with a configuration, or probably not meant, beyond what reading it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.domain.deploy.environment import BoxesGate
from bot.domain.deploy.reading import environments
from runner.errors import BadMetadata, BadSelection, NothingSelected, UserError
from runner.isolation import egress_of
from runner.model import Box, Suite
from runner.select import select

DEPLOYABLE = frozenset({"process", "command"})
"""Kinds of targets that this version deploys to; the others are read for what is to come."""

WARNED = 20
"""Boxes that one warning names."""


def check_networks(suite: Suite) -> None:
    """Look up every name of a host or rule.

    Raises:
        UserError: one is neither, so that what names it could not run.
    """
    wanted = [(box.network, box.source, box.line) for box in suite.boxes]
    wanted += [(setup.network, setup.source, setup.line) for setup in suite.setups.values()]
    for names, source, line in wanted:
        try:
            egress_of(names, "T0", suite.settings)
        except UserError as wrong:
            raise BadMetadata(wrong.message, file=source, line=line, hint=wrong.hint) from wrong


def warnings_of(suite: Suite) -> Iterator[str]:
    """What is valid and probably not meant."""
    yield from _each(suite.boxes, lambda box: not box.control, "no control: nothing proves that they can fail")
    allowed = _items(suite.settings, "network")
    held = [box for box in suite.boxes if set(box.network) - set(allowed)]
    yield from _each(held, lambda _: True, "hosts that pull requests do not reach (trust: network lists what they may)")
    yield from _each(suite.boxes, lambda box: bool(box.secrets), "secrets, which only protected branches get")
    rules = _section(suite.settings, "trust").get("egress")
    used = {name for box in suite.boxes for name in box.network}
    used |= {name for setup in suite.setups.values() for name in setup.network}
    for rule in rules if isinstance(rules, dict) else ():
        if rule not in used:
            yield f"the rule '{rule}' of trust.egress is used by nothing"
    yield from _of_environments(suite)


def _of_environments(suite: Suite) -> Iterator[str]:
    """What would hold up, or refuse, every deployment."""
    for name, here in environments(suite.settings).items():
        if here.target.kind not in DEPLOYABLE:
            kinds = " and ".join(sorted(DEPLOYABLE, reverse=True))
            yield f"{name} has a target of kind {here.target.kind}; this version deploys to {kinds}"
        if here.smoke and not _matches(here.smoke, suite):
            yield f"no box is in '{here.smoke}', the smoke of {name}: each deployment to it would be aborted"
        for gate in here.gates:
            if isinstance(gate, BoxesGate) and not _matches(gate.selection, suite):
                yield f"no box is in '{gate.selection}', which a gate of {name} asks for: nothing would pass it"


def _matches(selection: str, suite: Suite) -> bool:
    try:
        return bool(select(selection, suite.boxes))
    except (BadSelection, NothingSelected):
        return False


def _each(boxes: Sequence[Box], holds: Callable[[Box], bool], have: str) -> Iterator[str]:
    """One warning for all boxes of a kind."""
    found = [str(box.id) for box in boxes if holds(box)]
    if found:
        more = f" and {len(found) - WARNED} more" if len(found) > WARNED else ""
        yield f"boxes with {have}: {', '.join(found[:WARNED])}{more}"


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _items(settings: Mapping[str, object], key: str) -> list[str]:
    value = _section(settings, "trust").get(key)
    return [str(item) for item in value] if isinstance(value, list) else []
