"""What one attempt of a box sees of this machine, as a value: every rung makes the same view in its own way."""

from __future__ import annotations

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.isolation import Limits


class Mount(Value):
    """A directory or file of this machine at a place in the view."""

    __slots__ = ("source", "target", "writable")

    def __init__(self, source: str, target: str, *, writable: bool = False) -> None:
        self.source = source
        self.target = target
        self.writable = writable


class View(Value):
    """One attempt's world. All paths are absolute.

    `tree` is where this machine has the tree that the box sees at `inside` (writes to it are thrown away with the
    attempt); `places` the attempt's own directory, the same inside, writable. `mounts` comes on top: interpreters, the
    runner's library, a setup's result. `sockets` maps TCP ports on the box's own loopback to unix sockets that answer
    there. `uid` and `gid` are what the box runs as; None keeps the caller's. `status` is the descriptor on which the
    warden (runner/sandbox/warden.py) tells how the box ended, `seccomp` one that holds the filter's program (-1: no
    filter).
    """

    __slots__ = (
        "gid",
        "inside",
        "limits",
        "mounts",
        "places",
        "seccomp",
        "sockets",
        "status",
        "tree",
        "uid",
    )

    def __init__(
        self,
        *,
        tree: str,
        inside: str,
        places: str,
        limits: Limits,
        mounts: Sequence[Mount] = (),
        sockets: Mapping[int, str] | None = None,
        uid: int | None = None,
        gid: int | None = None,
        status: int = -1,
        seccomp: int = -1,
    ) -> None:
        self.tree = tree
        self.inside = inside
        self.places = places
        self.limits = limits
        self.mounts = tuple(mounts)
        self.sockets = dict(sockets or {})
        self.uid = uid
        self.gid = gid
        self.status = status
        self.seccomp = seccomp
