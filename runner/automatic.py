"""The controls of boxes that have none of their own but stand on something that can be taken away. Pure.

A generic sabotage of a repository gives false answers. What a box asks for by name can be taken from it, though: a box
that needs a database and stays green without one does not look at it.
"""

from __future__ import annotations

from runner.model import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import Box

# What happens to the target of an HTTP box, one after the other; each must turn it red.
_TARGET = (("down", "its target down"), ("503", "its target answering 503"))


def automatic_controls(box: Box) -> tuple[Control, ...]:
    """What is done to a box without a control, one after the other; empty when it has one, or stands on nothing.

    `where` says it in words, to come before what happened then.
    """
    if box.control is not None:
        return ()
    if box.kind == "http":
        return tuple(Control(kind="target", spec={"is": how}, expect=None, where=where) for how, where in _TARGET)
    services = dict.fromkeys(need.partition(":")[0] for need in box.needs)  # without the version
    return tuple(
        Control(kind="fault", spec={"service": service, "is": "down"}, expect=None, where=f"{service} down")
        for service in services
    )
