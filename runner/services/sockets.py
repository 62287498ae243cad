"""Listening sockets for jobs: a unix socket at a path of any length, or a port of this machine's loopback."""

from __future__ import annotations

import os
import socket

BACKLOG = 128


def listen(path: str = "", *, uid: int | None = None, gid: int | None = None) -> socket.socket:
    """A socket that listens, non-blocking.

    Args:
        path: of a unix socket that is not there yet, which only `uid` may connect to; "" is a free port of 127.0.0.1.
        uid: whose the unix socket shall be; None leaves it ours.
        gid: likewise.

    Raises:
        OSError: it could not be made; nothing is left at `path`.
    """
    if not path:
        return _ready(socket.socket(socket.AF_INET, socket.SOCK_STREAM), ("127.0.0.1", 0))
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # An address has room for 107 bytes, a path may be longer.
        short = path if len(os.fsencode(path)) < 100 else f"/proc/self/fd/{directory}/{os.path.basename(path)}"
        listener = _ready(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), short)
        try:
            os.chmod(path, 0o600)
            if uid is not None or gid is not None:
                os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
        except OSError:
            listener.close()
            os.unlink(path)
            raise
    finally:
        os.close(directory)
    return listener


def _ready(listener: socket.socket, address: str | tuple[str, int]) -> socket.socket:
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
